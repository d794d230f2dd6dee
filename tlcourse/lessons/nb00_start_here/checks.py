"""The code of the exercises of notebook 00: their texts are in `exercises.md` and `quiz.md`."""

import torch

from tlcourse.exercises.compare import same
from tlcourse.exercises.held_out import (
    few_digits,
    is_no_network,
    keeps_the_old_head,
    percent_right,
    permuted,
    scores_below,
    unlabelled,
)
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.repro import generator


def _curves(seed: int) -> list[Case]:
    """Random curves, some not rising everywhere, some in no order, and the edges."""
    draw = generator("00.q2", seed)
    cases = [
        Case(({5: 80.0}, 80.0), note="reached exactly"),
        Case(({1: 40.0, 2: 50.0}, 90.0), note="never reached"),
        Case(({20: 90.0, 5: 85.0, 1: 30.0}, 80.0), note="in no order"),
        Case(({1: 60.0, 2: 88.0, 5: 78.0, 10: 82.0}, 80.0), note="falls in between"),
    ]
    for _ in range(6):
        labels = [(1, 2, 5, 10, 20, 50)[i] for i in torch.randperm(6, generator=draw)[:4].tolist()]
        scores = (torch.rand(4, generator=draw) * 60 + 40).round().tolist()
        cases.append(Case((dict(zip(labels, scores, strict=True)), 75.0)))
    return cases


def _same_number(got: object, right: object) -> bool:
    """Compare numbers of labels; a list with one number is a list."""
    return isinstance(got, list | tuple | set) == isinstance(right, list | tuple | set) and same(got, right)


def _state_dicts(seed: int) -> list[Case]:
    """Small state dicts: same head, another head, a turned matrix, BatchNorm statistics, foreign names, other order."""
    draw = generator("00.q3", seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    return [
        Case(({"head.bias": random(2)}, {"head.bias": random(2)}), note="everything fits, the head too"),
        Case(({"head.weight": random(3, 2)}, {"head.weight": random(2, 3)}), note="another head, as many numbers"),
        Case(({"head.bias": random(3)}, {"head.bias": random(2)}), note="another number of classes"),
        Case(({"conv": random(2, 3)}, {"conv": random(2, 1)}), note="other input channels"),
        Case(({"scale": random(8)}, {"scale": random(8, 1, 1)}), note="another number of dimensions"),
        Case(
            ({"bn.num_batches_tracked": torch.tensor(7)}, {"bn.num_batches_tracked": torch.tensor(0)}), note="a counter"
        ),
        Case(({"b": random(2), "a": random(2)}, {"a": random(2), "b": random(2)}), note="in another order"),
        Case(
            (
                {"bn.weight": random(2), "bn.running_mean": random(2), "extra": random(1)},
                {"bn.weight": random(2), "bn.running_mean": random(2), "new": random(1)},
            ),
            note="statistics, and names of one side only",
        ),
    ]


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q2={
        "cases": _curves,
        "agrees": _same_number,
    },
    q3={
        "cases": _state_dicts,
    },
    q4={
        "inputs": few_digits(5),
        "permuted": permuted(few_digits(5)),
        "finisher": "network_report",
        "more": unlabelled,
        "score": percent_right,
        "mistakes": {
            "returns no network": is_no_network,
            "keeps the old head": keeps_the_old_head,
            "never trained": scores_below(30),
            "no better than scratch": scores_below(66),
        },
    },
)
