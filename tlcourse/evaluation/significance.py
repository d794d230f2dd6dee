"""Is A better than B? McNemar's test, and simulations: what an interval is worth, and how many seeds are enough."""

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
    """Two networks on the same images.

    Attributes:
        only_a: images that only A reads.
        only_b: images that only B reads.
        p_value: if both were equally good, how often a split at least as uneven would come up, from 0 to 1.
    """

    only_a: int
    only_b: int
    p_value: float

    def __str__(self) -> str:
        """Show the counts and what chance alone would do."""
        return f"only A right: {self.only_a}, only B right: {self.only_b}, p = {self.p_value:.3f}"


def mcnemar(hits_a: Sequence[bool], hits_b: Sequence[bool]) -> McNemar:
    """Test whether two networks differ on the same images, exactly.

    Images that both read, or neither, say nothing about which is better. Were both equally good, each of the others
    would fall to A or to B like a coin. The p-value is the chance that so many coins fall at least so unevenly.

    Args:
        hits_a: whether A is right, one value an image.
        hits_b: whether B is right, for the same images in the same order.

    Returns:
        Both counts and the two-sided p-value; 1 where no image tells them apart.

    Raises:
        ValueError: the lengths differ, or there is no image.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    1947, Psychometrika.
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


def coverage(
    interval: Callable[[Sequence[float]], HasEnds],
    seeds: int,
    population: Sequence[float] | None = None,
    experiments: int = 1000,
    seed: int = 0,
) -> float:
    """Measure how often an interval holds the truth, in a world where the truth is known.

    Invent an experiment with so many seeds, make the interval, look whether the true mean is inside; repeat.

    Args:
        interval: turns the values of one experiment into an interval.
        seeds: values an experiment, at least 2.
        population: where values are drawn from, with replacement, so that its mean is the truth; by default the
            standard normal distribution.
        experiments: how many to invent.
        seed: seed of the drawing.

    Returns:
        Share of the intervals that hold the truth, in percent.

    Raises:
        ValueError: fewer than two seeds, or no experiment.
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
    """Simulate how often so many seeds would show a difference that is really there.

    Invent paired experiments: every seed gives a difference, scattered around the true one. Count how many experiments
    end with a t interval that lies wholly on one side of 0.

    Args:
        difference: the true mean difference, in points.
        spread: standard deviation of the difference from seed to seed, in points, above 0.
        most: largest number of seeds.
        level: level of the interval.
        experiments: how many to invent.
        seed: seed of the drawing.

    Returns:
        Power in percent for every number of seeds from 2 to `most`.

    Raises:
        ValueError: a spread that is not above 0, fewer than 2 seeds, or a level out of range.

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


def seeds_needed(power: dict[int, float], wanted: float = 80.0) -> int | None:
    """Return the smallest number of seeds with enough power.

    Args:
        power: power in percent by number of seeds, as from `power_curve`.
        wanted: how often the difference shall be seen, in percent.

    Returns:
        The number, or None when even the largest is not enough.

    Raises:
        ValueError: `wanted` is not between 0 and 100.
    """
    if not 0 < wanted < 100:
        raise ValueError(f"wanted is {wanted}, but a share in percent between 0 and 100 was expected, such as 80.")
    return min((seeds for seeds, percent in power.items() if percent >= wanted), default=None)


def optimism_of_luck(
    candidates: int, images: int, accuracy: float, experiments: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Simulate choosing the best of several equally good candidates by their score on the same number of images.

    Every candidate is right with the same chance on every image, so whatever the winner is ahead is luck.

    Args:
        candidates: how many to choose among.
        images: images that each is scored on.
        accuracy: the true accuracy of all, in percent.
        experiments: how many choices to invent.
        seed: seed of the drawing.

    Returns:
        Mean score of the winner minus the truth, in points: on the images it was chosen with, and on as many new ones.

    Raises:
        ValueError: no candidate, no image, or an accuracy outside 0 to 100.
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
