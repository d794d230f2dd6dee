"""Carrying weights over by name and shape, and proving what moved: with a report of every tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class LoadReport:
    """What happened to every tensor, by name, when weights were carried into a network; only `loaded` were copied."""

    loaded: tuple[str, ...]  # on both sides with the same shape
    missing: tuple[str, ...]  # only in the network
    unexpected: tuple[str, ...]  # only in the weights
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]  # shape in the weights, shape in the network

    def __str__(self) -> str:
        shapes = [f"{name} {list(theirs)} -> {list(ours)}" for name, (theirs, ours) in self.mismatched.items()]
        lines = [f"loaded      {len(self.loaded):3d}"]
        for group, names in (("missing", self.missing), ("unexpected", self.unexpected), ("mismatched", shapes)):
            lines.append(f"{group:11s} {len(names):3d}  {', '.join(names)}".rstrip())
        return "\n".join(lines)


def compare_weights(model: nn.Module, weights: Mapping[str, torch.Tensor], skip: Sequence[str] = ()) -> LoadReport:
    """Compare a network with weights by name and shape, and change nothing.

    `skip` are beginnings of names to leave out on purpose, such as `["head."]`; these count as missing and unexpected.
    """
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"weights are a {type(weights).__name__}, but tensors by name were expected: read_tensors(path) for a file,"
            " network.state_dict() for a network."
        )
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
    reads its answer; here everything is checked first, and either the whole load happens or none of it. `skip` are
    beginnings of names to leave out on purpose; `partial` accepts that others do not fit. ValueError when something
    else does not fit, when no weights fit (a counter of batches is none), or a number is not finite.
    """
    report = compare_weights(model, weights, skip)
    unplanned = [n for n in (*report.missing, *report.unexpected) if not n.startswith(tuple(skip))]
    floating = [name for name in report.loaded if weights[name].is_floating_point()]
    if not floating or (not partial and (unplanned or report.mismatched)):
        raise ValueError(
            f"the weights do not fit {type(model).__name__}; nothing was loaded.\n"
            f"{str(report).replace('loaded   ', 'would fit', 1)}\n"
            "Expected every name and shape to agree. Build the network that the weights were made for, "
            'name what shall stay behind with skip=["head."], or accept a part with partial=True.'
        )
    own = model.state_dict()  # shares memory with the network
    strange = [name for name in floating if not torch.isfinite(weights[name]).all()]
    strange += [name for name in report.loaded if name not in floating and own[name].is_floating_point()]
    if strange:
        raise ValueError(
            "the weights hold numbers that are infinite, not a number, or whole as quantised ones are, in "
            f"{some(strange)}. Expected finite fractions; nothing was loaded. Choose other weights: these are for "
            "another use, or are damaged."
        )
    with torch.no_grad():
        for name in report.loaded:
            own[name].copy_(weights[name])
    return report


def some(names: Sequence[str], count: int = 3) -> str:
    """Name the first few, and say how many more there are."""
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


@dataclass(frozen=True)
class MoveReport:
    """Which tensors a training changed."""

    moved: Mapping[str, float]  # names, each with its largest change of a number
    stayed: tuple[str, ...]  # names of tensors that are the same in every number

    def __str__(self) -> str:
        furthest = sorted(self.moved.items(), key=lambda item: -item[1])
        names = ", ".join(f"{name} by {change:.2g}" for name, change in furthest[:4])
        more = f" and {len(furthest) - 4} more" if len(furthest) > 4 else ""
        return f"moved {len(self.moved):3d}  {names}{more}".rstrip() + f"\nstayed {len(self.stayed):2d}"


def weights_moved(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> MoveReport:
    """Compare two state dicts of one network number by number: what did a training move?

    Statistics of batch normalisation are in a state dict too, so they are compared as well. ValueError when names or
    shapes differ, or `before` is no copy but the network's own memory.
    """
    if {n: t.shape for n, t in before.items()} != {n: t.shape for n, t in after.items()}:
        odd = sorted(
            n for n in {*before, *after} if n not in before or n not in after or before[n].shape != after[n].shape
        )
        raise ValueError(
            f"these are not states of one network: {', '.join(odd[:6])} differ. Compare before the surgery."
        )
    shared = [name for name in after if after[name].numel() and after[name].data_ptr() == before[name].data_ptr()]
    if shared:
        raise ValueError(
            f"before and after share their memory ({shared[0]} and {len(shared) - 1} more), so they are always equal: "
            "state_dict() returns the network's own tensors. Take a copy first: {n: t.clone() for n, t in ...}."
        )
    changes = {name: _largest_change(before[name], after[name]) for name in after}
    return MoveReport({n: c for n, c in changes.items() if c > 0}, tuple(n for n, c in changes.items() if c == 0))


def _largest_change(before: torch.Tensor, after: torch.Tensor) -> float:
    a, b = before.detach().cpu().double(), after.detach().cpu().double()
    same = (a == b) | (a.isnan() & b.isnan())
    return (a - b).abs().nan_to_num(nan=float("inf"))[~same].max().item() if not same.all() else 0.0


def check_still(report: MoveReport, frozen: Sequence[str]) -> None:
    """Raise ValueError when a tensor whose name begins like one of `frozen` moved, with what usually is the reason."""
    names = [name for name in (*report.moved, *report.stayed) if name.startswith(tuple(frozen))]
    if not names:
        raise ValueError(f"no tensor begins with any of {list(frozen)}, so nothing was checked. Look at the names.")
    broken = [name for name in names if name in report.moved]
    if not broken:
        return
    statistics = [name for name in broken if name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    reasons = [
        (len(statistics), "statistics of batch normalisation: model.train() wakes them up. Use training_mode(model)"),
        (
            len(broken) - len(statistics),
            "weights: momentum or weight decay moves them while their gradient is zero "
            "instead of None. Freeze with freeze(model), and make the optimiser afterwards with trainable(model)",
        ),
    ]
    raise ValueError(
        f"{len(broken)} of {len(names)} frozen tensors moved. "
        + ". ".join(f"{n} {why}" for n, why in reasons if n)
        + "."
    )
