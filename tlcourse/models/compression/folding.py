"""Batch normalisation folded into the convolution before it: in evaluation both are one linear map."""

import copy
from typing import NamedTuple

import torch
from torch import nn

CLOSE = 1e-2  # of the largest score: a GPU may round products to 10 bits, and a wrong pair changes far more


class Pair(NamedTuple):
    """Names of a convolution, and of the batch normalisation that takes what it writes."""

    conv: str
    norm: str


def fold_batchnorm(model: nn.Module, x: torch.Tensor) -> nn.Module:
    """Return a copy in evaluation mode in which every pair is one convolution, and the normalisation an identity.

    `BN(Wx) = g (Wx - m) / s + b`, so the weights become `g W / s`, and the bias `b - g m / s`. Which layers are pairs
    is seen while the images `x`, prepared as the network takes them, go through. Raises ValueError where the copy
    answers otherwise, as it would where a convolution's output goes two ways.
    """
    model = copy.deepcopy(model).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        before = model(x)
        for pair in find_pairs(model, x):
            fold(model, pair)
        after = model(x)
    if not torch.allclose(before, after, rtol=0, atol=CLOSE * before.abs().max().item()):
        raise ValueError(
            f"{type(model).__name__} answers otherwise after batch normalisation was folded, by up to "
            f"{(after - before).abs().max():.2g}. Expected that only it reads what the convolution before it writes."
        )
    return model


@torch.no_grad()
def find_pairs(model: nn.Module, x: torch.Tensor) -> list[Pair]:
    """Return which batch normalisations take exactly what a convolution has written, in order."""
    wrote: dict[int, tuple[str, torch.Tensor]] = {}  # holds the tensors, so that no place in memory is used twice
    pairs: list[Pair] = []

    def written(name: str, output: torch.Tensor) -> None:
        wrote[id(output)] = (name, output)

    def taken(name: str, inputs: tuple[torch.Tensor, ...]) -> None:
        if id(inputs[0]) in wrote:
            pairs.append(Pair(wrote[id(inputs[0])][0], name))

    hooks = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_hook(lambda _, i, o, name=name: written(name, o)))
        if isinstance(layer, nn.BatchNorm2d) and layer.affine and layer.track_running_stats:
            hooks.append(layer.register_forward_pre_hook(lambda _, i, name=name: taken(name, i)))
    try:
        model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


@torch.no_grad()
def fold(model: nn.Module, pair: Pair) -> None:
    """Fold one pair of a network in place."""
    conv, norm = model.get_submodule(pair.conv), model.get_submodule(pair.norm)
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()  # [out]
    bias = 0 if conv.bias is None else conv.bias
    conv.weight = nn.Parameter(conv.weight * gain[:, None, None, None], requires_grad=False)
    conv.bias = nn.Parameter(norm.bias + gain * (bias - norm.running_mean), requires_grad=False)
    replace(model, pair.norm, nn.Identity())


def replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put another layer where the one of that name is."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)
