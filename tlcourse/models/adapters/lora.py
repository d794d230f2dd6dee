"""LoRA: the change of each layer's weights as a product of two thin matrices, and nothing else trained."""

import torch
from torch import nn
from torch.nn.utils import parametrize

from tlcourse.transfer.freezing import BatchNormPolicy, freeze
from tlcourse.transfer.heads import get_classifier


class LowRank(nn.Module):
    """A change of rank `rank` that is added to the weights of one layer: `W + alpha / rank * B A`.

    A layer's weights are a matrix `[out, in]`, those of a convolution `[out, in / groups * height * width]`. `A` is
    random and `B` is 0, so that nothing changes at first; `out * in` numbers become `rank * (out + in)`.

    Source: Hu et al., "LoRA: Low-rank adaptation of large language models", 2022, ICLR.
    """

    def __init__(self, weight: torch.Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.scale = alpha / rank
        self.A = nn.Parameter(weight.new_empty(rank, columns))
        self.B = nn.Parameter(weight.new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.A, a=5**0.5)  # as nn.Linear draws its weights

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the changed weights, of the same shape."""
        return weight + self.scale * (self.B @ self.A).view(weight.shape)


def add_lora(
    model: nn.Module,
    rank: int = 4,
    alpha: float | None = None,
    layers: list[str] | None = None,
    *,
    norms: bool = False,
    batchnorm: BatchNormPolicy = "keep",
) -> nn.Module:
    """Freeze a network in place, but for its head, and give its convolutions and linear layers low-rank changes.

    The change is part of `layer.weight`, so that every way in which a network reads its weights sees it, and any
    grouping fits: a depthwise 3x3 filter is a row of 9 numbers, of which a rank of 4 spares little. `alpha` is by
    default the rank, a scale of 1. `layers` names those to change, as `model.named_modules()` does; None means all.
    With `norms`, the scales and shifts of normalisation learn too. Their running statistics stay as they are with
    `batchnorm="keep"`, as long as training goes through `training_mode`, as `updates` and `fit` do: a plain
    `model.train()` lets them drift, though no weight of theirs is trained. What moves is in `task_weights(model)`;
    `A` is drawn from PyTorch's global generator: wrap the call in `seeded` to choose it. The head is trained whole.
    ValueError for a rank below 1, a name that is no such layer, or a network that has low-rank changes already.
    """
    chosen = _chosen(model, layers)
    if rank < 1 or any(parametrize.is_parametrized(layer, "weight") for layer in model.modules()):
        raise ValueError(
            f"got rank {rank} for a {type(model).__name__}. Expected at least 1, and a network without low-rank "
            "changes: call merge_lora(model) first, or build it anew."
        )
    freeze_but_head(model, batchnorm)
    for layer in chosen.values():
        change = LowRank(layer.weight, min(rank, *layer.weight.flatten(1).shape), alpha or rank)
        parametrize.register_parametrization(layer, "weight", change)
    if norms:
        for parameter in norm_parameters(model):
            parameter.requires_grad_(True)
    return model


def merge_lora(model: nn.Module) -> nn.Module:
    """Add all low-rank changes into the weights, in place: the plain network again, as fast as it was.

    Everything stays frozen but for the head. ValueError for a network without low-rank changes.
    """
    changed = [layer for layer in model.modules() if parametrize.is_parametrized(layer, "weight")]
    if not changed:
        raise ValueError(f"this {type(model).__name__} has no low-rank changes to merge. Use add_lora(model) first.")
    for layer in changed:
        weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)
        # not remove_parametrizations: copies share a class, and it takes that class's `weight` from all of them
        del layer.parametrizations
        layer.__class__ = type(layer).__bases__[0]
        layer.weight = weight
    return model


def lora_layers(model: nn.Module) -> list[str]:
    """Name the layers that `add_lora` changes by default: all convolutions and linear layers but the head."""
    head = set(get_classifier(model).modules())
    kinds = (nn.Conv2d, nn.Linear)
    return [name for name, layer in model.named_modules() if isinstance(layer, kinds) and layer not in head]


def freeze_but_head(model: nn.Module, batchnorm: BatchNormPolicy = "keep") -> None:
    """Freeze everything but the head, also what belongs to no stage, such as the places of a vision transformer."""
    freeze(model, batchnorm=batchnorm)
    learning = {id(parameter) for parameter in get_classifier(model).parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in learning)


def norm_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the scales and shifts of all normalisation layers."""
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return [parameter for layer in model.modules() if isinstance(layer, kinds) for parameter in layer.parameters()]


def _chosen(model: nn.Module, names: list[str] | None) -> dict[str, nn.Module]:
    """The layers to change, by name."""
    possible = lora_layers(model)
    wrong = [name for name in names or [] if name not in possible]
    if wrong or names == []:
        raise ValueError(f"got layers {wrong or names}. Expected some of: {', '.join(possible)}.")
    return {name: model.get_submodule(name) for name in (possible if names is None else names)}
