"""Networks between networks: lines and means in the space of weights, and the statistics that must be measured anew."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale

State = Mapping[str, torch.Tensor]  # what `model.state_dict()` gives
BATCH = 300  # images at a time; larger batches have steadier statistics


def average_weights(states: Sequence[State], shares: Sequence[float] | None = None) -> dict[str, torch.Tensor]:
    """Return the weighted mean of networks of the same architecture, tensor by tensor; equal shares unless given.

    Whole numbers, such as the count of batches that a batch normalisation has seen, are those of the first network.
    The running statistics are averaged like everything else, and that is wrong for them: `measure_batchnorm` mends it.
    The mean lies on the device of the first. ValueError when networks do not match, or shares do not add up to 1.

    Source: Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
    increasing inference time", 2022, ICML.
    """
    shares = [1 / len(states)] * len(states) if shares is None and len(states) else list(shares or ())
    _check(states, shares)
    first = states[0]
    mean = {}
    for name, tensor in first.items():
        if tensor.is_floating_point():
            parts = zip(shares, (state[name].to(tensor.device) for state in states), strict=True)
            mean[name] = sum(share * part for share, part in parts)
        else:
            mean[name] = tensor.clone()
    return mean


def interpolate(source: State, tuned: State, alpha: float) -> dict[str, torch.Tensor]:
    """Return the network on the straight line between two: `source` where alpha is 0, `tuned` where it is 1.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, CVPR (WiSE-FT).
    """
    return average_weights([source, tuned], [1 - alpha, alpha])


def measure_batchnorm(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """Measure the running statistics of every batch normalisation anew, in place; no weight changes.

    `images` are as they are, uint8 `[N, 3, H, W]`. The statistics belong to the weights that they were measured with.
    The mean of two networks' variances is not the variance of the mean network, and it raises no error.
    """
    batches = images.chunk(max(1, round(len(images) / BATCH)))  # of nearly the same size, as each counts the same
    update_bn((scale(batch) for batch in batches), model, device=next(model.parameters()).device)
    return model


def between(source: nn.Module, tuned: nn.Module, alpha: float, data: ImageSet | None) -> nn.Module:
    """Return a new network at `alpha` between two, its batch normalisation measured on `data`; None leaves that out."""
    return with_weights(tuned, interpolate(source.state_dict(), tuned.state_dict(), alpha), data)


def soup(models: Sequence[nn.Module], data: ImageSet | None) -> nn.Module:
    """Return a new network, the mean of several, its batch normalisation measured on `data`; None leaves that out."""
    return with_weights(models[0], average_weights([model.state_dict() for model in models]), data)


def with_weights(like: nn.Module, state: State, data: ImageSet | None) -> nn.Module:
    """Return a copy of a network with other weights; the network itself stays as it is."""
    model = copy.deepcopy(like)
    model.load_state_dict(state)
    return model if data is None else measure_batchnorm(model, data.images)


def _check(states: Sequence[State], shares: Sequence[float]) -> None:
    if not states or len(states) != len(shares):
        raise ValueError(f"{len(states)} networks came with {len(shares)} shares. Expected at least one, and as many.")
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"the shares add up to {sum(shares):g}, but 1 was expected: a mean, not a sum.")
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in states]
    for other in shapes[1:]:
        wrong = sorted(name for name in shapes[0].keys() | other.keys() if shapes[0].get(name) != other.get(name))
        if wrong:
            raise ValueError(
                f"the networks differ in {len(wrong)} tensors, such as {wrong[0]}: {shapes[0].get(wrong[0])} and "
                f"{other.get(wrong[0])}. Expected the same architecture with the same classes."
            )
