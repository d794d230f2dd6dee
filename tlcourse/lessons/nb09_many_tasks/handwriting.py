"""An auxiliary task of another world: a few handwritten digits, and printed letters by the thousand beside them."""

import functools
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load, train_test
from tlcourse.lessons.nb09_many_tasks.ways import LONGER, RECIPE, new_network
from tlcourse.multitask.tasks import MISSING, tasks_of
from tlcourse.multitask.training import learn_tasks
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import Recipe

SOURCE, TARGET = "printed-photo", "handwritten-photo"
LETTERS = 4000
ALONE, BESIDE = "alone", "beside printed letters"
PER_CLASS = (5, 20)  # handwritten digits with a label


def with_letters(few: ImageSet, letters: ImageSet | None) -> ImageSet:
    """Put digits and letters into one set with two attributes, `digit` and `letter`; each image answers one of them.

    Digits are repeated until they are half of the set. Without letters, the set has the attribute `digit` alone.
    """
    if letters is None:
        return ImageSet(few.images, few.labels, few.classes, {"digit": few.labels})
    again = torch.arange(len(few)).repeat(len(letters) // len(few))
    blank = torch.full((len(again),), MISSING), torch.full((len(letters),), MISSING)
    answers = {"digit": torch.cat([few.labels[again], blank[1]]), "letter": torch.cat([blank[0], letters.labels])}
    images = torch.cat([few.images[again], letters.images])
    return ImageSet(images, torch.zeros(len(images), dtype=torch.int64), few.classes, answers)


def trial(beside: str, per_class: int, seed: int, *, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """Learn to read handwriting from random weights, alone or beside letters; the accuracy is that on the test pool."""
    pool, test = train_test(TARGET)
    letters = load(SOURCE, "letters", count=LETTERS, seed=100 + seed) if beside == BESIDE else None
    data = with_letters(pool.few(per_class, seed), letters)
    network = new_network(tasks_of(data, list(data.attributes)), seed)
    learn_tasks(network, data, recipe=recipe, seed=seed)
    asked = ImageSet(test.images, test.labels, test.classes, dict.fromkeys(data.attributes, test.labels))
    return {**recipe.budget, "accuracy": 100 - network.errors(asked)["digit"]}


def beside_letters(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn from a few handwritten digits alone, and beside printed letters."""
    return grid(trial, beside=[ALONE, BESIDE], per_class=PER_CLASS, seed=seeds)


def letters_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Do the same from five digits of each class, with three times the updates."""
    longer = functools.partial(trial, recipe=LONGER)
    return grid(longer, beside=[ALONE, BESIDE], per_class=PER_CLASS[:1], seed=seeds)
