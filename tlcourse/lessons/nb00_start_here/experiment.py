"""The experiments of notebook 00: three starts, by labels and by updates, and what they know in a world moved away."""

import functools
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import CONVERGED, Recipe
from tlcourse.training.starts import STARTS, train_from
from tlcourse.transfer.freezing import count_parameters, trainable

WORLD = "handwritten-photo"
LABELS_PER_CLASS = (1, 2, 5, 10, 20, 50)
DIAL_LABELS = (1, 5, 20, 50)  # where the world moves, fewer will do
BUDGET = list(Recipe().budget)  # the columns that say what a training could spend
UPDATES = (2, 5, 10, 20, 50, 100, 200, 600, 1800)
LONGER, LONGER_SEEDS = 3 * CONVERGED.updates, 5  # three times what the curve had, with fewer seeds
SHIFTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
SOURCES = ("none", "letters", "digits")
SHOWN = 15  # test images whose answers are kept

_pools = functools.cache(train_test)


def trial(
    start: str, per_class: int, seed: int, *, world: str = WORLD, recipe: Recipe = CONVERGED, source: str = "letters"
) -> dict[str, Any]:
    """Choose a few labels of a world, learn from one start, and measure the accuracy on the test pool in percent.

    The seed is that of everything random, the same for all starts, which makes them comparable in pairs. Beside the
    accuracy stand the budget, the seconds that learning took and how many weights it could move.
    """
    labelled, test = _pools(world)[0].few(per_class, seed), _pools(world)[1]
    begin = time.perf_counter()
    model = train_from(start, labelled, recipe, seed=seed, source=source)
    seconds = time.perf_counter() - begin
    measured = {"accuracy": accuracy(model, test), "seconds": seconds}
    return {**recipe.budget, **measured, "trained": count_parameters(trainable(model))}


def labels_curve(seeds: Sequence[int], labels: Sequence[int] = LABELS_PER_CLASS) -> pd.DataFrame:
    """Run every start with every number of labels per class, where training from scratch has converged."""
    rows = grid(trial, per_class=labels, seed=seeds, start=STARTS)
    return rows[["start", "per_class", "seed", *BUDGET, "accuracy", "seconds", "trained"]]


def time_saved(seeds: Sequence[int], labels: Sequence[int] = (5, 50), updates: Sequence[int] = UPDATES) -> pd.DataFrame:
    """Train from scratch and from the letters for so many updates, each time anew with a schedule of that length.

    The longest is run with the first seeds only.
    """
    frames = []
    for number in updates:
        recipe = Recipe(epochs=max(1, number // 10), steps=min(10, number))
        some = seeds if number < LONGER else seeds[:LONGER_SEEDS]
        frames.append(grid(trial, per_class=labels, recipe=[recipe], seed=some, start=("scratch", "fine-tuned")))
    return pd.concat(frames, ignore_index=True)[["start", "per_class", "seed", *BUDGET, "accuracy", "seconds"]]


def times_fewer(rows: pd.DataFrame, updates: int = CONVERGED.updates, short_of: float = 1.0) -> dict[str, Interval]:
    """Say how many times fewer updates fine-tuning needs than scratch for what scratch has after so many, by labels.

    The goal is one point below that, for both, since a curve that has flattened wavers by about a point. Factors
    multiply, so mean and t interval over seeds are those of their logarithms.
    """
    found = {}
    for per_class, group in rows.groupby("per_class", sort=False):
        factors = []
        for _, runs in group.groupby("seed"):
            curves = runs.pivot(index="start", columns="updates", values="accuracy")
            goal = curves.loc["scratch", updates] - short_of
            scratch, tuned = (updates_needed(curves.loc[start].dropna(), goal) for start in ("scratch", "fine-tuned"))
            factors.append(scratch / tuned)
        logs = t_interval(np.log(factors).tolist())
        found[f"{per_class} per class"] = Interval(*np.exp([logs.mean, logs.low, logs.high]).tolist())
    return found


def updates_needed(curve: pd.Series, goal: float) -> float:
    """Return after how many updates a curve, accuracy by updates, first reaches the goal.

    Between two measured points it is read by the logarithm of the updates; a curve that begins above the goal needs its
    first number, one that never reaches it its last.
    """
    reached = curve.index[curve >= goal]
    if not len(reached):
        return float(curve.index[-1])
    place = curve.index.get_loc(reached[0])
    if place == 0:
        return float(reached[0])
    before, after = curve.index[place - 1], curve.index[place]
    share = (goal - curve[before]) / (curve[after] - curve[before])
    return float(before * (after / before) ** share)


def shifted_trial(
    source: str, start: str, per_class: int, seed: int, shifts: Sequence[float] = SHIFTS, recipe: Recipe = Recipe()
) -> list[dict[str, Any]]:
    """Train one network on the target as it is, and ask it about the test pool at every shift, from 0 to 1.

    Every row has the accuracy in percent and the answers to the first test images, a digit each. There is nothing to do
    where a source is asked to start from scratch, or a transfer to do without one ("none").
    """
    if (source == "none") != (start == "scratch"):
        return []
    given = {"source": source} if source != "none" else {}
    model = train_from(start, load(WORLD).few(per_class, seed), recipe, seed=seed, **given)
    rows = []
    for shift in shifts:
        test = load(WORLD, split="test", shift=shift)
        answers = predict(model, test).argmax(1)
        percent = 100 * (answers == test.labels).double().mean().item()
        shown = "".join(map(str, answers[:SHOWN].tolist()))
        rows.append({"shift": shift, **recipe.budget, "accuracy": percent, "answers": shown})
    return rows


def shift_grid(
    seeds: Sequence[int], labels: Sequence[int] = DIAL_LABELS, shifts: Sequence[float] = SHIFTS
) -> pd.DataFrame:
    """Ask networks of every source, start and number of labels about the test pool at every shift."""
    rows = grid(shifted_trial, seed=seeds, per_class=labels, source=SOURCES, start=STARTS, shifts=[shifts])
    return rows[["source", "start", "per_class", "seed", "shift", *BUDGET, "accuracy", "answers"]]
