"""Carrying weights over by name and shape, with a report of what was carried and what was not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class LoadReport:
    """What happened to every tensor when weights were carried into a network.

    Attributes:
        loaded: names found on both sides with the same shape; these were copied.
        missing: names that only the network has; they keep their values.
        unexpected: names that only the weights have; they were ignored.
        mismatched: names on both sides with different shapes, each with (shape in the weights, shape in the network);
            they keep the network's values.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]

    def __str__(self) -> str:
        """Show one line a group, with names where something stayed behind."""
        shapes = [f"{name} {list(theirs)} -> {list(ours)}" for name, (theirs, ours) in self.mismatched.items()]
        lines = [f"loaded      {len(self.loaded):3d}"]
        for group, names in (("missing", self.missing), ("unexpected", self.unexpected), ("mismatched", shapes)):
            lines.append(f"{group:11s} {len(names):3d}  {', '.join(names)}".rstrip())
        return "\n".join(lines)


def compare_weights(model: nn.Module, weights: Mapping[str, torch.Tensor], skip: Sequence[str] = ()) -> LoadReport:
    """Compare a network with weights by name and shape, and change nothing.

    Args:
        model: the network that shall receive weights.
        weights: tensors by name, for example from `read_tensors`.
        skip: beginnings of names to leave out on purpose, such as `["head."]`; these count as missing and unexpected.

    Returns:
        The report of what a load would do.
    """
    ours = model.state_dict()
    offered = {name: tensor for name, tensor in weights.items() if not name.startswith(tuple(skip))}
    shared = [name for name in ours if name in offered]
    return LoadReport(
        loaded=tuple(name for name in shared if ours[name].shape == offered[name].shape),
        missing=tuple(name for name in ours if name not in offered),
        unexpected=tuple(name for name in weights if name not in ours or name not in offered),
        mismatched={
            name: (tuple(offered[name].shape), tuple(ours[name].shape))
            for name in shared
            if ours[name].shape != offered[name].shape
        },
    )


def load_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor], skip: Sequence[str] = (), partial: bool = False
) -> LoadReport:
    """Copy weights into a network where name and shape agree, and report what was not copied.

    PyTorch's own `load_state_dict(strict=False)` still stops at a wrong shape and is silent about names when nobody
    reads its answer; here everything is checked first, and either the whole load happens or none of it.

    Args:
        model: the network, changed in place.
        weights: tensors by name.
        skip: beginnings of names to leave out on purpose, such as `["head."]`. The network keeps its own there.
        partial: accept that other names are missing, unexpected or of another shape.

    Returns:
        The report.

    Raises:
        ValueError: something did not fit and `partial` is False, or nothing fits at all. The network is unchanged.
    """
    report = compare_weights(model, weights, skip)
    unplanned = [n for n in (*report.missing, *report.unexpected) if not n.startswith(tuple(skip))]
    if not report.loaded or (not partial and (unplanned or report.mismatched)):
        raise ValueError(
            f"the weights do not fit {type(model).__name__}; nothing was loaded.\n{report}\n"
            "Expected every name and shape to agree. Build the network that the weights were made for, "
            'name what shall stay behind with skip=["head."], or accept a part with partial=True.'
        )
    own = model.state_dict()  # shares memory with the network
    with torch.no_grad():
        for name in report.loaded:
            own[name].copy_(weights[name])
    return report
