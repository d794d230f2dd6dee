"""The challenge of notebook 05: candidates without names, a few labels, and what a choice among them is worth."""

import functools
from collections.abc import Sequence

import pandas as pd
import torch

from tlcourse.data.worlds import load
from tlcourse.exercises.held_out import FRESH, permute
from tlcourse.lessons.nb05_choosing_a_source.experiment import WORLD, few_of, pool_features
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, CLOSE
from tlcourse.notebook.results import results
from tlcourse.repro import generator

ROUNDS, NAMES, PER_CLASS = 20, "ABCDEF", 3
SAME_SIZE = [name for name in CLOSE if (CANDIDATES[name] is None or CANDIDATES[name].width == 1)]

Round = tuple[dict[str, torch.Tensor], torch.Tensor]  # features [30, 128] by letter, and labels [30]


def who_is_who(seed: int) -> list[dict[str, str]]:
    """Draw for every round which candidate hides behind which letter."""
    draw = generator("rounds", FRESH + seed)
    order = [torch.randperm(len(SAME_SIZE), generator=draw).tolist() for _ in range(ROUNDS)]
    return [{letter: SAME_SIZE[i] for letter, i in zip(NAMES, places, strict=False)} for places in order]


def rounds(seed: int) -> tuple[list[Round]]:
    """Return the one argument of the challenge: features of other labelled images in every round."""
    pool, found = load(WORLD), []
    for number, hidden in enumerate(who_is_who(seed)):
        chosen = few_of(pool, PER_CLASS, FRESH + 100 * seed + number)
        features = {letter: pool_features(name, "train", 0.0)[chosen] for letter, name in hidden.items()}
        found.append((features, pool.labels[chosen]))
    return (found,)


def permuted_rounds(seed: int) -> tuple[list[Round]]:
    """Return the same with labels permuted."""
    return ([(features, permute(labels, seed)) for features, labels in rounds(seed)[0]],)


@functools.cache
def worth() -> pd.Series:
    """Return what every candidate reaches with 5 labels per class, in percent."""
    truth = results("zoo_truth")
    return truth[truth["per_class"] == 5].groupby("candidate")["accuracy"].mean()


def share_gained(chosen: Sequence[str], seed: int) -> float:
    """Return how much of what is between a choice by lot and the best one was gained, in percent.

    0 is a choice by lot, 100 the best in every round; below 0 it is worse than a lot. Raises ValueError when this is no
    list of one letter a round.
    """
    if not isinstance(chosen, list | tuple) or len(chosen) != ROUNDS or not set(chosen) <= set(NAMES):
        raise ValueError(f"expected a list of {ROUNDS} letters from A to F, one a round")
    gained = possible = 0.0
    for letter, hidden in zip(chosen, who_is_who(seed), strict=True):
        values = worth()[list(hidden.values())]
        gained += worth()[hidden[letter]] - values.mean()
        possible += values.max() - values.mean()
    return 100 * gained / possible
