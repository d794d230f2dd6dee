"""What a transfer was worth: labels needed, and what was forgotten."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

Curve = Mapping[int, float]  # accuracy in percent by labels per class


@dataclass(frozen=True)
class LabelCount:
    """How many labels per class an accuracy takes, read off a measured curve."""

    value: float  # labels per class; at an end of the curve, the last number that was measured
    bound: str = "about"  # "about", or which way the truth lies where the curve does not reach: "at most", "more than"

    def __str__(self) -> str:
        return f"{self.bound} {self.value:.0f}" if self.value >= 10 else f"{self.bound} {self.value:.1f}"


def labels_needed(curve: Curve, accuracy: float) -> LabelCount:
    """Return how many labels per class an accuracy takes, by interpolating where the curve first reaches it.

    Between two measured points the curve is taken as straight over the logarithm of the labels. Beyond its ends nothing
    is known, so nothing is made up: the answer then only says on which side the truth lies.
    """
    _check(curve, accuracy)
    points = sorted(curve.items())
    if accuracy <= points[0][1]:
        return LabelCount(points[0][0], "about" if accuracy == points[0][1] else "at most")
    for (k, low), (more, high) in itertools.pairwise(points):
        if low < accuracy <= high:
            share = (accuracy - low) / (high - low)
            return LabelCount(math.exp(math.log(k) + share * (math.log(more) - math.log(k))))
    return LabelCount(points[-1][0], "more than")


def forgetting(before: float, after: float) -> float:
    """Return how many points of accuracy the old task lost by learning the new one; negative where it got better.

    Source: Chaudhry et al., "Riemannian walk for incremental learning", 2018, ECCV (for two tasks).
    """
    if not (0 <= before <= 100 and 0 <= after <= 100):
        raise ValueError(f"got {before} and {after}, but two accuracies in percent, from 0 to 100, were expected.")
    return before - after


def _check(curve: Curve, accuracy: float) -> None:
    if len(curve) < 2 or min(curve) < 1 or not 0 <= accuracy <= 100:
        raise ValueError(
            f"got accuracies at {sorted(curve)} labels per class and a goal of {accuracy} %. Expected at least two "
            "numbers of labels from 1 up, and a goal from 0 to 100."
        )
