"""The code of the exercises of notebook 12: their texts are in `exercises.md` and `quiz.md`."""

import torch

from tlcourse.exercises.held_out import permute
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb12_your_own_images.referrals import (
    answers_all,
    answers_none,
    breaks_the_promise,
    given,
    just_breaks_the_promise,
    percent_sorted,
    sorted_and_right,
)
from tlcourse.repro import generator


def _permuted(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the learner's function gets, but with labels that say nothing."""
    seen, labels, new = given(seed)
    return seen, permute(labels, seed), new


def _two_lists(seed: int) -> list[Case]:
    """The same classes in another order, fewer classes in the folder, and one that the classifier does not know."""
    draw = generator("12.q2", seed)
    names = ("apple", "kiwi", "lemon", "mango", "plum", "pear")
    cases = [
        Case(([0, 1], ("kiwi", "plum"), [0, 1], ("kiwi", "plum")), note="one order"),
        Case(([0, 0, 1], ("plum", "kiwi"), [1, 1, 0], ("kiwi", "plum")), note="another order, all right"),
        Case(([0, 1, 1], ("plum", "kiwi"), [0, 1, 1], ("kiwi", "plum")), note="another order, none right"),
        Case(([1, 0, 1], ("plum", "kiwi"), [1, 0, 0], ("kiwi", "lime")), note="a class that it does not know"),
    ]
    for _ in range(6):
        mine = [names[i] for i in torch.randperm(6, generator=draw).tolist()]
        theirs = [(*names, "lime")[i] for i in torch.randperm(7, generator=draw)[:5].tolist()]
        answers = torch.randint(6, (12,), generator=draw).tolist()
        known = [theirs.index(mine[a]) if mine[a] in theirs else 0 for a in answers]
        noise = torch.randint(5, (12,), generator=draw).tolist()
        labels = [k if i % 2 else n for i, (k, n) in enumerate(zip(known, noise, strict=True))]
        cases.append(Case((answers, tuple(mine), labels, tuple(theirs))))
    return cases


def _pictures(seed: int) -> list[Case]:
    """Small pictures in both directions, one that is all square, and the statistics of two families of networks."""
    draw = generator("12.q3", seed)
    imagenet, half = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    sizes = ((2, 4, 2, "one row above the other"), (6, 4, 4, "higher than wide"), (4, 4, 4, "nothing to cut"))
    cases = []
    for height, width, crop, note in (*sizes, (5, 9, 3, "wider than high"), (8, 6, 2, "a small square")):
        pixels = torch.randint(256, (height, width, 3), dtype=torch.uint8, generator=draw)
        for mean, std in (imagenet, half):
            cases.append(Case((pixels, crop, torch.tensor(mean), torch.tensor(std)), note=note))
    return cases


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q2={
        "cases": _two_lists,
    },
    q3={
        "cases": _pictures,
    },
    q4={
        "inputs": given,
        "permuted": _permuted,
        "by_chance": 10.0,  # percent answered, the promise kept: with labels that say nothing, hardly any can be
        "score": percent_sorted,
        "explain": sorted_and_right,
        "mistakes": {
            "answers everything": answers_all,
            "answers nothing": answers_none,
            "keeps nothing in reserve": just_breaks_the_promise,
            "takes the network at its word": breaks_the_promise,
        },
    },
)
