"""Archives of comparisons with known truths, and the score of intervals for them: the challenge of notebook 04.

Archives are drawn anew and carry no labels, so there is nothing that could be learned elsewhere, or be permuted.
"""

import functools

import numpy as np
import torch

from tlcourse.evaluation.intervals import t_interval
from tlcourse.exercises.compare import as_array
from tlcourse.repro import generator

ROWS, SEEDS = 2000, 5
PROMISE = 93  # percent of the intervals that must hold the truth: 95, less what 2,000 rows scatter by chance
BROKEN = -100.0  # score of intervals that do not keep the promise


@functools.lru_cache(maxsize=4)
def archive(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw comparisons: differences of the seeds in points, float64 `[2000, 5]`, and the true ones, `[2000]`.

    Each comparison has a true difference and a spread of its own, and all of them are related.
    """
    draw = generator("04.q4", seed)
    center, scatter, typical = torch.rand(3, generator=draw, dtype=torch.float64).tolist()
    usual = 1.5 + 2 * typical  # points: spread of a usual comparison
    normal = torch.randn(ROWS, 2 + SEEDS, generator=draw, dtype=torch.float64).numpy()
    truths = 3 * center - 1 + (0.65 + 0.3 * scatter) * usual * normal[:, 0]
    spreads = usual * np.exp(0.25 * normal[:, 1])
    return np.round(truths[:, None] + spreads[:, None] * normal[:, 2:], 1), truths


@functools.lru_cache(maxsize=4)
def t_width(seed: int) -> float:
    """Return how wide the t intervals of an archive are on average, in points."""
    intervals = [t_interval(row) for row in archive(seed)[0].tolist()]
    return sum(i.high - i.low for i in intervals) / len(intervals)


def read_ends(report: object) -> np.ndarray:
    """Read what a function returned, numbers `[2000, 2]` or `[2, 2000]` of any kind, as lower and upper ends.

    They are float64 `[2000, 2]`. Raises ValueError when they have another shape, a number is not finite, or a lower end
    lies above its upper end.
    """
    ends = as_array(report)
    shape = None if ends is None else list(ends.shape)
    if shape not in ([ROWS, 2], [2, ROWS]) or ends.dtype.kind not in "iuf":
        came = "no numbers of one shape" if shape is None else f"shape {shape}"
        raise ValueError(f"{came} came, but [{ROWS}, 2] was expected: a lower and an upper end for every row")
    ends = np.asarray(ends.T if shape == [2, ROWS] else ends, np.float64)
    if not np.isfinite(ends).all() or (ends[:, 0] > ends[:, 1]).any():
        raise ValueError("an end is not finite, or lies on the wrong side of the other; expected lower, upper")
    return ends


def percent_holding(report: object, seed: int) -> float:
    """Return the share of the intervals in a report that hold the true difference, in percent."""
    ends, truths = read_ends(report), archive(seed)[1]
    return 100 * float(((ends[:, 0] <= truths) & (truths <= ends[:, 1])).mean())


def percent_narrower(report: object, seed: int) -> float:
    """Say by how many percent intervals are narrower than t intervals; -100 where fewer than 93 % hold the truth."""
    ends = read_ends(report)
    if percent_holding(ends, seed) < PROMISE:
        return BROKEN
    return round(100 * (1 - float((ends[:, 1] - ends[:, 0]).mean()) / t_width(seed)), 6) + 0.0  # no -0.0 on a card


def held_and_width(report: object, seed: int) -> list[tuple[str, str]]:
    """Say what a score is made of, for the card."""
    ends = read_ends(report)
    mean = float((ends[:, 1] - ends[:, 0]).mean())
    held = f"{percent_holding(ends, seed):.1f} % of {ROWS:,} intervals"
    return [("hold the truth", held), ("mean width", f"{mean:.2f} points; t intervals {t_width(seed):.2f}")]
