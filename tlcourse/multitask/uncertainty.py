"""Uncertainty weighting: a task counts the less the less sure the network is that it can ever be answered."""

import torch
from torch import nn

from tlcourse.multitask.network import MultiTask
from tlcourse.multitask.weighing import Weighing


class Uncertainty(Weighing):
    """Divide every loss by a variance that is learned with the weights, and pay for its logarithm.

    The loss is `L / (2 v) + log(v) / 2` for a number and `L / v + log(v) / 2` for a class, summed over tasks; `v`
    begins at 1. Where it is best, `v` is the loss itself, or for classes twice the loss: a task that is answered well
    counts more and more.

    Source: Kendall, Gal and Cipolla, "Multi-task learning using uncertainty to weigh losses for scene geometry and
    semantics", 2018, CVPR.
    """

    def begin(self, network: MultiTask) -> None:
        """Get ready for a network: all variances are 1."""
        super().begin(network)
        self.log_variance = nn.Parameter(torch.zeros_like(self.weights))
        self.register_buffer(
            "share", torch.tensor([1.0 if task.classes else 0.5 for task in network.tasks]).to(self.weights)
        )

    def weigh(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the sum, over tasks, of loss over variance and of half the logarithm of the variance."""
        return (self.share * losses * (-self.log_variance).exp() + self.log_variance / 2).sum()
