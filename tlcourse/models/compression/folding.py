"""Batch normalisation folded into the convolution before it: where statistics are fixed, both are one linear map."""

import contextlib
import copy
import itertools
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from tlcourse.evaluation.predict import evaluation_mode

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
    if not _level(before, after):
        raise ValueError(
            f"{type(model).__name__} answers otherwise after batch normalisation was folded, by up to "
            f"{(after - before).abs().max():.2g}. Expected that only it reads what the convolution before it writes."
        )
    return model


@contextlib.contextmanager
def folded_in_training(model: nn.Module, x: torch.Tensor) -> Iterator[list[Pair]]:
    """Let convolutions do the work of the batch normalisations whose statistics are held still, and give those pairs.

    The weights are multiplied anew in every update, so both layers learn as before, and only rounding differs; but what
    the convolution writes is read by nothing else and need not be kept: a seventh of MobileNetV2's time for an update.
    Which layers are pairs is seen as in `fold_batchnorm`, on its device; where answers would change, none is.

    Source: You, Guo, Long and Wang, "Efficient ConvBN blocks for transfer learning and beyond", 2024, ICLR.
    """
    with evaluation_mode(model), torch.no_grad():
        before = model(x)
        pairs = [pair for pair in find_pairs(model, x) if getattr(model.get_submodule(pair.norm), "holds_still", False)]
        folded = [tuple(map(model.get_submodule, pair)) for pair in pairs]
        for conv, norm in folded:
            conv.forward, norm.forward = partial(_convolve_and_normalise, conv, norm), _as_it_is
        if not _level(before, model(x)):
            _plain_again(folded)
            pairs = []
    try:
        yield pairs
    finally:
        _plain_again(folded)


def _convolve_and_normalise(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    return conv._conv_forward(x, *_folded_weights(conv, norm))


def _as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x


def _plain_again(folded: list[tuple[nn.Module, ...]]) -> None:
    for layer in itertools.chain(*folded):
        vars(layer).pop("forward", None)


def _level(before: torch.Tensor, after: torch.Tensor) -> bool:
    return torch.allclose(before, after, rtol=0, atol=CLOSE * before.abs().max().item())


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
    weight, bias = _folded_weights(conv, norm)
    conv.weight, conv.bias = (nn.Parameter(part, requires_grad=False) for part in (weight, bias))
    replace(model, pair.norm, nn.Identity())


def _folded_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()  # [out]
    bias = 0 if conv.bias is None else conv.bias
    return conv.weight * gain[:, None, None, None], norm.bias + gain * (bias - norm.running_mean)


def replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put another layer where the one of that name is."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)
