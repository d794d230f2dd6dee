"""What is worth carrying over, how a new head should begin, and what frozen batch normalisation should do."""

import functools
from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import as_texts, grid, intervals
from tlcourse.repro import seeded
from tlcourse.training.recipe import CONVERGED, Recipe, train
from tlcourse.transfer.freezing import BatchNormPolicy, freeze, training_mode
from tlcourse.transfer.heads import class_mean_head
from tlcourse.transfer.linear_probe import linear_probe
from tlcourse.transfer.weights import load_weights

# what is carried over: from which source, how many of the five stages, and whether the head comes along
CARRIED: dict[str, tuple[str, int, bool]] = {
    "random": ("letters", 0, False),
    "letters, first 2 stages": ("letters", 2, False),
    "letters, all but the head": ("letters", 5, False),
    "digits, everything": ("digits", 5, True),
}
CLASS_MEANS = "letters, head of class means"  # in place of PyTorch's own random head
STRATEGIES = (*CARRIED, CLASS_MEANS)
SCALE = 0.1  # of logits from class means before fine-tuning; chosen on the training pool
WORLD = "handwritten-photo"
BATCH = 50  # images whose mean and variance are measured together

_pools = functools.cache(train_test)


def carry_over(strategy: str, seed: int) -> nn.Module:
    """Make a network for ten digits with part of a pretrained one in it, one of `CARRIED`; the rest is random.

    Raises ValueError when there is no such strategy.
    """
    if strategy not in CARRIED:
        known = ", ".join(map(repr, CARRIED))
        raise ValueError(f"{strategy!r} is no strategy. Expected one of: {known}.")
    source, depth, with_head = CARRIED[strategy]
    with seeded("weights", seed):
        model = TinyResNet(10)
    if depth:
        left = [*model.stages()][depth:] + ([] if with_head else [model.head_name])
        load_weights(model, pretrained("tiny_resnet", source).state_dict(), skip=[f"{name}." for name in left])
    return model


def starting_network(strategy: str, labelled: ImageSet, seed: int) -> nn.Module:
    """Make the network that a strategy starts from, one of `STRATEGIES`; class means are of the labelled images."""
    if strategy != CLASS_MEANS:
        return carry_over(strategy, seed)
    model = carry_over("letters, all but the head", seed)
    class_mean_head(model.head, extract_features(model, labelled), labelled.labels, SCALE)
    return model


def trial(
    strategy: str, seed: int, *, recipe: Recipe = Recipe(), world: str = WORLD, per_class: int = 5
) -> dict[str, Any]:
    """Choose a few labels, start by a strategy, train everything, and measure on the test pool.

    The seed is that of everything random, the same for all strategies, which makes them comparable in pairs. `before`
    and `accuracy` are in percent, before and after training; the rest is the budget. Raises ValueError when there is no
    such strategy.
    """
    pool, test = _pools(world)
    labelled = pool.few(per_class, seed)
    model = starting_network(strategy, labelled, seed)
    before = accuracy(model, test)
    train(model, labelled, recipe, seed=seed)
    return recipe.budget | {"before": before, "accuracy": accuracy(model, test)}


def transfer_strategies(
    seeds: Iterable[int],
    strategies: Iterable[str] = STRATEGIES,
    recipes: Iterable[Recipe] = (Recipe(), CONVERGED),
    *,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every strategy with every seed, 5 labels per class, for a short and for a long training: a row each."""
    rows = grid(trial, progress=progress, recipe=recipes, strategy=strategies, seed=seeds)
    return rows.drop(columns="recipe")


def strategy_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Say for every strategy where it began, and what it reached with each budget."""
    table = intervals(trials, "before", by="strategy")[["strategy", "mean"]].rename(columns={"mean": "before (%)"})
    for count, rows in trials.groupby("updates"):
        table[f"{count} updates (%)"] = as_texts(intervals(rows, by="strategy"))
    return table


def frozen_trial(
    batchnorm: BatchNormPolicy, seed: int, *, world: str = WORLD, per_class: int = 5, from_all: bool = False
) -> dict[str, Any]:
    """Solve a linear probe on a frozen backbone (letters), and measure it on the test pool.

    With `"adapt"`, the statistics of batch normalisation become those of the labelled images first, or `from_all` those
    of the training pool.
    """
    pool, test = _pools(world)
    labelled = pool.few(per_class, seed)
    model = carry_over("letters, all but the head", seed)
    freeze(model, batchnorm=batchnorm)
    if batchnorm == "adapt":
        measure_statistics(model, pool if from_all else labelled)
    linear_probe(model, labelled)
    return {"accuracy": accuracy(model, test)}


@torch.no_grad()
def measure_statistics(model: nn.Module, images: ImageSet) -> None:
    """Replace what batch normalisation measured on the source by the mean over batches of these images."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # PyTorch's way to ask for a plain mean
    for x in scale(images.images).split(BATCH):
        training_mode(model)(x)
    model.eval()


def take_steps(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    steps: int = 3,
    *,
    plain_train: bool = False,
    zero_gradients: bool = False,
) -> None:
    """Take a few steps on one batch, carefully or with one of two well-known mistakes.

    `plain_train` calls `model.train()`, which wakes the statistics of frozen layers. `zero_gradients` sets gradients to
    zero instead of dropping them, so that the optimiser still visits frozen weights, and momentum and weight decay move
    them. The loop is written out here, as `updates` makes neither.
    """
    for _ in range(steps):
        model.train() if plain_train else training_mode(model)
        optimizer.zero_grad(set_to_none=not zero_gradients)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
