"""Deciding what moves: freezing stages, and what batch normalisation does meanwhile."""

from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BatchNormPolicy = Literal["keep", "adapt"]


def freeze(model: nn.Module, depth: int | None = None, batchnorm: BatchNormPolicy = "keep") -> list[str]:
    """Freeze the first `depth` stages of the backbone, and free the rest.

    A batch normalisation layer has, besides its weights, running statistics of the images that went through. They move
    in training mode even when no weight does. `"keep"` holds them (the layer normalises by what the source looked
    like); `"adapt"` lets them follow the target.

    Args:
        model: a network with `stages()`, changed in place.
        depth: how many stages to freeze; None means all, so that only the head learns; 0 frees everything.
        batchnorm: what the statistics of frozen stages do.

    Returns:
        Names of the frozen stages.

    Raises:
        ValueError: the depth or the policy is not one of those above.
    """
    stages = model.stages()
    depth = len(stages) if depth is None else depth
    if not 0 <= depth <= len(stages):
        raise ValueError(f"depth is {depth}, but {type(model).__name__} has {len(stages)} stages: {', '.join(stages)}.")
    if batchnorm not in ("keep", "adapt"):
        raise ValueError(
            f"batchnorm is {batchnorm!r}. Expected 'keep' (statistics stay) or 'adapt' (they follow the target)."
        )
    for position, stage in enumerate(stages.values()):
        frozen = position < depth
        for parameter in stage.parameters():
            parameter.requires_grad_(not frozen)
            parameter.grad = None  # a gradient left behind would move a frozen weight through momentum
        for module in stage.modules():
            if isinstance(module, _BatchNorm):
                module.keeps_statistics = frozen and batchnorm == "keep"
    return list(stages)[:depth]


def training_mode(model: nn.Module) -> nn.Module:
    """Set a network to training, but leave batch normalisation that keeps its statistics in evaluation mode.

    `model.train()` alone would switch every layer, also the frozen ones.

    Args:
        model: the network, changed in place.

    Returns:
        The network.
    """
    model.train()
    for module in model.modules():
        if getattr(module, "keeps_statistics", False):
            module.eval()
    return model


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that training will move."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def count_weights(parameters: list[nn.Parameter] | list[torch.Tensor]) -> int:
    """Count the numbers in a list of parameters."""
    return sum(parameter.numel() for parameter in parameters)
