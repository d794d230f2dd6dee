"""Pseudo-labels: the network's own most likely class, taken for the truth, a little more with every update."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.unlabelled.semi_supervised import Method


class PseudoLabels(Method):
    """The network answers for itself, sure or not; what it says counts nothing at first, and `weight` in the end.

    The weight rises evenly between the shares `begins` and `full` of the training.

    Source: Lee, "Pseudo-label: The simple and efficient semi-supervised learning method for deep neural networks",
    2013, ICML workshop on challenges in representation learning.
    """

    def __init__(self, weight: float = 1.0, begins: float = 0.1, full: float = 0.6) -> None:
        self.most, self.begins, self.full = weight, begins, full
        self.weight, self._model = 0.0, nn.Identity()

    def begin(self, model: nn.Module) -> None:
        """Remember whom to ask."""
        self.weight, self._model = 0.0, model

    def answer(self, weak: torch.Tensor) -> torch.Tensor:
        """Return the most likely class with probability 1, float32 `[B, C]`."""
        logits = own_answer(self._model, weak)
        return F.one_hot(logits.argmax(1), logits.shape[1]).float()

    def after_update(self, model: nn.Module, share: float) -> None:
        """Let the answers count more."""
        self.weight = self.most * min(1.0, max(0.0, (share - self.begins) / (self.full - self.begins)))


@torch.no_grad()
def own_answer(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return logits `[B, C]` by the statistics of the batch itself, as in training."""
    return model(images.to(next(model.parameters()).device))
