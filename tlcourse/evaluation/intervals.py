"""How sure are we? Means over seeds, images or groups of images, each with an interval, and paired comparisons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate with the lower and upper end of its interval, in the unit of the values it came from."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Show as `mean [low, high]` with one decimal."""
        return f"{self.mean:z.1f} [{self.low:z.1f}, {self.high:z.1f}]"  # z: a zero has no sign


def bootstrap_mean(values: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """Estimate the mean of one number a seed, and its percentile bootstrap interval.

    Draw as many values again from the values, with replacement; take the mean; repeat. The middle `level` of those
    means is the interval. With few values it is too narrow: around 5 seeds, a "95 %" interval holds the truth in about
    83 of 100 experiments (the tests measure this), so read it as the least doubt that there is.

    Source: Efron, "Bootstrap methods: another look at the jackknife", 1979, Annals of Statistics.
    """
    sample = _checked(values, level)
    draws = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))  # [resamples, n]
    means = sample[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Estimate the mean of one number a seed, and its t interval, which stays honest with few values.

    The standard error is itself a guess when there are few values. Student's t distribution allows for that: with 5
    seeds the interval reaches 2.8 standard errors to either side, not 2. It takes for granted that the values scatter
    about evenly around their mean; accuracies of seeds mostly do.

    Source: Student, "The probable error of a mean", 1908, Biometrika.
    """
    from scipy.special import stdtrit  # here, because importing SciPy takes a while

    sample = _checked(values, level)
    standard_error = sample.std(ddof=1) / np.sqrt(len(sample))
    reach = float(stdtrit(len(sample) - 1, (1 + level) / 2) * standard_error)
    mean = float(sample.mean())
    return Interval(mean, mean - reach, mean + reach)


def wilson_interval(hits: int, images: int, level: float = 0.95) -> Interval:
    """Estimate a share of right answers among independent images, and its Wilson interval, in percent.

    It holds every true share at which the count that was seen would not be a surprise. Unlike "share plus or minus two
    standard errors" it never leaves 0 to 100 and works near both. The share is not the middle of the interval.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927, JASA.
    """
    _check_level(level)
    if not 0 <= hits <= images or images < 1:
        raise ValueError(f"got {hits} hits of {images} images. Expected at least 1 image, and hits from 0 to as many.")
    z = NormalDist().inv_cdf((1 + level) / 2)  # 1.96 for 95 %
    share = hits / images
    middle = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    reach = z / (1 + z**2 / images) * np.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    low, high = max(0.0, middle - reach), min(1.0, middle + reach)
    return Interval(100 * share, 100 * float(low), 100 * float(high))


def bootstrap_groups(
    values: Sequence[float], groups: Sequence[int], level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Estimate a mean and its bootstrap interval where values come in groups, such as images of the same sheet.

    Images of one writer succeed or fail together, so each tells less than an independent one would. Drawing whole
    groups again keeps that; drawing images would not. With few groups this is too narrow too, as `bootstrap_mean` is
    with few seeds.

    Source: Field and Welsh, "Bootstrapping clustered data", 2007, Journal of the Royal Statistical Society B.
    """
    sample = _checked(values, level)
    sums, counts = _group_sums(sample, groups)
    draws = np.random.default_rng(seed).integers(len(sums), size=(resamples, len(sums)))  # [resamples, groups]
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def group_means(values: Sequence[float], groups: Sequence[int]) -> list[float]:
    """Return the mean of every group, in order of the groups' numbers; for example accuracy sheet by sheet."""
    sums, counts = _group_sums(_checked(values, 0.95), groups)
    return (sums / counts).tolist()


def standard_error(values: Sequence[float], groups: Sequence[int] | None = None) -> float:
    """Return the standard error of a mean: how far it would scatter if all values, or all groups, were drawn afresh."""
    sample = np.asarray(_checked(values, 0.95) if groups is None else group_means(values, groups))
    return float(sample.std(ddof=1) / np.sqrt(len(sample)))


def paired_difference(
    a: Sequence[float],
    b: Sequence[float],
    level: float = 0.95,
    interval: Callable[[Sequence[float], float], Interval] = t_interval,
) -> Interval:
    """Estimate the mean of `a - b`, where both were measured with the same seeds, in the same order.

    Pairing takes out what both runs of a seed share, such as an easy choice of labelled images, so the interval is
    usually narrower than what the two separate intervals suggest. `bootstrap_mean` is narrower than `t_interval`, and
    wrong with few seeds.
    """
    if len(a) != len(b):
        raise ValueError(
            f"got {len(a)} and {len(b)} values, but pairs were expected. Run both methods on the same seeds."
        )
    return interval(np.subtract(a, b).tolist(), level)


def _checked(values: Sequence[float], level: float) -> np.ndarray:
    """Return the values as float64 `[n]`, or say what is wrong with them or with the level."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not np.isfinite(sample).all():
        got = repr(values) if sample.size < 20 else f"{sample.size} values, {np.isfinite(sample).sum()} of them finite"
        raise ValueError(f"got {got}, but at least two finite numbers were expected, one a seed. Run more seeds.")
    _check_level(level)
    return sample


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but a share strictly between 0 and 1 was expected, such as 0.95.")


def _group_sums(sample: np.ndarray, groups: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    names, where = np.unique(np.asarray(groups), return_inverse=True)
    if np.shape(groups) != sample.shape or len(names) < 2:
        raise ValueError(
            f"got {len(sample)} values, and groups of shape {list(np.shape(groups))} with {len(names)} different "
            "numbers. Expected one group number a value, and at least two groups: a single one does not show how "
            "groups differ."
        )
    return np.bincount(where, sample), np.bincount(where)
