"""The code of the exercises of notebook 06: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import nn

from tlcourse.exercises.held_out import (
    began_with_digits,
    is_no_network,
    keeps_the_old_head,
    percent_right,
    permuted,
    scores_below,
    unlabelled,
)
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb06_crossing_domains.unlabelled_target import SHIFT, two_domains
from tlcourse.repro import generator, seeded

Row = tuple[str, float, float]  # a shift, right by the old rule, right by the best one


def read_shifts(value: object) -> object:
    """Read an answer as three rows, with names such as "Covariate shift" as "covariate"; anything else as it is."""
    try:
        rows = [(name.lower().removesuffix("shift").strip(" -_"), float(old), float(best)) for name, old, best in value]
    except (TypeError, ValueError, AttributeError):
        return value
    return rows if len(rows) == 3 else value


def _when(holds: Callable[[Sequence[Row]], bool]) -> Callable[[object], bool]:
    """Return what says whether an answer has three rows of which something holds."""

    def matches(value: object) -> bool:
        rows = read_shifts(value)
        return rows is not value and holds(rows)

    return matches


def _two_batches(seed: int) -> list[Case]:
    """Small networks and a batch of each domain: of two images, of unequal size, far apart, and random ones."""
    draw = generator("06.q2", seed)

    def case(n: int, m: int, move: float, note: str = "", *, norms: int = 1) -> Case:
        with seeded("06.q2", seed, n, m):
            blocks = [(f"linear{i}", nn.Linear(2, 2)) for i in range(norms)]
            norm = [(f"norm{i}", nn.BatchNorm1d(2)) for i in range(norms)]
            layers = [layer for pair in zip(blocks, norm, strict=True) for layer in pair]
            network = nn.Sequential(OrderedDict([*layers, ("head", nn.Linear(2, 2))]))
        for weights in network.parameters():
            weights.data.mul_(10).round_().div_(10)  # so that a card shows the very numbers
        source, target = (torch.randn(k, 2, generator=draw).mul(10).round() / 10 for k in (n, m))
        return Case((network, source, torch.arange(n) % 2, target * (1 + move) + move), note=note)

    edges = [
        case(2, 2, 1.0, "two images each"),
        case(2, 4, 0.0, "one domain, but other images"),
        case(4, 2, 5.0, "far apart"),
        case(3, 3, 1.0, "two layers of batch normalisation", norms=2),
    ]
    return edges + [case(n, m, 2.0) for n, m in ((3, 5), (5, 3), (6, 6))]


def _logits(seed: int) -> list[Case]:
    """Logits and temperatures: one image, an undecided and a sure one, a probability of 0, and random ones."""
    draw = generator("06.q3", seed)

    def case(images: int, classes: int, temperature: float, note: str = "", scale: float = 2.0) -> Case:
        logits = torch.randn(images, classes, generator=draw) * scale
        return Case((logits.mul(10).round() / 10, temperature), note=note)

    edges = [
        case(1, 2, 1.0, "one image"),
        Case((torch.zeros(1, 2), 2.5), note="undecided"),
        Case((torch.tensor([[9.0, 0.0], [0.0, 0.5]]), 2.5), note="a sure image and an undecided one"),
        Case((torch.tensor([[900.0, 0.0], [0.0, 1.0]]), 2.5), note="a probability of 0"),
    ]
    sizes = ((2, 2), (2, 3), (3, 3), (4, 3), (5, 4))
    return edges + [case(images, classes, 2.5 if images % 2 else 1.5) for images, classes in sizes]


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "reads": read_shifts,
        "mistakes": {
            "no three rows": lambda value: read_shifts(value) is value,
            "shares in place of counts": _when(lambda r: all(max(row[1:]) <= 1 for row in r)),
            "label and covariate exchanged": _when(lambda r: (r[0][0], r[1][0]) == ("label", "covariate")),
            "takes moved shares for label shift": _when(lambda r: r[0][0] == "label"),
            "no concept shift": _when(lambda r: r[2][0] in ("covariate", "label")),
            "the rule moves by itself": _when(lambda r: r[1][1] == 90 or r[2][1] == 75),
            "the rule stays the best": _when(lambda r: r[1][2] == 80),
        },
    },
    q2={"cases": _two_batches},
    q3={"cases": _logits},
    q4={
        "inputs": two_domains,
        "permuted": permuted(two_domains),
        "by_chance": 40.0,
        "finisher": "network_report",
        "more": functools.partial(unlabelled, shift=SHIFT),
        "score": functools.partial(percent_right, shift=SHIFT),
        "mistakes": {
            "returns no network": is_no_network,
            "keeps the old head": keeps_the_old_head,
            "begins with the digits' network": lambda report, score: began_with_digits(report["state"]),
            "never learned the source": scores_below(25),
            "stays with the source": scores_below(65),
        },
    },
)
