"""Deciding what moves, how fast and how far: freezing, learning rates for every stage, and a pull towards the start."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlcourse.transfer.heads import get_classifier

BatchNormPolicy = Literal["keep", "adapt"]


def freeze(model: nn.Module, depth: int | None = None, batchnorm: BatchNormPolicy = "keep") -> list[str]:
    """Freeze the first `depth` stages of the backbone (None: all, so that only the head learns), and free the rest.

    A batch normalisation layer has, besides its weights, running statistics of the images that went through. They move
    in training mode even when no weight does. `"keep"` holds them (the layer normalises by what the source looked
    like); `"adapt"` lets them follow the target. All else in a frozen stage stays in evaluation mode too: Dropout and
    stochastic depth drop nothing there. Returns the names of the frozen stages.
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
            module.holds_still = frozen and (batchnorm == "keep" or not isinstance(module, _BatchNorm))
    return list(stages)[:depth]


def training_mode(model: nn.Module) -> nn.Module:
    """Set a network to training, but leave in evaluation mode what a frozen stage holds still.

    `model.train()` alone would switch every layer: statistics would move, and Dropout would drop.
    """
    model.train()
    for module in model.modules():
        module.training = not getattr(module, "holds_still", False)  # not eval(), which goes down to the children
    return model


def free_only(model: nn.Module, part: str) -> nn.Module:
    """Let one stage, or the head, learn and hold everything else still, in place: surgical fine-tuning.

    `part` is the name of a stage or of the head. Batch normalisation outside keeps its statistics, in `training_mode`.
    ValueError for another name.

    Source: Lee et al., "Surgical fine-tuning improves adaptation to distribution shifts", 2023, ICLR.
    """
    parts = {**model.stages(), model.head_name: get_classifier(model)}
    if part not in parts:
        raise ValueError(f"{part!r} is no part of {type(model).__name__}. Expected one of: {', '.join(parts)}.")
    for name, module in parts.items():
        for parameter in module.parameters():
            parameter.requires_grad_(name == part)
            parameter.grad = None  # a gradient left behind would move a frozen weight through momentum
        for layer in module.modules():
            layer.holds_still = name != part
    return model


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that training will move."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def count_parameters(parameters: list[nn.Parameter] | list[torch.Tensor]) -> int:
    """Count the numbers in a list of parameters."""
    return sum(parameter.numel() for parameter in parameters)


def discriminative_lr(model: nn.Module, head: float, backbone: float) -> dict[str, float]:
    """Return two learning rates: one for the head, which knows nothing yet, a smaller one for all carried over.

    Source: Howard and Ruder, "Universal language model fine-tuning for text classification", 2018, ACL.
    """
    return dict.fromkeys(model.stages(), backbone) | {model.head_name: head}


def layerwise_lr(model: nn.Module, head: float, decay: float = 0.7) -> dict[str, float]:
    """Return learning rates that fall from the head to the pixels: early stages are general and should move least.

    Every stage gets `decay` times the rate of the one after it.

    Source: Howard and Ruder, "Universal language model fine-tuning for text classification", 2018, ACL.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay is {decay}, but a share above 0 and at most 1 was expected, such as 0.7.")
    names = [*model.stages(), model.head_name]
    return {name: head * decay ** (len(names) - 1 - position) for position, name in enumerate(names)}


def parameter_groups(model: nn.Module, lr: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return one `{"params", "lr", "name"}` a stage and for the head, for any optimiser of PyTorch.

    Every parameter is in from the start, frozen ones too: the optimiser skips them while they have no gradient, and one
    that is made anew in the middle of a training would have forgotten its means and could not be resumed. ValueError
    when names do not match, a learning rate is not above 0, or a parameter belongs to no stage.
    """
    parts = {**model.stages(), model.head_name: get_classifier(model)}
    if set(lr) != set(parts):
        raise ValueError(f"learning rates were given for {list(lr)}. Expected one for each of: {', '.join(parts)}.")
    wrong = {name: value for name, value in lr.items() if not value > 0}
    if wrong:
        raise ValueError(f"learning rates must be above 0, but got {wrong}. To keep a stage as it is, use freeze().")
    groups = [{"params": list(parts[name].parameters()), "lr": value, "name": name} for name, value in lr.items()]
    inside = {id(parameter) for group in groups for parameter in group["params"]}
    outside = [name for name, parameter in model.named_parameters() if id(parameter) not in inside]
    if outside:
        raise ValueError(f"{', '.join(outside)} belong to no stage and would never be trained. Add them to stages().")
    return groups


class L2SP:
    """A pull towards the starting point: `alpha/2 |w - w0|^2` for the backbone, `beta/2 |v|^2` for the new head.

    Ordinary weight decay pulls every weight towards 0, which for a pretrained one means forgetting. This pulls it to
    where it came from: the weights that the model has now. Add what a call returns to the loss, and switch the
    optimiser's own weight decay off.

    Source: Li, Grandvalet and Davoine, "Explicit inductive bias for transfer learning with convolutional networks",
    2018, ICML.
    """

    def __init__(self, model: nn.Module, alpha: float = 0.1, beta: float = 0.01) -> None:
        if alpha < 0 or beta < 0:
            raise ValueError(f"got alpha={alpha} and beta={beta}. Expected 0 or more of each.")
        self.alpha, self.beta = alpha, beta
        self.head = list(get_classifier(model).parameters())
        fresh = {id(parameter) for parameter in self.head}
        self.carried = [parameter for parameter in model.parameters() if id(parameter) not in fresh]
        self.start = [parameter.detach().clone() for parameter in self.carried]

    def __call__(self) -> torch.Tensor:
        """Return the penalty for where the weights are now, a float scalar."""
        pairs = zip(self.carried, self.start, strict=True)
        moved = sum((now - then.to(now.device)).square().sum() for now, then in pairs)
        size = sum(parameter.square().sum() for parameter in self.head)
        return self.alpha / 2 * moved + self.beta / 2 * size


class GradualUnfreezing:
    """Begin with the head alone and free one more stage every few epochs, the last first.

    Call it before the updates of every epoch, with an optimiser that has all parameters in from the start. What is free
    depends on the number of the epoch and on nothing else, so an interrupted training goes on rightly.

    Source: Howard and Ruder, "Universal language model fine-tuning for text classification", 2018, ACL.
    """

    def __init__(self, every: int = 1, batchnorm: BatchNormPolicy = "keep") -> None:
        if every < 1:
            raise ValueError(f"every is {every}, but a number of epochs of at least 1 was expected.")
        self.every, self.batchnorm = every, batchnorm

    def __call__(self, model: nn.Module, epoch: int) -> None:
        """Freeze as many stages as this epoch, counted from 0, leaves frozen."""
        freeze(model, max(0, len(model.stages()) - epoch // self.every), self.batchnorm)
