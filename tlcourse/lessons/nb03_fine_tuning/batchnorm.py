"""Batch normalisation in small batches: the same updates, normalised over fewer images at a time."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import Recipe, adamw

SIZES = (2, 4, 8, 16, 48)  # images that are normalised together; every update is over 48 all the same
RECIPE = Recipe(epochs=6, batch=48, lr=3e-3)
KEPT = "kept from the source"


def train_in_groups(
    model: nn.Module, labelled: ImageSet, size: int, seed: int, *, keep: bool = False, recipe: Recipe = RECIPE
) -> None:
    """Train in place; every update adds up the gradients of groups of so many images (gradient accumulation).

    The images, the updates and the loss do not depend on the size: only what batch normalisation sees at a time does.
    With `keep`, it goes on normalising by the statistics that it has, and the size makes no difference.
    """
    optimizer, schedule = adamw(model, recipe.lr, recipe.updates)
    batches = recipe.batches(labelled, seed)
    model.train(not keep)  # this network has nothing else that depends on the mode
    for _ in range(recipe.epochs):
        for x, y in batches:
            optimizer.zero_grad()
            for images, labels in zip(x.split(size), y.split(size), strict=True):
                (F.cross_entropy(model(images), labels, reduction="sum") / len(x)).backward()
            optimizer.step()
            schedule.step()


def batchnorm_trial(size: int, seed: int, *, per_class: int = 5, recipe: Recipe = RECIPE) -> list[dict[str, Any]]:
    """Fine-tune in groups of one size and measure the test pool (%); with the largest, also with kept statistics."""
    digits, test = train_test("handwritten-photo")
    rows = []
    for statistics in (f"groups of {size}", *([KEPT] if size == max(SIZES) else [])):
        model = STRATEGIES["fine-tuned"].start(seed)
        train_in_groups(model, digits.few(per_class, seed), size, seed, keep=statistics == KEPT, recipe=recipe)
        rows.append(recipe.budget | {"statistics": statistics, "accuracy": accuracy(model, test)})
    return rows


def run_batchnorm(
    sizes: Iterable[int] = SIZES, seeds: Iterable[int] = range(5), *, progress: bool = True
) -> pd.DataFrame:
    """Try every size with every seed, several at the same time."""
    return grid(batchnorm_trial, size=sizes, seed=seeds, progress=progress)
