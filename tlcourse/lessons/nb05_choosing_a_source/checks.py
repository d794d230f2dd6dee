"""The code of the exercises of notebook 05: their texts are in `exercises.md` and `quiz.md`."""

from collections.abc import Callable

import numpy as np
import torch

from tlcourse.exercises.compare import as_array
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb05_choosing_a_source.rounds import permuted_rounds, rounds, share_gained
from tlcourse.repro import generator


def _four(value: object) -> np.ndarray | None:
    """Read an answer as four numbers, or None if it is no such thing."""
    numbers = as_array(value)
    return numbers if numbers is not None and numbers.shape == (4,) and numbers.dtype.kind in "iuf" else None


def _when(holds: Callable[[np.ndarray], bool]) -> Callable[[object], bool]:
    """Return what says whether an answer has four numbers of which something holds."""

    def matches(value: object) -> bool:
        numbers = _four(value)
        return numbers is not None and bool(holds(numbers))

    return matches


def _neighbours(seed: int) -> list[Case]:
    """Small clouds of two classes: one neighbour, twins of one class and of two, all others asked, and random ones."""
    draw = generator("05.q2", seed)

    def case(count: int, k: int, note: str = "", twins: bool = False) -> Case:
        labels = torch.arange(count) % 2
        while True:
            features = torch.randn(count, 2, generator=draw).mul(10).round() / 10
            if twins:
                features[2] = features[0]  # of the same class
            if not _ties_matter(features, labels, k):
                return Case((features, labels, k), note=note)

    lonely = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.3, 0.0], [0.4, 0.0], [5.0, 0.0]])
    unlike = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0], [3.5, 0.0]])
    edges = [
        case(4, 1, "one neighbour"),
        Case((lonely, torch.tensor([0, 0, 1, 1, 1]), 1), note="the first two images are the same"),
        Case((unlike, torch.tensor([0, 1, 0, 0]), 1), note="twins of different classes"),
        case(5, 3, "three neighbours"),
        case(4, 3, "all others are asked"),
        case(8, 1, "two images are the same", twins=True),
    ]
    return edges + [case(count, k) for count, k in ((6, 1), (7, 3), (9, 5), (12, 3))]


def _ties_matter(features: torch.Tensor, labels: torch.Tensor, k: int) -> bool:
    """Whether images of both classes are equally far from another one, and only some of them are among its k nearest.

    Which of them a right answer asks is then up to its sorting, and to how it rounds.
    """
    far = (10 * torch.cdist(features, features)).square().round()  # [N, N], whole numbers: what is equal is equal
    far.fill_diagonal_(float("inf"))
    last = far.sort(1).values[:, k - 1 : k]
    tied, cut = far == last, (far <= last).sum(1) > k
    of_both = (tied & (labels == 0)).any(1) & (tied & (labels == 1)).any(1)
    return bool((of_both & cut).any())


def _clouds(seed: int) -> list[Case]:
    """Pairs of small clouds: two points each, of unequal size, from the same place, far apart, and random ones."""
    draw = generator("05.q3", seed)

    def case(n: int, m: int, size: int, move: float, width: float, note: str = "") -> Case:
        a, b = (torch.randn(k, size, generator=draw, dtype=torch.float64) for k in (n, m))
        return Case((a.mul(10).round() / 10, (b + move).mul(10).round() / 10, width), note=note)

    edges = [
        case(2, 2, 1, 0.0, 1.0, "two points each"),
        case(2, 3, 1, 1.0, 2.0, "more points in b"),
        case(3, 3, 2, 20.0, 1.0, "far apart"),
        case(4, 3, 2, 0.0, 0.5, "from the same place"),
    ]
    return edges + [case(n, n + 1, 2, 1.0, 3.0) for n in (2, 3, 4, 5)]


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no four numbers": lambda value: _four(value) is None,
            "LEEP itself": _when(lambda four: four.min() < -0.1),
            "product without a root": _when(lambda four: abs(four[2] - 0.0625) < 0.01),
            "names have to agree": _when(lambda four: four[0] > 0.9 and abs(four[1]) < 0.01),
            "a coin counts as nothing": _when(lambda four: four[0] > 0.9 and abs(four[2]) < 0.01),
            "the mean of the chances": _when(lambda four: abs(four[3] - 0.75) < 0.01),
            "shares of images": _when(lambda four: abs(four[3] - 0.5) < 0.01),
        },
    },
    q2={"cases": _neighbours},
    q3={"cases": _clouds},
    q4={
        "inputs": rounds,
        "permuted": permuted_rounds,
        "by_chance": 40.0,
        "score": share_gained,
        "mistakes": {
            "no letters": lambda report, score: score is None,
            "the worst on top": lambda report, score: score is not None and score < -35,
            "no better than a lot": lambda report, score: score is not None and -35 <= score < 30,
        },
    },
)
