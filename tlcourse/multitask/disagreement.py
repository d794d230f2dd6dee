"""Do the tasks pull at the trunk in the same direction? The cosine between their gradients, stage by stage."""

import torch
import torch.nn.functional as F

from tlcourse.multitask.combining import jacobian
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.network import MultiTask

WHOLE = "whole trunk"


def gradient_cosines(network: MultiTask, x: torch.Tensor, answers: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the cosines between the gradients of all pairs of tasks, `[T, T]`, for each stage and the whole trunk.

    1 is the same direction, 0 neither helps nor harms, below 0 what is good for one task is bad for another, as far as
    a small step goes. `x` are scaled images, float `[B, 3, H, W]`, answers `[B, T]`. The network is asked in the mode
    that it is in; its weights and their gradients stay as they are.
    """
    stages = {
        name: [p for p in stage.parameters() if p.requires_grad] for name, stage in network.trunk.stages().items()
    }
    device = next(network.parameters()).device
    losses = task_losses(network(x.to(device)), answers.to(device), network.tasks)
    rows = jacobian(losses, [parameter for stage in stages.values() for parameter in stage])  # [T, P]
    sizes = [sum(parameter.numel() for parameter in stage) for stage in stages.values()]
    parts = dict(zip(stages, rows.split(sizes, 1), strict=True)) | {WHOLE: rows}
    return {name: cosines(part) for name, part in parts.items()}


def cosines(rows: torch.Tensor) -> torch.Tensor:
    """Return the cosines between all pairs of rows of `[T, P]`, `[T, T]`."""
    unit = F.normalize(rows)
    return unit @ unit.T
