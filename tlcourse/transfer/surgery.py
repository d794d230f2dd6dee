"""Making weights fit a network that is not quite the one they were made for: other names, channels, widths.

Everything here works on plain mappings from name to tensor and returns new ones; no network is changed. What comes out
goes into `load_weights`, which has the last word on names and shapes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Weights = Mapping[str, torch.Tensor]
Action = Literal["copied", "adapted", "skipped", "fresh"]
ACTIONS: tuple[Action, ...] = ("copied", "adapted", "skipped", "fresh")


@dataclass(frozen=True)
class Step:
    """What surgery did to one tensor."""

    name: str  # in the target network, or in the weights where the target has no such tensor
    action: Action  # adapted to another shape; skipped: left behind; fresh: only the target has it
    theirs: tuple[int, ...] | None  # shape in the weights
    ours: tuple[int, ...] | None  # shape in the target network
    why: str  # in a few words


def strip_prefix(weights: Weights, prefix: str = "module.") -> dict[str, torch.Tensor]:
    """Take a beginning off all names: a network that was wrapped when it was saved has one.

    `nn.DataParallel` and its relatives put the network inside themselves as `module`, and so `conv1.weight` becomes
    `module.conv1.weight`. ValueError when a name does not begin like that.
    """
    odd = [name for name in weights if not name.startswith(prefix) or name == prefix]
    if odd or not weights:
        raise ValueError(
            f"{len(odd)} of {len(weights)} names do not begin with {prefix!r}, for example {odd[:3]}. Expected all or "
            "nothing: look at the names, and strip what they share."
        )
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}


def rename(weights: Weights, key_map: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Give tensors the names that another network has for the same things.

    An entry `{"conv1": "stem.0"}`, old name to new, stands for a layer and all that is in it: `conv1.weight` becomes
    `stem.0.weight`, while `conv10.weight` stays. Where several entries fit, the longest one counts; names that none
    fits are kept. ValueError when an entry fits nothing, or two tensors would get the same name.
    """
    names = {name: _renamed(name, key_map) for name in weights}
    used = {entry for _, entry in names.values()}
    idle = [entry for entry in key_map if entry not in used]
    if idle:
        raise ValueError(
            f"the key map's {idle} fit no name. Expected beginnings of names such as {list(weights)[:3]}. "
            "Correct the entry, or take it out."
        )
    result = {new: weights[old] for old, (new, _) in names.items()}
    if len(result) < len(weights):
        news = [new for new, _ in names.values()]
        twice = sorted({new for new in news if news.count(new) > 1})
        raise ValueError(f"two tensors would be called {twice[:3]}, and one would be lost. Give them different names.")
    return result


def _renamed(name: str, key_map: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the new name, and the entry that it comes from."""
    fitting = [old for old in key_map if name == old or name.startswith(f"{old}.")]
    if not fitting:
        return name, None
    entry = max(fitting, key=len)
    return key_map[entry] + name.removeprefix(entry), entry


def adapt_input(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Make a first convolution take another number of channels, so that grey pictures give what they gave before.

    A convolution `[out, in, height, width]` adds up what its channels contribute. Where all channels show the same grey
    picture, only the *sum* of their weights counts. So from colour to grey the weights are summed, and from grey to
    colour each channel gets an equal share: the output on a grey picture, repeated in every channel, stays the same.
    ValueError when neither number is 1: which channel is which is then unclear.
    """
    if weight.ndim != 4 or channels < 1:
        raise ValueError(
            f"got a weight of shape {list(weight.shape)} for {channels} channels. Expected that of a convolution, "
            "[out, in, height, width], and at least one channel."
        )
    before = weight.shape[1]
    if before == channels:
        return weight
    if 1 not in (before, channels):
        raise ValueError(
            f"the convolution takes {before} channels and shall take {channels}, but only from or to 1 channel there "
            "is a rule that keeps the output. Go through grey, or choose the channels by hand."
        )
    return weight.sum(1, keepdim=True) if channels == 1 else weight.expand(-1, channels, -1, -1) / channels


def put_in_corner(small: torch.Tensor, large: torch.Tensor, keep_output: bool = True) -> torch.Tensor:
    """Copy a tensor into the corner of a larger one.

    A wider network has more channels: its weight `[out, in, ...]` has more rows (new outputs) and more columns (new
    inputs). The copied block connects old inputs to old outputs. Two blocks are left:

    * the rows of the *new outputs* keep the random values of `large`, so that every new channel begins with something
      of its own. If all were zero, all new channels would compute the same and learn the same for ever;
    * the columns by which *new inputs* reach *old outputs* are set to zero when `keep_output` is true. Old channels
      then compute what they computed before, and the wide network begins exactly as good as the narrow one.

    ValueError when `large` is smaller somewhere, has other dimensions, or another kernel size.
    """
    corner = tuple(slice(0, size) for size in small.shape)
    fits = small.ndim == large.ndim and all(a <= b for a, b in zip(small.shape, large.shape, strict=True))
    if not fits or small.shape[2:] != large.shape[2:]:
        raise ValueError(
            f"a tensor of shape {list(small.shape)} cannot lie in the corner of {list(large.shape)}. Expected the same "
            "number of dimensions, none smaller, and the same kernel height and width."
        )
    result = large.clone()
    if keep_output and small.ndim > 1:
        result[: small.shape[0], small.shape[1] :] = 0
    result[corner] = small
    return result


def transplant(
    weights: Weights, target: Weights, *, skip: Sequence[str] = (), first_conv: str | None = None
) -> tuple[dict[str, torch.Tensor], list[Step]]:
    """Make every tensor fit that can be made to fit, and say of each what was done.

    `skip` are beginnings of names to leave behind, such as `["head."]`; `first_conv` is the weight whose input channels
    may be adapted, such as `"stem.0.weight"`. Returns a full state dict for the target network, and the steps: first
    those of the target in its order, then those that only the weights have.
    """
    result, steps = {}, []
    for name, ours in target.items():
        theirs = weights.get(name)
        tensor, action, why = _fit(name, theirs, ours, tuple(skip), first_conv)
        result[name] = tensor.clone()
        steps.append(Step(name, action, None if theirs is None else tuple(theirs.shape), tuple(ours.shape), why))
    left = [name for name in weights if name not in target]
    steps += [Step(n, "skipped", tuple(weights[n].shape), None, "the target has no such name") for n in left]
    return result, steps


def _fit(
    name: str, theirs: torch.Tensor | None, ours: torch.Tensor, skip: tuple[str, ...], first_conv: str | None
) -> tuple[torch.Tensor, Action, str]:
    """Return the tensor to use, what was done, and why."""
    if theirs is None:
        return ours, "fresh", "the weights have no such name"
    if name.startswith(skip):
        return ours, "skipped", "left behind on purpose"
    if theirs.shape == ours.shape:
        return theirs, "copied", "same name, same shape"
    try:
        if name == first_conv and theirs.shape[1] != ours.shape[1]:
            channels = adapt_input(theirs, ours.shape[1])
            return put_in_corner(channels, ours), "adapted", f"{theirs.shape[1]} input channels made {ours.shape[1]}"
        return put_in_corner(theirs, ours), "adapted", "copied into the corner"
    except ValueError:
        return ours, "skipped", "no rule makes the shape fit"
