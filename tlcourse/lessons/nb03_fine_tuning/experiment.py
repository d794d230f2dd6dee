"""The comparison of notebook 03: every strategy, the same budget, measured where it was trained for and elsewhere."""

import functools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.intervals import Interval
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, CARRIED, STRATEGIES
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import as_dict, as_texts, grid, intervals, paired
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import count_parameters, trainable
from tlcourse.transfer.heads import get_classifier

LABELS = (1, 5, 20)
HEADLINE = ("fine-tuned", "LP-FT")  # also trained three times as long; for scratch, notebook 00 does that
LONGER = Recipe(epochs=30)
MEASURED = {"target": "target", "shifted": "shifted target", "source": "source"}
WORLD = "handwritten-photo"
SHIFT = 0.5  # how far the shifted target lies, fixed before anything was measured


@functools.cache
def evaluation_sets(world: str = WORLD) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return what is measured on: the target's test pool, the same images shifted, and 1,000 new letters."""
    return (
        train_test(world)[1],
        train_test(world, shift=SHIFT)[1],
        load("printed-photo", "letters", "test", count=1000),
    )


@functools.cache
def features_before(network: str, world: str = WORLD) -> torch.Tensor:
    """Return what a pretrained network makes of the target's test pool before any training, `[N, features]`."""
    return extract_features(pretrained(network, "letters"), evaluation_sets(world)[0])


