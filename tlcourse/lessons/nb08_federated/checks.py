"""The code of the exercises of notebook 08: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.exercises.compare import as_table, when_table
from tlcourse.exercises.held_out import (
    FRESH,
    began_with_digits,
    is_no_network,
    percent_right,
    permuted,
    scores_below,
    unlabelled,
)
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb08_federated.asking import Ask
from tlcourse.repro import generator, seeded
from tlcourse.storage import Tensors

PER_CLASS = 32  # images of all clients of the challenge together


_rows = functools.partial(as_table, shape=(2, 5))  # weight, mean, variance, count and bytes, by method
_when = functools.partial(when_table, (2, 5))


def _first_row(**numbers: float) -> Callable[[object], bool]:
    """Return what says whether the row of FedAvg has these numbers, by name."""
    columns = ("weight", "mean", "variance", "count", "bytes")
    return _when(lambda rows: all(abs(rows[0, columns.index(name)] - n) < 0.01 for name, n in numbers.items()))


def _rounds(seed: int) -> list[Case]:
    """A small network and what clients send: one alone, equal ones, unequal ones."""
    draw = generator("08.q2", seed)
    with seeded("08.q2", seed):
        network = nn.Sequential(OrderedDict(norm=nn.BatchNorm1d(1, affine=False), head=nn.Linear(1, 1, bias=False)))

    def state() -> Tensors:
        numbers = {n: torch.randint(1, 60, v.shape, generator=draw) for n, v in network.state_dict().items()}
        return {name: drawn if name.endswith("tracked") else drawn / 10 for name, drawn in numbers.items()}

    def case(*images: int, note: str = "") -> Case:
        while True:
            states = [state() for _ in images]
            if len(images) == 1 or _matters_what_is_averaged(states, images):
                return Case((network, list(zip(states, images, strict=True))), note=note)

    edges = [case(7, note="one client alone"), case(5, 5, note="as many images each"), case(1, 99)]
    return edges + [case(*torch.randint(5, 60, (count,), generator=draw).tolist()) for count in (2, 3, 4)]


def _matters_what_is_averaged(states: list[Tensors], images: tuple[int, ...]) -> bool:
    """Say whether the largest count is not what a mean of the counts gives, rounded or not."""
    counts = np.array([int(state["norm.num_batches_tracked"]) for state in states])
    return max(counts) - np.average(counts, weights=images) > 1


def _secrets(seed: int) -> list[Case]:
    """Clients with one to three others, of smaller and of larger number, and values of several shapes and signs."""
    draw = generator("08.q3", seed)

    def whole(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(high, shape, generator=draw)

    def values(*shape: int) -> torch.Tensor:
        # a quarter above or below a multiple, and never half way between two, where rounding is a matter of taste
        return (whole(2**18, *shape) / 2 - 2**16 + 0.25) / 2**16

    def case(given: torch.Tensor, me: int, others: tuple[int, ...], note: str = "") -> Case:
        secrets = dict(zip(others, whole(10**6, len(others)).tolist(), strict=True))
        return Case((given, me, secrets, int(whole(100))), note=note)

    return [
        case(torch.tensor([1.5]), 0, (1,), "two clients, the first one"),
        case(torch.tensor([-1.5]), 1, (0,), "two clients, the second one"),
        case(torch.zeros(2), 1, (2, 0), "nothing was learned"),
        case(values(), 2, (7, 5), "a single number, without dimensions"),
        case(values(3), 1, (0, 2, 3)),
        case(values(2, 2), 3, (2, 0, 1)),
        case(values(4), 4, (9, 1, 6)),
    ]


def divided(seed: int) -> tuple[ImageSet]:
    """Return what is divided among the clients of the challenge: 320 handwritten digits over the photograph."""
    return (load("handwritten-photo", seed=FRESH + seed).few(PER_CLASS, seed=FRESH + seed),)


def ask_clients(seed: int) -> tuple[Ask]:
    """Return the one argument of the challenge."""
    return (Ask(*divided(seed), FRESH + seed),)


def ask_clients_of_permuted(seed: int) -> tuple[Ask]:
    """Return the same with labels that say nothing, divided as unequally."""
    return (Ask(*permuted(divided)(seed), FRESH + seed),)


def _has_nan(report: Mapping, score: float | None) -> bool:
    """Recognise a network with a number that is not finite."""
    return not all(value.isfinite().all() for value in report.get("state", {}).values())


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no two rows": lambda value: _rows(value) is None,
            "every client counts the same": _first_row(weight=4, mean=2),
            "Anna counts three times": _first_row(weight=5, mean=3),
            "a sum": _first_row(weight=8),
            "statistics stay behind": _first_row(mean=4, variance=5, count=4),
            "a count is averaged": _when(lambda rows: rows[0, 3] in (8, 10)),
            "counts are added": _first_row(count=16),
            "the variance of all images": _first_row(variance=5),
            "nothing is kept at home": _when(lambda rows: np.allclose(rows[0, 1:4], rows[1, 1:4])),
            "everything is kept at home": _when(lambda rows: rows[1, 0] == 6),
            "half of the way": _first_row(bytes=40),
            "a count of four bytes": _first_row(bytes=64),
            "the count does not travel": _first_row(bytes=48),
            "a single state": _first_row(bytes=20),
            "FedBN sends it all": _when(lambda rows: rows[0, 4] == rows[1, 4]),
        },
    },
    q2={"cases": _rounds},
    q3={"cases": _secrets},
    q4={
        "inputs": ask_clients,
        "permuted": ask_clients_of_permuted,
        "finisher": "network_report",
        "more": unlabelled,
        "score": percent_right,
        "mistakes": {
            "returns no network": is_no_network,
            "begins with the digits' network": lambda report, score: began_with_digits(report["state"]),
            "averages what is not finite": _has_nan,
            "learned next to nothing": scores_below(25),
            "far below": scores_below(60),
        },
    },
)
