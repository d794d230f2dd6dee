"""The code of the exercises of notebook 09: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections.abc import Callable

import numpy as np
import torch

from tlcourse.exercises.compare import as_table, when_table
from tlcourse.exercises.held_out import scores_below
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb09_many_tasks.fair_steps import PROBLEMS, TASKS, WEIGHTS, fairness, has_shape, problems
from tlcourse.repro import generator

# A direction and its two products, for the sum and for PCGrad.
_rows = functools.partial(as_table, shape=(2, 4))


def _second(*numbers: float) -> Callable[[object], bool]:
    """Return what says whether the row of PCGrad is this one."""
    return when_table((2, 4), lambda rows: np.allclose(rows[1], numbers, atol=1e-3))


def _half_known(seed: int) -> list[Case]:
    """Batches in which some answers to both tasks are missing, and in some none; spreads far from 1."""
    draw = generator("09.q2", seed)

    def case(labels: list[float], angles: list[float], spread: float, note: str = "") -> Case:
        count, nan = len(labels), torch.tensor(angles)
        logits = torch.randn(count, 3, generator=draw).mul(10).round() / 10
        degrees = (nan.nan_to_num(0) + 10 * torch.randn(count, generator=draw)).round()
        return Case((logits, degrees, torch.tensor(labels), nan, spread), note=note)

    nan = float("nan")
    return [
        case([1.0, 2.0], [10.0, -20.0], 5.0, "all is known"),
        case([nan, 2.0, 1.0], [10.0, nan, -5.0], 15.0, "a label and an angle are missing"),
        case([nan, nan, 2.0, 0.0], [3.0, 4.0, nan, nan], 10.0, "no image has both answers"),
        case([0.0, nan, 1.0, 1.0, nan], [nan, nan, nan, 12.0, -7.0], 14.5, "an image has no answer at all"),
    ]


def _gradients(seed: int) -> list[Case]:
    """Gradients of a few tasks: agreeing ones, opposite ones, and such that the order of the projections matters."""
    draw = generator("09.q3", seed)

    def case(tasks: int, weights: int, note: str = "") -> Case:
        rows = torch.randn(tasks, weights, generator=draw).mul(4).round() / 4
        return Case((rows + 0.25 * (rows == 0),), note=note)

    edges = [
        Case((torch.tensor([[1.0, 2.0]]),), note="one task alone"),
        Case((torch.tensor([[1.0, 0.5], [2.0, 1.0]]),), note="two that agree"),
        Case((torch.tensor([[1.0, 0.0], [-1.0, 1.0]]),), note="two that disagree"),
        Case((torch.tensor([[1.0, 0.0], [-2.0, 0.0]]),), note="two opposite ones"),
        Case((torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.5, -1.0]]),), note="three that disagree"),
    ]
    return edges + [case(tasks, weights) for tasks, weights in ((3, 2), (3, 3), (4, 2), (4, 3))]


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no two rows": lambda value: _rows(value) is None,
            "projects what was added": _second(-1, 1, -1, 3),
            "turns only one": _second(-1.8, 1.4, -1.8, 5),
            "turns only the second": _second(1, 1, 1, -1),
            "not divided by the length": _second(-3, 3, -3, 9),
            "takes the wrong way": _second(-2.2, 0.6, -2.2, 5),
            "the mean": _second(0.1, 0.7, 0.1, 0.5),
        },
    },
    q2={"cases": _half_known},
    q3={"cases": _gradients},
    q4={
        "inputs": lambda seed: (problems(seed),),  # drawn gradients: no labels that could be permuted
        "score": fairness,
        "mistakes": {
            "the weights in place of the directions": has_shape(PROBLEMS, TASKS),
            "one step for all problems": has_shape(WEIGHTS),
            "the longest gradient wins": scores_below(0),
            "harmless is not yet fair": scores_below(60),
        },
    },
)
