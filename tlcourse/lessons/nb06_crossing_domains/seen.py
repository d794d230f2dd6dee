"""What the lab looks at: features of some images of both domains, where they lie, and how many are read rightly."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from tlcourse.adaptation.coral import recolouring
from tlcourse.adaptation.validators import Evidence, Outputs, information
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb06_crossing_domains.cases import Case
from tlcourse.transfer.heads import get_classifier

SOME = 300  # images of the source, of the target, and of the target to test on


@dataclass(frozen=True)
class Seen:
    """Features `[SOME, D]` of both domains by one network, and its head."""

    source: torch.Tensor
    source_labels: torch.Tensor
    target: torch.Tensor
    target_labels: torch.Tensor  # for the picture alone
    test: torch.Tensor
    test_labels: torch.Tensor
    head: nn.Linear

    @property
    def accuracy(self) -> float:
        """Accuracy on target images that nothing was adapted to, in percent."""
        return _percent(self.head, self.test, self.test_labels)

    @property
    def source_accuracy(self) -> float:
        """Accuracy on held-out source images, in percent."""
        return _percent(self.head, self.source, self.source_labels)

    @property
    def information(self) -> float:
        """The validator of that name, in nats; no label of the target goes in."""
        source, target = (Outputs(x, self.head(x).detach()) for x in (self.source, self.target))
        return information(Evidence(source, source, self.source_labels, target))

    @property
    def information_share(self) -> float:
        """The same in percent of its maximum, the logarithm of the number of classes."""
        return 100 * self.information / math.log(self.head.out_features)


def _percent(head: nn.Linear, features: torch.Tensor, labels: torch.Tensor) -> float:
    return 100 * (head(features).argmax(1) == labels).double().mean().item()


def see(network: nn.Module, case: Case) -> Seen:
    """Ask a network about some images of a case."""
    sets = [data.subset(torch.arange(SOME)) for data in (case.held_out, case.target, case.test)]
    features = [extract_features(network, data) for data in sets]
    both = [part for pair in zip(features, (data.labels for data in sets), strict=True) for part in pair]
    return Seen(*both, get_classifier(network).cpu())


def moved_to_source(seen: Seen) -> Seen:
    """Give the target's features the source's mean and covariance (CORAL in closed form); the head stays."""
    source, target = seen.source.double(), seen.target.double()
    matrix = recolouring(target, source)

    def moved(features: torch.Tensor) -> torch.Tensor:
        return ((features.double() - target.mean(0)) @ matrix + source.mean(0)).float()

    return replace(seen, target=moved(seen.target), test=moved(seen.test))


class Plane(NamedTuple):
    """A plane through a cloud: its middle `[D]`, and two directions `[D, 2]`."""

    middle: torch.Tensor
    directions: torch.Tensor


def plane_of(seen: Seen) -> Plane:
    """Return the plane in which the features of both domains vary most (principal component analysis)."""
    features = torch.cat([seen.source, seen.target])
    middle = features.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov(features.T))  # the largest eigenvalues come last
    return Plane(middle, vectors[:, -2:].flip(1))


def turned_like(seen: Seen, other: Seen) -> Plane:
    """Return the plane, turned and mirrored so that the source's classes lie as in another one's, as far as that goes.

    Principal axes may point either way, so without this a picture could not be compared with the one before. It is the
    orthogonal Procrustes problem: Schönemann, "A generalized solution of the orthogonal Procrustes problem", 1966,
    Psychometrika.
    """
    plane, reference = plane_of(seen), plane_of(other)
    left, _, right = torch.linalg.svd(_middles(seen, plane).T @ _middles(other, reference))
    return plane._replace(directions=plane.directions @ left @ right)


def _middles(seen: Seen, plane: Plane) -> torch.Tensor:
    """Return where the middle of every class of the source lies in a plane, `[classes, 2]`."""
    flat = (seen.source - plane.middle) @ plane.directions
    return torch.stack([flat[seen.source_labels == c].mean(0) for c in seen.source_labels.unique()])