def head_accuracy(head: nn.Linear, features: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the accuracy in percent of a head on features `[N, features]`, which may be on another device."""
    with torch.inference_mode():
        answers = head(features.to(head.weight.device)).argmax(1).cpu()
    return 100 * (answers == labels).sum().item() / len(labels)


def source_accuracy(model: nn.Module, network: str, letters: ImageSet) -> float:
    """Return what a trained backbone still knows of its source: its accuracy in percent with the old head put back."""
    old_head = get_classifier(pretrained(network, "letters"))
    return head_accuracy(old_head, extract_features(model, letters), letters.labels)


def feature_drift(before: torch.Tensor, after: torch.Tensor) -> float:
    """Return how far training moved features `[N, features]` of the same images, in percent of their length.

    The mean over the images; about 140 would be two unrelated directions of equal length. Raises ValueError when the
    shapes differ.
    """
    if before.shape != after.shape:
        raise ValueError(
            f"features have shapes {list(before.shape)} and {list(after.shape)}. Expected the same images."
        )
    return 100 * ((after - before).norm(dim=1) / before.norm(dim=1)).mean().item()


def run_strategy(
    strategy: str, per_class: int, seed: int, *, world: str = WORLD, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Choose a few labels, train by a strategy, and measure; a seed stands for the same images in all strategies.

    `target`, `shifted` and `source` are accuracies in percent on `evaluation_sets`, the last one with the trained
    backbone and the old head. `drift` says how far the features of the target moved. Both are nan for networks that
    never knew letters. `trained` counts the weights that could move. Raises ValueError when there is no such strategy,
    or when it needs more labels.
    """
    check_strategy(strategy, per_class)
    how, (target, shifted, letters) = STRATEGIES[strategy], evaluation_sets(world)
    model, labelled = how.start(seed), train_test(world)[0].few(per_class, seed)
    begin = time.perf_counter()
    how.train(model, labelled, seed, how.setting, recipe)
    seconds = time.perf_counter() - begin
    head, features = get_classifier(model), extract_features(model, target)
    return budget(strategy, per_class, recipe) | {
        "target": head_accuracy(head, features, target.labels),
        "shifted": accuracy(model, shifted),
        "source": source_accuracy(model, how.network, letters) if how.carried else math.nan,
        "drift": feature_drift(features_before(how.network, world), features) if how.carried else math.nan,
        "seconds": seconds,
        "trained": count_parameters([*head.parameters()] if strategy == "linear probe" else trainable(model)),
    }


def check_strategy(strategy: str, per_class: int) -> None:
    """Raise ValueError for a strategy that does not exist or cannot work with so few labels."""
    if strategy not in STRATEGIES:
        raise ValueError(f"there is no strategy {strategy!r}. Expected one of: {', '.join(map(repr, STRATEGIES))}.")
    if per_class < STRATEGIES[strategy].fewest:
        raise ValueError(
            f"{strategy} needs at least {STRATEGIES[strategy].fewest} labels per class, but {per_class} was asked for: "
            "it holds one of them back."
        )


def budget(strategy: str, per_class: int, recipe: Recipe) -> dict[str, Any]:
    """Return what a strategy may spend: updates, images in each, the highest rate, and whether they are augmented."""
    lr = STRATEGIES[strategy].setting
    if strategy == "linear probe":
        return {"updates": 0, "batch": math.nan, "lr": math.nan, "augmented": False}
    if strategy in BASELINES:
        return replace(recipe, lr=lr, batch=min(128, 10 * per_class), augment=None).budget
    return replace(recipe, lr=lr).budget


def run_strategies(
    strategies: Sequence[str] = tuple(STRATEGIES),
    labels: Iterable[int] = LABELS,
    seeds: Iterable[int] = range(5),
    *,
    world: str = WORLD,
    recipe: Recipe = Recipe(),
    progress: bool = True,
) -> pd.DataFrame:
    """Run every combination, several at the same time; by default the whole table that came with the course.

    One row a training: strategy, labels per class, seed, and what `run_strategy` measures. A strategy that needs more
    labels is left out.
    """

    def trial(strategy: str, per_class: int, seed: int) -> dict[str, Any] | list:
        too_few = strategy in STRATEGIES and per_class < STRATEGIES[strategy].fewest
        return [] if too_few else run_strategy(strategy, per_class, seed, world=world, recipe=recipe)

    evaluation_sets(world)  # once, before the threads ask
    return grid(trial, strategy=strategies, per_class=labels, seed=seeds, progress=progress)


def strategy_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line of text for every strategy in rows with one number of labels.

    The seconds are those of the fastest seed: whatever else a computer does can only make a training slower.
    """
    strategies = rows.groupby("strategy", sort=False)
    columns = {
        "strategy": list(strategies.groups),
        "target %": as_texts(intervals(rows, "target", by="strategy")),
        "shifted %": as_texts(intervals(rows, "shifted", by="strategy")),
        "source %": [_rounded(value) for value in strategies.source.mean()],
        "drift %": [_rounded(value) for value in strategies.drift.mean()],
        "seconds": [f"{seconds:.2f}" for seconds in strategies.seconds.min()],
        "weights trained": [f"{count:,}" for count in strategies.trained.first()],
    }
    return pd.DataFrame(columns)


def _rounded(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}"


def compare(rows: pd.DataFrame, strategy: str, other: str) -> pd.DataFrame:
    """Return a line of text for every number of labels: one strategy minus another, seed by seed, in points."""
    found = {what: paired(rows, what, "strategy", strategy, other, by="per_class") for what in MEASURED}
    texts = {MEASURED[what]: as_texts(differences) for what, differences in found.items()}
    return pd.DataFrame({"labels per class": found["target"].per_class} | texts)


def longer_table(short: pd.DataFrame, longer: pd.DataFrame) -> pd.DataFrame:
    """Return a line of text for every strategy and number of labels in `longer`: target accuracy with both budgets."""
    both = pd.concat([short[short.strategy.isin(longer.strategy) & short.seed.isin(longer.seed)], longer])
    gains = paired(both, "target", "updates", longer.updates.max(), short.updates.max(), by=["strategy", "per_class"])
    found = intervals(both, "target", by=["strategy", "per_class", "updates"])
    columns = {f"{updates} updates": as_texts(rows) for updates, rows in found.groupby("updates")}
    return gains[["strategy", "per_class"]].assign(**columns, gained=as_texts(gains))


def above_fine_tuned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return by how many `points` every other strategy is above fine-tuning, seed by seed, for each `measure`."""
    keys = ["per_class", "seed", "measure"]
    long = rows.melt(["strategy", "per_class", "seed"], ["target", "shifted"], "measure", "accuracy")
    tuned = long[long.strategy == "fine-tuned"].set_index(keys).accuracy
    others = long[(long.strategy != "fine-tuned") & long.strategy.isin(CARRIED)].set_index(keys)
    return others.assign(points=others.accuracy - tuned.reindex(others.index)).reset_index()


def measured(rows: pd.DataFrame) -> dict[str, Interval]:
    """Return the intervals of rows with one number of labels by name, such as `"LP-FT, shifted"`: for predictions."""
    found = {what: as_dict(intervals(rows, what, by="strategy")) for what in MEASURED}
    return {f"{name}, {what}": each for what, names in found.items() for name, each in names.items()}


def split_labelled(images: ImageSet, per_class: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return `images.few(per_class, seed)`, and all the others."""
    labelled = images.few(per_class, seed)
    taken = {image.numpy().tobytes() for image in labelled.images}
    rest = [image.numpy().tobytes() not in taken for image in images.images]
    return labelled, images.subset(torch.tensor(rest))
