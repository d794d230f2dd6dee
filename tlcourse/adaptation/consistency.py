"""Consistency: an averaged teacher answers one view of a target image, and the student learns it from another view."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel

from tlcourse.adaptation.adapt import Answers, Term
from tlcourse.training.weight_averaging import moving_average


class Consistency(Term):
    """Add the cross entropy of the student and its teacher's answers, where the teacher is sure enough.

    The teacher is the moving average of the student's weights (`decay` an update), sees the target's view 1, and is
    sure from `threshold` times its mean confidence on the source's images on. The network becomes the teacher in the
    end.

    Sources: Sohn et al., "FixMatch: Simplifying semi-supervised learning with consistency and confidence", 2020,
    NeurIPS; Berthelot et al., "AdaMatch: A unified approach to semi-supervised learning and domain adaptation", 2022,
    ICLR (the threshold relative to the source); French et al., "Self-ensembling for visual domain adaptation", 2018,
    ICLR (the averaged teacher).
    """

    views = 3

    def __init__(self, weight: float = 1.0, threshold: float = 0.9, decay: float = 0.99) -> None:
        super().__init__()
        self.weight, self.threshold, self.decay = weight, threshold, decay
        self._teacher: list[AveragedModel] = []  # in a list, so that its weights are no part of this module

    def begin(self, model: nn.Module) -> None:
        """Let the teacher start from the student."""
        self._teacher = [moving_average(model, self.decay)]

    def forward(self, answers: Answers) -> torch.Tensor:
        """Return what is added to the loss."""
        with torch.no_grad():  # in training mode: each view by its own batch statistics, as in the student
            source, target = (self._teacher[0](view).softmax(1).max(1) for view in answers.images[:2])
        sure = target.values >= self.threshold * source.values.mean()
        loss = F.cross_entropy(answers.logits[2], target.indices, reduction="none")
        return self.weight * (loss * sure).mean()

    def after_update(self, model: nn.Module, share: float) -> None:
        """Move the teacher a little towards the student."""
        self._teacher[0].update_parameters(model)

    def finish(self, model: nn.Module) -> None:
        """Give the network the teacher's weights."""
        model.load_state_dict(self._teacher[0].module.state_dict())
