"""The code of the exercises of notebook 07: their texts are in `exercises.md` and `quiz.md`."""

import copy
import functools
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.predict import accuracy
from tlcourse.exercises.compare import as_table, when_table
from tlcourse.exercises.held_out import (
    began_with_digits,
    is_no_network,
    keeps_the_old_head,
    permuted,
    scores_below,
    unlabelled,
)
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb07_without_labels.few_and_many import both_accuracies, errors_gone, few_and_many
from tlcourse.repro import generator, seeded
from tlcourse.training.loop import updates

TRAINING = 6  # updates of a training in q2


_rows = functools.partial(as_table, shape=(2, 5))  # taken as 0, 1 and 2, right, loss, by threshold
_when = functools.partial(when_table, (2, 5))


def _losses(low: float, high: float) -> Callable[[object], bool]:
    """Return what says whether one of the two losses is this one."""
    return _when(lambda rows: (np.abs(rows[:, 4] - (low, high)) < 0.006).any())


def _trainings(seed: int) -> list[Case]:
    """Small networks, a few batches, and images to choose and to report with; drawn until it matters who chose."""
    draw = generator("07.q2", seed)

    def images(count: int) -> ImageSet:
        pixels = torch.randint(256, (count, 3, 1, 1), generator=draw).byte()
        return ImageSet(pixels, torch.arange(count) % 2, ("a", "b"))

    def case(held: int) -> Case:
        with seeded("07.q2", seed, held):
            layers = {"flat": nn.Flatten(), "norm": nn.BatchNorm1d(3), "head": nn.Linear(3, 2)}
        network = nn.Sequential(OrderedDict(layers))
        while True:
            batches = [(scale(some.images), some.labels) for some in (images(4) for _ in range(TRAINING))]
            given = (network, batches, images(held), images(held))
            if _matters_who_chose(*given):
                return Case(given, note="several updates are equally good by validation")

    return [case(held) for held in (6, 8, 10)]


def _matters_who_chose(network: nn.Module, batches: list, validation: ImageSet, test: ImageSet) -> bool:
    """Say whether what the chosen update reaches, what chose it, the last update's and the highest all differ.

    And whether it is neither alone nor equalled by the last: then it also matters which of equally good ones is kept.
    """
    network = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    seen = [(accuracy(network, validation), accuracy(network, test)) for _ in updates(network, batches, optimizer)]
    found, tested = zip(*seen, strict=True)
    reached = tested[found.index(max(found))]
    all_differ = len({reached, max(found), tested[-1], max(tested)}) == 4
    return all_differ and found.count(max(found)) > 1 and found[-1] < max(found)


def _embeddings(seed: int) -> list[Case]:
    """Two views of a few images: all alike, far apart, unlike in length, at low temperatures, and random ones."""
    draw = generator("07.q3", seed)

    def case(images: int, size: int, temperature: float, note: str = "", apart: float = 1.0) -> Case:
        first = torch.randn(images, size, generator=draw)
        z = torch.cat([first, first + apart * torch.randn(images, size, generator=draw)])
        z = z.mul(10).round() / 10
        return Case((z + 0.1 * (z == 0), temperature), note=note)  # no row of zeros, which has no direction

    square = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    edges = [
        Case((square, 1.0), note="two images, their views alike"),
        Case((square * torch.tensor([[1.0], [2.0], [3.0], [4.0]]), 0.5), note="rows of unlike length"),
        Case((torch.ones(4, 2), 0.5), note="collapsed: all rows alike"),
        case(2, 2, 0.01, "a low temperature", apart=0.2),
        case(3, 2, 0.01, "a low temperature, and views that are unlike", apart=2.0),
    ]
    return edges + [case(images, size, 0.5 if images % 2 else 0.2) for images, size in ((2, 2), (3, 2), (3, 3), (4, 3))]


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no two rows": lambda value: _rows(value) is None,
            "takes everything": _when(lambda rows: rows[0, :3].sum() == 6),
            "has to be above": _when(lambda rows: (rows[0, :3] == (2, 1, 1)).all()),
            "takes what is right": _when(lambda rows: (rows[0, :3] == (1, 1, 1)).all()),
            "the same at every threshold": _when(lambda rows: np.allclose(rows[0], rows[1])),
            "a sure answer is a right one": _when(lambda rows: rows[0, 3] == rows[0, :3].sum()),
            "the mean of those taken": _losses(1.6, 1.5),
            "a sum": _losses(8, 3),
            "natural logarithm": _losses(0.924, 0.347),
            "learns the truth": _losses(1, 1 / 3),
            "the teacher's own loss": _losses(0.322, 0.0325),
        },
    },
    q2={"cases": _trainings},
    q3={"cases": _embeddings},
    q4={
        "inputs": few_and_many,
        "permuted": permuted(few_and_many),
        "finisher": "network_report",
        "more": unlabelled,
        "by_chance": 0.0,  # as good as a probe whose labels are right
        "score": errors_gone,
        "explain": both_accuracies,
        "mistakes": {
            "returns no network": is_no_network,
            "keeps the old head": keeps_the_old_head,
            "begins with the digits' network": lambda report, score: began_with_digits(report["state"]),
            "far below the probe": scores_below(-60),
            "labels alone": scores_below(45),
        },
    },
)
