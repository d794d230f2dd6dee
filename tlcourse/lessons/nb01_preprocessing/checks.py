"""The code of the exercises of notebook 01: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import torch

from tlcourse.data.cleaning import precision_recall
from tlcourse.data.defects import CHANGES, plant_defects
from tlcourse.exercises.compare import as_array, same
from tlcourse.exercises.held_out import FRESH, held_out
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.repro import generator


def _rows(seed: int) -> list[Case]:
    """Small tables with labels of two classes, of which some rows are to be trained on."""
    draw = generator("01.q2", seed)

    def table(rows: int, features: int) -> torch.Tensor:
        return (10 * torch.rand(rows, features, generator=draw)).round(decimals=2)

    far = table(6, 3)
    far[5] = torch.tensor([90.0, 0.0, 50.0])
    still = table(6, 3)
    still[:4, 0] = 5.0
    coin, train = torch.tensor([0, 1, 0, 1, 0, 1]), torch.arange(4)
    cases = [
        Case((table(6, 1), coin, train, 1), note="one feature"),
        Case((far, coin, train, 1), note="a held-out row far away"),
        Case((still, coin, train, 1), note="a feature that only held-out rows move"),
        Case((table(4, 3), coin[:4], train, 2), note="nothing is held out"),
        Case((table(6, 3), coin, torch.tensor([5, 2, 0, 3]), 3), note="all features, rows in another order"),
    ]
    for _ in range(6):
        order = torch.randperm(4, generator=draw)
        chosen = torch.cat([order[:2] * 2, order[2:] * 2 + 1])  # two of each class
        cases.append(Case((table(8, 5), torch.tensor([0, 1] * 4), chosen, 2)))
    return cases


def same_columns(got: object, right: object) -> bool:
    """Say whether `[N, F]` have the same columns in any order; deviations over N are as good as over N - 1."""
    mine, theirs = as_array(got), as_array(right)
    if mine is None or mine.shape != theirs.shape:
        return False
    wider = (len(theirs) / (len(theirs) - 1)) ** 0.5
    return any(_are_columns(list(mine.T), theirs.T * factor) for factor in (1, wider))


def _are_columns(left: list, wanted: Iterable) -> bool:
    for column in wanted:
        place = next((i for i, other in enumerate(left) if same(other, column, 1e-3)), None)
        if place is None:
            return False
        left.pop(place)
    return True


def _linked(seed: int) -> list[Case]:
    """Few images, pairs that look alike, and which images are tested."""
    draw = generator("01.q3", seed)
    cases = [
        Case((2, [(0, 1)], [0]), note="one copy of a test image"),
        Case((2, [(0, 1)], [1]), note="the same, the pair the other way round"),
        Case((3, [], [1]), note="no pairs"),
        Case((3, [(1, 2)], [0]), note="a pair within the training part"),
        Case((3, [(0, 1), (1, 2)], [0]), note="a copy of a copy"),
        Case((5, [(3, 4), (2, 3), (1, 2)], [1]), note="a longer chain, its end first"),
        Case((2, [(0, 1)], [0, 1]), note="everything is tested"),
    ]
    for _ in range(6):
        order = torch.randperm(10, generator=draw).tolist()
        pairs = [(a, b) for a, b in torch.randint(10, (5, 2), generator=draw).tolist() if a != b]
        cases.append(Case((10, pairs, sorted(order[:2]))))
    return cases


def same_numbers(got: object, right: object) -> bool:
    """Say whether a collection of any kind holds the same whole numbers, each once, in whatever order."""
    listed = list(got) if isinstance(got, Set) else got
    if isinstance(listed, list | tuple) and not listed:
        return not right
    numbers = as_array(listed)
    if numbers is None or numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        return False
    return sorted(numbers.tolist()) == sorted(right)


MADE: Mapping[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "exact": lambda image, draws: image,
    **CHANGES,
}
EACH = 10  # copies of every kind


@functools.lru_cache(maxsize=4)
def with_copies(seed: int) -> tuple[torch.Tensor, Mapping[tuple[int, int], str]]:
    """Return digits of the exam pool, with copies of some of them and blank images among them.

    The images are uint8 `[467, 3, 32, 32]`; every planted pair (later image, earlier image) says how the copy was made.
    """
    draws = generator("01.q4", FRESH + seed)
    dirty, truth = plant_defects(held_out(seed), draws, exact=EACH * len(MADE), near=0, wrong=0)
    images, kinds = dirty.images.clone(), {}
    for k, (copy, original) in enumerate(truth.exact.items()):
        how = list(MADE)[k % len(MADE)]
        images[copy] = MADE[how](images[copy], draws)
        kinds[max(copy, original), min(copy, original)] = how
    return images, kinds


def as_pairs(report: object) -> set[tuple[int, int]]:
    """Read pairs of image numbers, the larger first, from a list, a set or an array; raises TypeError otherwise."""
    array = as_array(report)
    listed = array.tolist() if array is not None else report
    is_listed = isinstance(listed, list | tuple | Set)
    if not is_listed or not all(isinstance(pair, list | tuple | Set) and 1 <= len(pair) <= 2 for pair in listed):
        raise TypeError("pairs of image numbers were expected, such as [(7, 3), (12, 5)]")
    return {(int(max(pair)), int(min(pair))) for pair in listed}


def f1(report: object, seed: int) -> float:
    """Return the F1 of pairs that were found, from 0 to 100: the harmonic mean of precision and recall."""
    found, planted = as_pairs(report), with_copies(seed)[1]
    return 100 * 2 * len(found & planted.keys()) / (len(found) + len(planted))


def what_was_found(report: object, seed: int) -> list[tuple[str, str]]:
    """Return precision and recall, and how many copies of every kind were found, as details of a card."""
    found, planted = as_pairs(report), with_copies(seed)[1]
    precision, recall = precision_recall(found, planted)
    counts = {how: sum(planted[pair] == how for pair in found & planted.keys()) for how in MADE}
    lines = [f"{how:11s} {count:2d} of {EACH}" for how, count in counts.items()]
    return [
        ("precision", f"{precision:.0%} of {len(found)} pairs" if found else "no pair was found"),
        ("recall", f"{recall:.0%} of {len(planted)} copies"),
        ("found", "\n".join(lines)),
    ]


def _are_numbers(report: Any, score: float | None) -> bool:  # noqa: ANN401
    array = as_array(list(report) if isinstance(report, Set) else report)
    return score is None and array is not None and array.ndim == 1


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={"mistakes": {"a set": lambda value: isinstance(value, Set)}},
    q2={
        "cases": _rows,
        "agrees": same_columns,
    },
    q3={
        "cases": _linked,
        "agrees": same_numbers,
    },
    q4={
        "inputs": lambda seed: (with_copies(seed)[0],),  # no labels that could be permuted
        "score": f1,
        "explain": what_was_found,
        "mistakes": {
            "numbers instead of pairs": _are_numbers,
            "no pair at all": lambda report, score: score is not None and not as_pairs(report),
            "an image as its own copy": lambda report, score: (
                score is not None and any(a == b for a, b in as_pairs(report))
            ),
            "exact copies only": lambda report, score: (
                score is not None and len(as_pairs(report)) <= EACH and score > 15
            ),
            "a threshold that lets everything in": lambda report, score: (
                score is not None and len(as_pairs(report)) > 210
            ),
            "the course's detectors as they are": lambda report, score: score is not None and 70 < score < 79,
        },
    },
)
