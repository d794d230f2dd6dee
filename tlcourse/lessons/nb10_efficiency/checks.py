"""The code of the exercises of notebook 10: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections.abc import Callable

import numpy as np
import torch

from tlcourse.exercises.compare import as_table, when_table
from tlcourse.exercises.held_out import is_no_network, scores_below, unlabelled
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb10_efficiency.half_network import (
    answers_kept,
    is_masked,
    is_too_large,
    network_and_images,
)
from tlcourse.repro import generator

# Answers before and after, then what is trained, the merged layer's size, and the work for an input, apart and merged.
_rows = functools.partial(as_table, shape=(2, 4))
_when = functools.partial(when_table, (2, 4))


def _after(one: float, two: float) -> Callable[[object], bool]:
    """Return what says whether the merged layer answers so."""
    return _when(lambda rows: np.allclose(rows[0, 2:], (one, two), atol=1e-3))


def _count(place: int, *numbers: float) -> Callable[[object], bool]:
    """Return what says whether a number of the second row is one of these."""
    return _when(lambda rows: any(abs(rows[1, place] - number) < 0.5 for number in numbers))


def _batches(seed: int) -> list[Case]:
    """Logits of student and teacher: one image, equal ones, several temperatures, the teacher alone, labels alone."""
    draw = generator("10.q2", seed)

    def case(images: int, classes: int, temperature: float, weight: float, note: str = "") -> Case:
        student, teacher = (torch.randn(images, classes, generator=draw).mul(20).round() / 10 for _ in range(2))
        labels = torch.randint(classes, (images,), generator=draw)
        return Case((student, teacher, labels, temperature, weight), note=note)

    return [
        case(1, 2, 2.0, 1.0, "the teacher alone"),
        case(2, 3, 1.0, 0.5, "a temperature of 1"),
        case(2, 3, 3.0, 0.0, "the labels alone"),
        case(3, 4, 4.0, 0.9),
        case(4, 3, 2.5, 0.4),
    ]


def _activations(seed: int) -> list[Case]:
    """Tensors as layers are given them: both signs, after a ReLU, far from zero on either side, in steps of one."""
    draw = generator("10.q3", seed)

    def between(low: int, high: int) -> float:
        return int(torch.randint(low, high, (), generator=draw)) + 0.3

    def case(sides: Callable[[], tuple[float, float]], count: int, note: str = "", cut: bool = False) -> Case:
        while True:
            low, high = sides()
            inside = torch.rand(count, generator=draw) * (high - low) + low
            x = torch.cat([torch.tensor([low, high]), inside.mul(100).round() / 100])
            telling = note or _matters_where_one_counts_from(x)
            if telling and _rounds_one_way(x) and (not cut or _matters_that_zero_is_rounded(x)):
                return Case((x,), note=note)

    return [
        Case((torch.tensor([-100.0, 0.0, 155.0]),), note="steps of 1"),
        case(lambda: (0.0, between(200, 500)), 2, "after a ReLU"),
        case(lambda: (between(100, 200), between(300, 500)), 2, "all far above 0"),
        case(lambda: (-between(300, 500), -between(100, 200)), 2, "all far below 0"),
        case(lambda: (-between(50, 300), between(301, 600)), 3),
        case(lambda: (-between(301, 600), between(50, 300)), 4, cut=True),
    ]


def _steps(x: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return how many steps every number is from 0, and how many 0 is from the low end, neither of them rounded."""
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    step = (high - low) / 255
    return x.double() / step, -low / step


def _rounds_one_way(x: torch.Tensor) -> bool:
    """Say whether nothing is nearly half way between two whole numbers, where rounding is a matter of taste."""
    steps, below = _steps(x)
    counts = torch.cat([steps, steps + below, torch.tensor([below], dtype=torch.float64)])
    return bool(((counts.frac().abs() - 0.5).abs() > 1e-3).all())


def _matters_where_one_counts_from(x: torch.Tensor) -> bool:
    """Say whether counting from the low end stores another number than counting from a rounded zero point."""
    steps, below = _steps(x)
    return bool(((steps + below).round() != steps.round() + round(below)).any())


def _matters_that_zero_is_rounded(x: torch.Tensor) -> bool:
    """Say whether the zero point is another one where its fraction is cut off."""
    _, below = _steps(x)
    return int(below) != round(below)


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no two rows": lambda value: _rows(value) is None,
            "the change alone": _after(8, -8),
            "alpha is not divided by the rank": _after(19, -15),
            "no factor": _after(7, -3),
            "divided by the rank alone": _after(5, -1),
            "a change of full rank": _count(0, 5000),
            "only one of the two": _count(0, 100, 200),
            "merging adds weights": _count(1, 5300),
            "merged costs as before": _when(lambda rows: rows[1, 2] == rows[1, 3]),
        },
    },
    q2={"cases": _batches},
    q3={"cases": _activations},
    q4={
        "inputs": network_and_images,  # no labels that could be permuted
        "finisher": "network_report",
        "more": unlabelled,
        "score": answers_kept,
        "mistakes": {
            "returns no network": is_no_network,
            "zeros are numbers too": is_masked,
            "more than half": is_too_large,
            "as it was cut": scores_below(50),
            "statistics alone": scores_below(76),
        },
    },
)
