"""GradNorm: weights that let all tasks pull about equally hard, and those that lag behind a little harder."""

import torch

from tlcourse.multitask.combining import jacobian
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.network import MultiTask
from tlcourse.multitask.weighing import Weighing

LEAST = 1e-3  # weights stay above 0


class GradNorm(Weighing):
    """Move the weights of the sum so that `weight * length of the gradient` becomes what it should be for each task.

    It should be the mean length times `r ** alpha`, where r, the relative inverse training rate, is the share of its
    first loss that a task still has, over the mean of these shares. Lengths are those of the gradients of the trunk's
    last stage, which makes them cheap. `rate` is that of the weights, which move by Adam and always have the sum T.

    Source: Chen et al., "GradNorm: Gradient normalization for adaptive loss balancing in deep multitask networks",
    2018, ICML.
    """

    def __init__(self, alpha: float = 1.5, rate: float = 0.025) -> None:
        super().__init__()
        if not (alpha >= 0 and rate > 0):
            raise ValueError(f"got alpha={alpha} and rate={rate}. Expected at least 0, and above 0.")
        self.alpha, self.rate = alpha, rate

    def begin(self, network: MultiTask) -> None:
        """Get ready for a network: all weights are 1."""
        super().begin(network)
        self.first = None  # losses of the first update, [T]
        self.optimizer = torch.optim.Adam([self.weights.requires_grad_()], lr=self.rate)

    def forward(self, outputs: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the loss of an update, from outputs `[B, sum of outputs]` and answers `[B, T]`."""
        losses = task_losses(outputs, answers, self.network[0].tasks)
        total = self.weights.detach().clone() @ losses
        *_, last = self.network[0].trunk.stages().values()
        self.move(losses.detach(), jacobian(losses, list(last.parameters())).norm(dim=1))
        return total

    def move(self, losses: torch.Tensor, lengths: torch.Tensor) -> None:
        """Move the weights once, from the losses and the lengths of the tasks' gradients, both `[T]`.

        A task without a label in this batch has the loss 0, and neither moves nor has a say.
        """
        self.first = losses if self.first is None else torch.where(self.first > 0, self.first, losses)
        asked = losses > 0
        if not asked.any():
            return
        lengths, left = lengths[asked], losses[asked] / self.first[asked]
        wanted = wanted_lengths(self.weights.detach()[asked] * lengths, left, self.alpha)
        self.optimizer.zero_grad()
        (self.weights[asked] * lengths - wanted).abs().sum().backward()
        self.optimizer.step()
        with torch.no_grad():
            self.weights.clamp_(min=LEAST)
            self.weights *= len(losses) / self.weights.sum()


def wanted_lengths(lengths: torch.Tensor, left: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return how long each weighted gradient should be, `[T]`: the mean length times `(left / mean left) ** alpha`.

    `left` is the share of its first loss that each task still has.
    """
    return lengths.mean() * (left / left.mean()) ** alpha
