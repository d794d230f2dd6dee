"""Mean teacher: the average of a network's weights over time answers, and the network is to agree with it."""

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from tlcourse.training.weight_averaging import moving_average
from tlcourse.unlabelled.pseudo_labels import own_answer
from tlcourse.unlabelled.semi_supervised import Method


class Taught(Method):
    """A method with a teacher: the moving average of the network's weights, which the network becomes in the end."""

    def __init__(self, weight: float, decay: float) -> None:
        self.weight, self.decay = weight, decay
        self.teacher: AveragedModel | None = None

    def begin(self, model: nn.Module) -> None:
        """Let the teacher start from the network."""
        self.teacher = moving_average(model, self.decay)

    def answer(self, weak: torch.Tensor) -> torch.Tensor:
        """Return the teacher's probabilities, float32 `[B, C]`."""
        return own_answer(self.teacher, weak).softmax(1)

    def after_update(self, model: nn.Module, share: float) -> None:
        """Move the teacher a little towards the network."""
        self.teacher.update_parameters(model)

    def finish(self, model: nn.Module) -> None:
        """Give the network the teacher's weights."""
        model.load_state_dict(self.teacher.module.state_dict())

    def present(self, model: nn.Module) -> nn.Module:
        """Return the teacher."""
        return self.teacher.module


class MeanTeacher(Taught):
    """Add the mean squared difference between the probabilities of the network and of its teacher.

    It counts little at first and `weight` times in the end, by `exp(-5 (1 - share)^2)`. Both see a weakly augmented
    view of their own.

    Source: Tarvainen and Valpola, "Mean teachers are better role models: Weight-averaged consistency targets improve
    semi-supervised deep learning results", 2017, NeurIPS.
    """

    def __init__(self, weight: float = 10.0, decay: float = 0.99) -> None:
        super().__init__(weight * warm_up(0), decay)
        self.most = weight

    def difference(self, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the mean over images of the squared distance between the probabilities, 0 to 2."""
        return (logits.softmax(1) - answers).square().sum(1).mean()

    def after_update(self, model: nn.Module, share: float) -> None:
        """Move the teacher, and let it count more."""
        super().after_update(model, share)
        self.weight = self.most * warm_up(share)


def warm_up(share: float) -> float:
    """Return how much a teacher counts when a share of the training, 0 to 1, is done: from 0.007 to 1."""
    return math.exp(-5 * (1 - share) ** 2)
