"""CORAL: make the covariance of the features the same in both domains."""

import torch

from tlcourse.adaptation.adapt import Answers, Term


def coral_distance(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the squared distance of two covariance matrices, divided by 4 d^2; features are `[N, d]` and `[M, d]`.

    Source: Sun and Saenko, "Deep CORAL: Correlation alignment for deep domain adaptation", 2016, ECCV workshops.
    """
    dimensions = source.shape[1]
    difference = covariance(source) - covariance(target)
    return difference.square().sum() / (4 * dimensions**2)


def covariance(features: torch.Tensor) -> torch.Tensor:
    """Return the covariance `[d, d]` of features `[N, d]`, dividing by N - 1."""
    centred = features - features.mean(0)
    return centred.T @ centred / (len(features) - 1)


class CORAL(Term):
    """Add the CORAL distance of the features, `weight` times."""

    def __init__(self, weight: float = 100.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, answers: Answers) -> torch.Tensor:
        """Return what is added to the loss."""
        source, target = answers.features[:2]
        return self.weight * coral_distance(source, target)
