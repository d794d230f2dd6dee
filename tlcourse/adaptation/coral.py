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


def recolouring(source: torch.Tensor, target: torch.Tensor, penalty: float = 1.0) -> torch.Tensor:
    """Return the matrix, float64 `[d, d]`, that gives centred source features, `[N, d]`, the target's covariance.

    It whitens by the one covariance and colours by the other: `(Cs + r I)^(-1/2) (Ct + r I)^(1/2)`. With fewer images
    than features a covariance cannot be inverted, so `penalty` times the mean variance, `r`, is added to both.

    Source: Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", 2016, AAAI (features of unit
    variance, and 1 is added).
    """
    covariances = [covariance(features.double()) for features in (source, target)]
    variance = sum(each.trace() for each in covariances) / (2 * source.shape[1])
    if not variance > 0:
        raise ValueError("all features are the same in both domains. Look for images, or weights, that say nothing.")
    whiten, colour = (_power(c, penalty * variance, p) for c, p in zip(covariances, (-0.5, 0.5), strict=True))
    return whiten @ colour


def _power(covariance: torch.Tensor, added: torch.Tensor, power: float) -> torch.Tensor:
    """Return `(covariance + added I)^power`."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * (values.clamp(min=0) + added) ** power) @ vectors.T
