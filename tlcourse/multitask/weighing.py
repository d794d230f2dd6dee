"""How much each task counts: the sum of their losses, plain or with weights. Other ways derive from it."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.network import MultiTask


class Weighing(nn.Module):
    """The sum of the tasks' losses, each times a weight that stays; without weights, all count the same.

    Called as a loss, with outputs and answers, it returns what `updates` goes down: a float scalar.
    """

    def __init__(self, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if weights is not None and not (any(weights) and all(0 <= weight < math.inf for weight in weights)):
            raise ValueError(f"weights are {list(weights)}. Expected one of at least 0 a task, and one above 0.")
        self.given = weights

    def begin(self, network: MultiTask) -> None:
        """Get ready for a network, before the first update; ValueError for another number of weights than of tasks."""
        count = len(network.tasks)
        if self.given is not None and len(self.given) != count:
            raise ValueError(f"{len(self.given)} weights were given for {count} tasks. Expected one for each.")
        self.network = [network]  # in a list, so that its parameters are not counted as ours
        weights = torch.ones(count) if self.given is None else torch.tensor(self.given, dtype=torch.float32)
        self.register_buffer("weights", weights.to(next(network.parameters()).device))

    def forward(self, outputs: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the loss of an update, from outputs `[B, sum of outputs]` and answers `[B, T]`."""
        return self.weigh(task_losses(outputs, answers, self.network[0].tasks))

    def weigh(self, losses: torch.Tensor) -> torch.Tensor:
        """Return one number for the losses of the tasks, `[T]`."""
        return self.weights @ losses
