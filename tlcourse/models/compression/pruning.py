"""Pruning: weights set to zero by a mask, which saves no time, and channels taken out, which does."""

import copy
from collections.abc import Mapping

import torch
from torch import nn

from tlcourse.models.tiny_resnet import ResidualBlock

Masks = Mapping[str, torch.Tensor]  # by name of the weight, bool, of its shape


def magnitude_masks(model: nn.Module, share: float) -> dict[str, torch.Tensor]:
    """Mark what stays (True) when the `share` of smallest weights goes, over all convolutions of a network together.

    The head and normalisation stay whole. Nothing is changed: `apply_masks` does that, once more after every update
    while one trains on.

    Source: Han, Pool, Tran and Dally, "Learning both weights and connections for efficient neural networks", 2015,
    NeurIPS.
    """
    _check_share(share)
    weights = {f"{name}.weight": layer.weight.detach() for name, layer in _convolutions(model).items()}
    sizes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    gone = torch.zeros(len(sizes), dtype=torch.bool, device=sizes.device)
    gone[sizes.argsort(stable=True)[: round(share * len(sizes))]] = True
    parts = gone.split([weight.numel() for weight in weights.values()])
    return {name: ~part.view_as(weights[name]) for name, part in zip(weights, parts, strict=True)}


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Masks) -> nn.Module:
    """Set weights to zero where their mask says so, in place; the network is as large and as slow as before."""
    for name, mask in masks.items():
        model.get_parameter(name).mul_(mask.to(model.get_parameter(name).device))
    return model


def sparsity(model: nn.Module) -> float:
    """Return the share of the weights of all convolutions that are exactly zero, from 0 to 1."""
    weights = [layer.weight for layer in _convolutions(model).values()]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def kept_channels(model: nn.Module, share: float) -> dict[str, torch.Tensor]:
    """Choose the channels inside every residual block that stay, by name of the block: their numbers, rising.

    Those are between the block's two convolutions: no other layer sees them, so they can go without a trace. The
    `share` with the smallest sums of absolute weights goes; at least one stays.

    Source: Li, Kadav, Durdanovic, Samet and Graf, "Pruning filters for efficient ConvNets", 2017, ICLR.
    """
    _check_share(share)
    kept = {}
    for name, block in _blocks(model).items():
        norms = block.conv1.weight.detach().abs().sum((1, 2, 3))  # [out]
        stay = max(1, len(norms) - round(share * len(norms)))
        kept[name] = norms.argsort(descending=True, stable=True)[:stay].sort().values
    return kept


@torch.no_grad()
def silence_channels(model: nn.Module, kept: Mapping[str, torch.Tensor]) -> nn.Module:
    """Return a copy in which all other channels are zero, computed and multiplied by as before."""
    model = copy.deepcopy(model)
    for name, rows in kept.items():
        block = model.get_submodule(name)
        others = torch.ones(block.bn1.num_features, dtype=torch.bool, device=block.bn1.weight.device)
        others[rows] = False
        block.bn1.weight[others] = 0
        block.bn1.bias[others] = 0  # what the ReLU then lets through is 0
    return model


def remove_channels(model: nn.Module, kept: Mapping[str, torch.Tensor]) -> nn.Module:
    """Return a copy without all other channels: smaller tensors, fewer multiply-adds, the same answers as silenced.

    `kept` comes from `kept_channels`. Train it on for a while: what is gone is missed at first.
    """
    model = copy.deepcopy(model)
    for name, rows in kept.items():
        block = model.get_submodule(name)
        block.conv1 = _without(block.conv1, rows, slice(None))
        block.bn1 = _narrow_norm(block.bn1, rows)
        block.conv2 = _without(block.conv2, slice(None), rows)
    return model


def _without(conv: nn.Conv2d, outputs: torch.Tensor | slice, inputs: torch.Tensor | slice) -> nn.Conv2d:
    """Return a convolution with some of the rows and columns of another, `weight[outputs][:, inputs]`."""
    weight = conv.weight.detach()[outputs][:, inputs].clone()
    narrow = nn.Conv2d(
        weight.shape[1], weight.shape[0], conv.kernel_size, stride=conv.stride, padding=conv.padding, bias=False
    )
    narrow.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
    return narrow


def _narrow_norm(norm: nn.BatchNorm2d, rows: torch.Tensor) -> nn.BatchNorm2d:
    narrow = nn.BatchNorm2d(len(rows), norm.eps, norm.momentum).to(norm.weight.device)
    state = {name: tensor[rows] if tensor.ndim else tensor for name, tensor in norm.state_dict().items()}
    narrow.load_state_dict(state)
    narrow.weight.requires_grad_(norm.weight.requires_grad)  # what is frozen stays frozen
    narrow.bias.requires_grad_(norm.bias.requires_grad)
    return narrow.train(norm.training)


def _convolutions(model: nn.Module) -> dict[str, nn.Conv2d]:
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    if not found:
        raise ValueError(f"{type(model).__name__} has no convolution. Expected at least one whose weights can be cut.")
    return found


def _blocks(model: nn.Module) -> dict[str, ResidualBlock]:
    found = {name: block for name, block in model.named_modules() if isinstance(block, ResidualBlock)}
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no ResidualBlock, between whose two convolutions channels could be taken out. "
            "Expected a TinyResNet or a relative of it."
        )
    return found


def _check_share(share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}, but a share from 0 (all stay) to below 1 was expected, such as 0.5.")
