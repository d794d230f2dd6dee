"""How sure are we? Means over seeds with bootstrap intervals, and paired comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate with the lower and upper end of its interval, in the unit of the values it came from."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Show as `mean [low, high]` with one decimal."""
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


def bootstrap_mean(values: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Estimate a mean and its percentile bootstrap interval.

    Draw as many values again from the values, with replacement; take the mean; repeat. The middle `level` of those
    means is the interval. With few values it is too narrow: around 5 seeds, a "95 %" interval holds the truth
    in about 83 of 100 experiments (the tests measure this), so read it as the least doubt that there is.

    Args:
        values: one number a seed, at least 2, all finite.
        level: share of the resampled means inside the interval, strictly between 0 and 1.
        resamples: how often to draw again.
        seed: seed of the drawing.

    Returns:
        Mean, lower and upper end.

    Raises:
        ValueError: fewer than two values, a value that is not finite, or a level out of range.

    Source: Efron, "Bootstrap methods: another look at the jackknife", 1979, Annals of Statistics.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        raise ValueError(f"got {values!r}, but at least two finite numbers were expected, one a seed. Run more seeds.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but a share strictly between 0 and 1 was expected, such as 0.95.")
    draws = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))  # [resamples, n]
    means = sample[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def paired_difference(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Estimate the mean of `a - b`, where both were measured with the same seeds.

    Pairing takes out what both runs of a seed share, such as a lucky choice of labelled images, so the interval is
    usually narrower than what the two separate intervals suggest.

    Args:
        a: one number a seed.
        b: the numbers of the same seeds, in the same order.
        level: share of the resampled means inside the interval.

    Returns:
        Mean difference, lower and upper end.

    Raises:
        ValueError: the lengths differ, or `bootstrap_mean` refuses the differences.
    """
    if len(a) != len(b):
        raise ValueError(
            f"got {len(a)} and {len(b)} values, but pairs were expected. Run both methods on the same seeds."
        )
    return bootstrap_mean(np.subtract(a, b).tolist(), level)
