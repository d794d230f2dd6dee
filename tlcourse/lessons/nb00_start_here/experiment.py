"""The experiments of notebook 00: the same training from three starts, and its networks in a world that moves away."""

import functools
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.notebook.results import as_texts, grid, intervals, paired
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import STARTS, starting_model
from tlcourse.transfer.freezing import count_parameters, trainable

WORLD = "handwritten-photo"
LABELS_PER_CLASS = (1, 2, 5, 10, 20, 50)
SHIFTS = tuple(step / 10 for step in range(11))
SOURCES = ("none", "letters", "digits")
SHOWN = 15  # test images whose answers are kept

_halves = functools.cache(train_test)


def trial(
    start: str,
    per_class: int,
    seed: int,
    *,
    world: str = WORLD,
    recipe: Recipe = Recipe(),
    network: str = "tiny_resnet",
    source: str = "letters",
) -> dict[str, Any]:
    """Choose a few labels of a world, train from one start, and measure the accuracy on the test half in percent.

    The seed is that of everything random, the same for all starts, which makes them comparable in pairs. Beside the
    accuracy stand the seconds of the training and how many weights it could move.
    """
    training_half, test = _halves(world)
    model = starting_model(start, seed, classes=len(test.classes), network=network, source=source)
    begin = time.perf_counter()
    train(model, training_half.few(per_class, seed), recipe, seed=seed)
    seconds = time.perf_counter() - begin
    return {"accuracy": accuracy(model, test), "seconds": seconds, "trained": count_parameters(trainable(model))}


def labels_curve(seeds: Sequence[int], labels: Sequence[int] = LABELS_PER_CLASS) -> pd.DataFrame:
    """Run every start with every number of labels per class."""
    rows = grid(trial, per_class=labels, seed=seeds, start=STARTS)
    return rows[["start", "per_class", "seed", "accuracy", "seconds", "trained"]]


def score_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Say for every start and number of labels what it reached, how long it took and how much could move."""
    summary = intervals(trials)
    groups = trials.groupby(["start", "per_class"], sort=False)
    return pd.DataFrame(
        {
            "start": summary["start"],
            "labels per class": summary["per_class"],
            "accuracy in % [95 % interval]": as_texts(summary),
            "seconds": groups["seconds"].mean().tolist(),
            "weights trained": groups["trained"].first().tolist(),
        }
    )


def gain_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Say for every number of labels by how many points each transfer is above scratch, seed by seed."""
    table = {"labels per class": trials["per_class"].drop_duplicates().tolist()}
    for start in STARTS[1:]:
        gain = paired(trials, "accuracy", "start", start, "scratch", by="per_class")
        table[f"{start} [95 % interval]"] = as_texts(gain)
    return pd.DataFrame(table)


def shifted_trial(
    source: str, start: str, per_class: int, seed: int, shifts: Sequence[float] = SHIFTS
) -> list[dict[str, Any]]:
    """Train one network on the target as it is, and ask it about the test half at every shift, from 0 to 1.

    Every row has the accuracy in percent and the answers to the first test images, a digit each. There is nothing to do
    where a source is asked to start from scratch, or a transfer to do without one ("none").
    """
    if (source == "none") != (start == "scratch"):
        return []
    model = starting_model(start, seed, source="letters" if source == "none" else source)
    train(model, load(WORLD).few(per_class, seed), seed=seed)
    rows = []
    for shift in shifts:
        test = load(WORLD, split="test", shift=shift)
        answers = predict(model, test).argmax(1)
        percent = 100 * (answers == test.labels).double().mean().item()
        rows.append({"shift": shift, "accuracy": percent, "answers": "".join(map(str, answers[:SHOWN].tolist()))})
    return rows


def shift_grid(
    seeds: Sequence[int], labels: Sequence[int] = LABELS_PER_CLASS, shifts: Sequence[float] = SHIFTS
) -> pd.DataFrame:
    """Ask networks of every source, start and number of labels about the test half at every shift."""
    rows = grid(shifted_trial, seed=seeds, per_class=labels, source=SOURCES, start=STARTS, shifts=[shifts])
    return rows[["source", "start", "per_class", "seed", "shift", "accuracy", "answers"]]
