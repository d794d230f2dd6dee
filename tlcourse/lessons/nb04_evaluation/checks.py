"""The code of the exercises of notebook 04: their texts are in `exercises.md` and `quiz.md`."""

from collections.abc import Callable

import numpy as np
import torch

from tlcourse.evaluation.intervals import t_interval
from tlcourse.exercises.compare import as_array
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb04_evaluation.archives import (
    BROKEN,
    archive,
    held_and_width,
    percent_narrower,
    read_ends,
)
from tlcourse.repro import generator


def _rows(value: object) -> np.ndarray | None:
    """Read an answer as float64 `[3, 2]`, accuracy and error by temperature, or None if it is no such thing."""
    rows = as_array(value)
    return rows.astype(float) if rows is not None and rows.shape == (3, 2) and rows.dtype.kind in "iuf" else None


def _when(holds: Callable[[np.ndarray], bool]) -> Callable[[object], bool]:
    """Return what says whether an answer has three rows of which something holds."""

    def matches(value: object) -> bool:
        rows = _rows(value)
        return rows is not None and bool(holds(rows))

    return matches


def _choices(seed: int) -> list[Case]:
    """Small tables of right answers, folds of equal size: a single network, two folds, a fold an image, odd numbers."""
    draw = generator("04.q2", seed)

    def case(networks: int, size: int, note: str = "", folds: tuple[int, ...] = (0, 1, 2)) -> Case:
        while True:  # until it matters who chose, and all choices are clear
            hits = torch.rand(networks, len(folds) * size, generator=draw) < 0.6
            fold_of = torch.tensor(folds).repeat(size)[torch.randperm(len(folds) * size, generator=draw)]
            if networks == 1 or (_is_clear(hits, fold_of) and (size == 1 or _is_spoilt(hits, fold_of))):
                return Case((hits, fold_of), note=note)

    edges = [
        case(1, 2, "a single network: nothing to choose", (0, 1)),
        case(2, 1, "every image a fold of its own", (0, 1, 2, 3, 4)),
        case(2, 3, "two folds", (0, 1)),
        case(3, 2, "other fold numbers", (7, 3)),
        case(3, 5, "few images to choose with", (0, 1)),
    ]
    return edges + [case(networks, size) for networks, size in ((2, 3), (3, 2), (3, 3), (4, 3), (5, 3), (5, 4))]


def _is_clear(hits: torch.Tensor, fold_of: torch.Tensor) -> bool:
    """Say whether one network is best alone, with all images and without any fold; among equals, taste would decide."""
    parts = [torch.ones_like(fold_of, dtype=torch.bool), *(fold_of != fold for fold in fold_of.unique())]
    two = [hits[:, part].sum(1).topk(2).values.tolist() for part in parts]
    return all(first > second for first, second in two)


def _is_spoilt(hits: torch.Tensor, fold_of: torch.Tensor) -> bool:
    """Say whether the best of all is not always the best without a fold."""
    best = hits.sum(1).argmax()
    return any(hits[:, fold_of != fold].sum(1).argmax() != best for fold in fold_of.unique())


def _is_telling(differences: list[float]) -> bool:
    """Say whether no look ends so near to 0 that rounding would decide, and seeds do differ."""
    looks = [t_interval(differences[:n]) for n in range(2, len(differences) + 1)]
    return all(min(abs(i.low), abs(i.high)) > 0.02 and i.high > i.low for i in looks)


def _experiments(seed: int) -> list[Case]:
    """Differences of seeds in order: found early, late, never, below 0, lost again; too few seeds; random ones."""
    draw = generator("04.q3", seed)
    edges = [
        Case(([1.2, 0.9],), note="two seeds only"),
        Case(([2.0, 2.1, -3.0],), note="two seeds agree, the third does not"),
        Case(([1.0, 1.4, 1.1, 1.3],), note="clear at the first look"),
        Case(([-1.0, -1.5, -1.1],), note="clear, and below 0"),
        Case(([3.0, -1.0, 2.5, -2.0, 0.5],), note="never clear"),
        Case(([0.2, 3.0, 0.4],), note="all above 0, and not clear"),
        Case(([0.5, 3.0, 2.0, 2.4],), note="clear at the last look"),
        Case(([2.0, 1.5, 1.8, -6.0, 4.0],), note="clear, then not any more"),
        Case(([1.1, 1.8, 1.9, 0.6, 1.2, -9.0],), note="clear, then not any more"),
    ]
    while len(edges) < 16:
        mean = (-1.5, 0.0, 1.5)[len(edges) % 3]
        drawn = mean + 1.6 * torch.randn(4 + len(edges) % 4, generator=draw)
        rounded = [round(value, 1) for value in drawn.tolist()]
        if _is_telling(rounded):
            edges.append(Case((rounded,)))
    return edges


def _ends_when(holds: Callable[[np.ndarray], bool]) -> Callable[[object, float | None], bool]:
    """Return what says whether something holds of the ends of an answer that could be scored."""
    return lambda report, score: score is not None and bool(holds(read_ends(report)))


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no three pairs": lambda value: _rows(value) is None,
            "in shares instead of points": _when(lambda rows: 0 < np.abs(rows).max() <= 1),
            "columns changed places": _when(lambda rows: np.ptp(rows[:, 0]) > 1 and np.abs(rows[:, 1] - 75).max() < 1),
            "the accuracy changes": _when(lambda rows: np.ptp(rows[:, 0]) > 1),
            "takes confidence for accuracy": _when(lambda rows: abs(rows[0, 0] - 90) < 1),
            "takes confidence for the error": _when(lambda rows: abs(rows[0, 1] - 90) < 1 or abs(rows[2, 1] - 50) < 1),
            "an error with a sign": _when(lambda rows: rows[:, 1].min() < -0.5),
            "the hotter the better": _when(lambda rows: abs(rows[2, 1]) < 1),
            "divides the confidence": _when(lambda rows: abs(rows[1, 1] - 30) < 1 or rows[2, 1] > 70),
            "divides the odds": _when(lambda rows: abs(rows[1, 1] - 6.8) < 1),
        },
    },
    q2={
        "cases": _choices,
    },
    q3={
        "cases": _experiments,
    },
    q4={
        "inputs": lambda seed: (archive(seed)[0],),  # no labels that could be permuted, and no digits: drawn numbers
        "score": percent_narrower,
        "explain": held_and_width,
        "mistakes": {
            "points instead of intervals": _ends_when(lambda ends: (ends[:, 0] == ends[:, 1]).all()),
            "one interval for all rows": _ends_when(lambda ends: np.ptp(ends, axis=0).max() < 1e-9),
            "breaks the promise": lambda report, score: score == BROKEN,
            "the t interval as it is": lambda report, score: score is not None and abs(score) < 0.05,
            "the scatter of seeds, not of their mean": lambda report, score: score is not None and score < -25,
        },
    },
)
