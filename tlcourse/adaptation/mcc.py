"""MCC: make the network confuse no two classes of the target, on the average of a batch."""

import torch

from tlcourse.adaptation.adapt import Answers, Term


def class_confusion(logits: torch.Tensor, temperature: float = 2.5) -> torch.Tensor:
    """Return the share of the classes' correlations that lies off the diagonal, 0 (none) to 1; logits are `[B, C]`.

    Surer images weigh more. Each row of the correlations, `[C, C]`, is divided by its sum, so that a class that is
    rarely answered counts as much as another. That is what keeps all images from becoming one class. A row is then the
    mean answer of the images, each by its share in the class, which is computed so that no share becomes 0 / 0.

    Source: Jin et al., "Minimum class confusion for versatile domain adaptation", 2020, ECCV.
    """
    classes = logits.shape[1]
    log_chances = (logits / temperature).log_softmax(1)  # [B, C]
    chances = log_chances.exp()
    entropy = -(chances * log_chances).sum(1).detach()
    weight = 1 + (-entropy).exp()  # [B], 1 to 2
    shares = (log_chances + weight.log()[:, None]).softmax(0)  # [B, C], of each image in a class; columns add up to 1
    correlation = shares.T @ chances  # [C, C], rows add up to 1
    return 1 - correlation.trace() / classes


class MCC(Term):
    """Add the class confusion of the target's answers, `weight` times."""

    def __init__(self, weight: float = 1.0, temperature: float = 2.5) -> None:
        super().__init__()
        self.weight, self.temperature = weight, temperature

    def forward(self, answers: Answers) -> torch.Tensor:
        """Return what is added to the loss."""
        return self.weight * class_confusion(answers.logits[1], self.temperature)
