"""Is A better than B? McNemar's test, Holm's correction, and simulations: what intervals and seed counts are worth."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class HasEnds(Protocol):
    """An interval, as `tlcourse.evaluation.intervals` makes them."""

    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Two networks on the same images."""

    only_a: int  # images that only A reads
    only_b: int  # images that only B reads
    p_value: float  # if both were equally good, how often a split at least as uneven would come up

    def __str__(self) -> str:
        return f"only A right: {self.only_a}, only B right: {self.only_b}, p = {self.p_value:.3f}"


def mcnemar(hits_a: Sequence[bool], hits_b: Sequence[bool]) -> McNemar:
    """Test whether two networks differ on the same images, in the same order, exactly and two-sided.

    Images that both read, or neither, say nothing about which is better. Were both equally good, each of the others
    would fall to A or to B like a coin. The p-value is the chance that so many coins fall at least so unevenly; 1 where
    no image tells them apart.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947,
    Psychometrika.
    """
    a, b = np.asarray(hits_a, dtype=bool), np.asarray(hits_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(
            f"got hits of shape {list(a.shape)} and {list(b.shape)}. Expected one value an image, for the same images."
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))  # ways in which the coins fall so unevenly
    return McNemar(only_a, only_b, min(1.0, 2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for how many tests there are, so that a false alarm among all of them stays as rare as stated.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on, and none ends below one before it.
    Reject what is at most the level, such as 0.05. Returns them in the order they came in.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979, Scandinavian Journal of Statistics.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"got p-values {list(p_values)}. Expected numbers from 0 to 1.")
    corrected, largest = [0.0] * len(p_values), 0.0
    smallest_first = sorted(range(len(p_values)), key=lambda test: p_values[test])
    for rank, test in enumerate(smallest_first):
        largest = max(largest, (len(p_values) - rank) * p_values[test])
        corrected[test] = min(1.0, largest)
    return corrected


def coverage(
    interval: Callable[[Sequence[float]], HasEnds],
    seeds: int,
    population: Sequence[float] | None = None,
    experiments: int = 1000,
    seed: int = 0,
) -> float:
    """Measure how often an interval holds the truth, in percent, in a world where the truth is known.

    Invent an experiment with so many seeds, make the interval, look whether the true mean is inside; repeat. Values are
    drawn from `population` with replacement, so that its mean is the truth, or from the standard normal distribution.
    """
    if seeds < 2 or experiments < 1:
        raise ValueError(f"got {seeds} seeds and {experiments} experiments. Expected at least 2 and at least 1.")
    draws = np.random.default_rng(seed)
    if population is None:
        samples, truth = draws.standard_normal((experiments, seeds)), 0.0
    else:
        samples, truth = draws.choice(population, (experiments, seeds)), float(np.mean(population))
    intervals = [interval(sample.tolist()) for sample in samples]
    return 100 * float(np.mean([i.low <= truth <= i.high for i in intervals]))


def power_curve(
    difference: float, spread: float, most: int = 40, level: float = 0.95, experiments: int = 4000, seed: int = 0
) -> dict[int, float]:
    """Simulate in how many percent of experiments so many seeds would show a difference that is really there.

    Invent paired experiments: every seed gives a difference in points, scattered around the true one with the standard
    deviation `spread`. Count how many end with a t interval that lies wholly on one side of 0. Returns the power by
    number of seeds, from 2 to `most`.

    Source: Cohen, "Statistical power analysis for the behavioral sciences", 1988, Lawrence Erlbaum.
    """
    from scipy.special import stdtrit  # here, because importing SciPy takes a while

    if not spread > 0 or most < 2 or not 0 < level < 1:
        raise ValueError(
            f"got a spread of {spread}, up to {most} seeds, level {level}. Expected a spread above 0, at least 2 "
            "seeds, and a level strictly between 0 and 1."
        )
    draws = np.random.default_rng(seed).normal(difference, spread, (experiments, most))
    n = np.arange(1, most + 1)
    mean = draws.cumsum(1) / n  # [experiments, most]: of the first seed, the first two, ...
    squares = (draws**2).cumsum(1) - n * mean**2
    error = np.sqrt(squares[:, 1:].clip(min=0) / (n[1:] - 1) / n[1:])  # [experiments, most - 1]
    seen = np.abs(mean[:, 1:]) > stdtrit(n[1:] - 1, (1 + level) / 2) * error
    return {int(k): 100 * float(share) for k, share in zip(n[1:], seen.mean(0), strict=True)}


def selection_optimism(
    candidates: int, images: int, accuracy: float, experiments: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Simulate choosing the best of several equally good candidates by their score on the same number of images.

    Every candidate is right with the same chance (`accuracy`, in percent) on every image, so the winner's lead is
    chance alone. Returns the winner's mean score minus the truth, in points: on the images it was chosen with, and on
    as many new ones.
    """
    if candidates < 1 or images < 1 or not 0 <= accuracy <= 100:
        raise ValueError(
            f"got {candidates} candidates, {images} images and {accuracy} %. Expected at least one of each, and an "
            "accuracy from 0 to 100."
        )
    draws = np.random.default_rng(seed)
    chosen_with, new = 100 * draws.binomial(images, accuracy / 100, (2, experiments, candidates)) / images
    winner = chosen_with.argmax(1)[:, None]
    return tuple(float(np.take_along_axis(s, winner, 1).mean() - accuracy) for s in (chosen_with, new))
