"""Surgical fine-tuning: when the world changes and a few labels come with it, which stage should learn again?"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb11_robustness.conditions import KINDS, SHIFT, TARGET, corrupted, pool_under, sheets
from tlcourse.lessons.nb11_robustness.learning import TUNED, learned
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.weight_space import measure_batchnorm
from tlcourse.transfer.freezing import free_only

STRONG = 4  # the severity: here something must be left to mend
DIAL, RENAMED = "dial", "classes renamed"  # the far end of the dial; and every digit called as the next one
CHANGES = (*KINDS, DIAL, RENAMED)
SOME = ("noise", "contrast", "elastic", RENAMED)  # for what is run to choose and to check
NOTHING, STATISTICS, EVERYTHING = "nothing", "statistics", "everything"
STAGES = ("stem", "block1", "block2", "block3", "block4", "head")
PARTS = (NOTHING, STATISTICS, *STAGES, EVERYTHING)
BEFORE, FEW = 50, 5  # labels a class: before the world changed, and after

AGAIN = Recipe(epochs=20, augment=None)  # 200 updates; an augmentation would be a second change
AGAIN_LONGER = replace(AGAIN, epochs=60)
TRIED = (1e-3, 3e-3, 1e-2, 3e-2)
# The rate with the most right answers on held-out sheets, as a mean over some changes, part by part; see `stage_rates`.
RATES = {"stem": 3e-3, "block1": 1e-2, "block2": 1e-2, "block3": 3e-3, "block4": 3e-3, "head": 3e-3, EVERYTHING: 1e-3}


def changed(data: ImageSet, change: str, seed: int = 0) -> ImageSet:
    """Return images as a change of the world leaves them, or, where classes are renamed, with other labels."""
    if change == RENAMED:
        return replace(data, labels=(data.labels + 1) % len(data.classes))
    return corrupted(data, change, STRONG, seed)


def target(change: str, split: str) -> ImageSet:
    """Return a pool of handwriting after a change."""
    if change == DIAL:
        return pool_under(SHIFT, 1.0) if split == "test" else load(TARGET, shift=1.0)
    if split == "test" and change != RENAMED:
        return pool_under(change, STRONG)
    return changed(load(TARGET, split=split), change, seed=7)


def mended(model: nn.Module, part: str, labelled: ImageSet, seed: int, recipe: Recipe, lr: float) -> nn.Module:
    """Let a part of a copy of a network learn from labelled images after the change."""
    model = copy.deepcopy(model)
    if part == NOTHING:
        return model
    if part == STATISTICS:
        return measure_batchnorm(model, labelled.images)
    if part != EVERYTHING:
        free_only(model, part)
    train(model, labelled, recipe, seed=seed, lr=lr)
    return model


def trial(seed: int, *, changes: Sequence[str] = CHANGES, recipe: Recipe = AGAIN) -> list[dict[str, Any]]:
    """Fine-tune on 50 clean labels a class, then let each part learn from 5 a class after each change of the world.

    `accuracy`, in percent, is of the test pool after the change; `labels` come from the training pool.
    """
    base = learned(TUNED, load(TARGET).few(BEFORE, seed), seed)
    rows = []
    for change in changes:
        labelled, test = target(change, "train").few(FEW, seed), target(change, "test")
        for part in PARTS:
            model = mended(base, part, labelled, seed, recipe, RATES.get(part, 0.0))
            rows.append({"change": change, "part": part, **recipe.budget, "accuracy": accuracy(model, test)})
    return [{name: value for name, value in row.items() if name != "lr"} for row in rows]


def stages_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure every part under every change."""
    return grid(trial, seed=seeds)


def longer_trial(seed: int) -> list[dict[str, Any]]:
    """Measure some changes after three times the updates."""
    return trial(seed, changes=SOME, recipe=AGAIN_LONGER)


def stages_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure every part under some changes, after 600 updates."""
    return grid(longer_trial, seed=seeds)


def rates_trial(seed: int) -> list[dict[str, Any]]:
    """Try every rate for every part on held-out sheets of the training pool, after some changes."""
    learn, watch = sheets(held_out=False), sheets(held_out=True)
    base = learned(TUNED, learn.few(40, seed), seed)
    rows = []
    for change in SOME:
        labelled, other = changed(learn, change, seed=7), changed(watch, change, seed=8)
        for part in RATES:
            for lr in TRIED:
                model = mended(base, part, labelled.few(FEW, seed), seed, AGAIN, lr)
                rows.append({"change": change, "part": part, "lr": lr, "accuracy": accuracy(model, other)})
    return rows


def stage_rates(seeds: Sequence[int]) -> pd.DataFrame:
    """Try every rate for every part; the test pool is not looked at."""
    return grid(rates_trial, seed=[100 + seed for seed in seeds])
