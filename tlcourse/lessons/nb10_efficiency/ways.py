"""Ways to fine-tune that train few weights or all of them, each with the setting that was best on held-out sheets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.adapters.bitfit import bitfit
from tlcourse.models.adapters.bottleneck import add_adapters
from tlcourse.models.adapters.lora import add_lora
from tlcourse.models.adapters.task import megabytes, task_weights
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.repro import pick_device, seeded
from tlcourse.training.loop import updates
from tlcourse.training.recipe import CONVERGED, Recipe, adamw
from tlcourse.transfer.freezing import BatchNormPolicy, count_parameters, freeze, trainable
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

WORLD = "handwritten-photo"
PER_CLASS = (5, 50)
SETTINGS = replace(CONVERGED, epochs=30)  # half the updates, and for every way the same eight tries
LONGER = replace(CONVERGED, epochs=3 * CONVERGED.epochs)
RATES = (0.001, 0.003, 0.01, 0.03)
STATISTICS: tuple[BatchNormPolicy, ...] = ("keep", "adapt")
LOOKS = (3, 6, 12, 18, 24, 30)  # epochs of ten updates, after which a setting is looked at
KEPT_SHEETS = 5  # labels come from the first 5 of the training pool's 7 sheets; settings are chosen on the others


def everything(model: nn.Module, *, batchnorm: BatchNormPolicy) -> nn.Module:
    """Freeze nothing, but for the running statistics with `batchnorm="keep"`."""
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            layer.holds_still = batchnorm == "keep"
    return model


def lora(rank: int) -> Callable[..., nn.Module]:
    """Return what adds low-rank changes of this rank."""
    return lambda model, *, batchnorm: add_lora(model, rank, batchnorm=batchnorm)


class Way(NamedTuple):
    """What is trained, and the best of its eight settings: the highest rate, and what running statistics do."""

    prepare: Callable[..., nn.Module]
    lr: float
    batchnorm: BatchNormPolicy


PROBE, BITFIT, ADAPTERS = "linear probe", "BitFit", "adapters"
RANK1, RANK4, FULL = "LoRA, rank 1", "LoRA, rank 4", "fine-tuned"
WAYS = {
    BITFIT: Way(bitfit, 0.03, "keep"),
    ADAPTERS: Way(add_adapters, 0.01, "keep"),
    RANK1: Way(lora(1), 0.01, "keep"),
    RANK4: Way(lora(4), 0.01, "keep"),
    FULL: Way(everything, 0.003, "adapt"),
}
NAMES = (PROBE, *WAYS)


def prepared(way: str, seed: int, batchnorm: BatchNormPolicy | None = None, classes: int = 10) -> nn.Module:
    """Return the network that knows letters, with a fresh head, and with what the way trains."""
    with seeded("weights", seed):
        model = pretrained("tiny_resnet", "letters")
        reset_classifier(model, classes)
        if way == PROBE:
            freeze(model)
            return model
        return WAYS[way].prepare(model, batchnorm=batchnorm or WAYS[way].batchnorm)


def epochs_of(model: nn.Module, labelled: ImageSet, recipe: Recipe, seed: int) -> Iterator[int]:
    """Train what is not frozen, and yield the number of epochs that are over after each."""
    model.to(pick_device())
    optimizer, schedule = adamw(model, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    batches = recipe.batches(labelled, seed)
    for epoch in range(recipe.epochs):
        for _ in updates(model, batches, optimizer, schedule=schedule):
            pass
        yield epoch + 1


def learned(way: str, labelled: ImageSet, seed: int, recipe: Recipe = CONVERGED) -> nn.Module:
    """Adapt the network that knows letters to labelled images, with the way's best setting; a probe is solved."""
    model = prepared(way, seed)
    if way == PROBE:
        linear_probe(model, labelled)
        return model
    for _ in epochs_of(model, labelled, replace(recipe, lr=WAYS[way].lr), seed):
        pass
    return model


def size_of(model: nn.Module) -> dict[str, float]:
    """Count the weights that training moves, their share of the plain network in percent, and Megabytes a task."""
    moved = count_parameters(trainable(model))
    whole = count_parameters(list(pretrained("tiny_resnet", "digits").parameters()))
    return {"trained": moved, "share": 100 * moved / whole, "megabytes": megabytes(task_weights(model))}


def trial(way: str, per_class: int, seed: int, *, recipe: Recipe = CONVERGED) -> dict[str, Any]:
    """Adapt with few labels, and measure on the test pool; the seed is that of labels, weights and batches."""
    model = learned(way, load(WORLD).few(per_class, seed), seed, recipe)
    budget = {} if way == PROBE else replace(recipe, lr=WAYS[way].lr).budget
    return {**budget, "accuracy": accuracy(model, load(WORLD, split="test")), **size_of(model)}


def pareto(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare the ways where they have converged, each with its chosen setting."""
    return grid(trial, seed=seeds, way=NAMES, per_class=PER_CLASS)


def longer_trial(way: str, seed: int, per_class: int = 5) -> dict[str, Any]:
    """Do a trial with three times the updates."""
    return trial(way, per_class, seed, recipe=LONGER)


def pareto_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Train the two ways that come nearest to each other for three times as long, with few labels."""
    return grid(longer_trial, seed=seeds, per_class=[5], way=[RANK4, FULL])


def settings_trial(way: str, lr: float, batchnorm: BatchNormPolicy, seed: int) -> list[dict[str, Any]]:
    """Train with one setting on five sheets of the training pool, and look at the two others on the way.

    Rows have `updates` so far and the `accuracy` in percent on the sheets held out; the test pool is not looked at.
    """
    pool = load(WORLD)
    first = pool.attributes["sheet"] < KEPT_SHEETS
    labelled, watch = pool.subset(first).few(5, 100 + seed), pool.subset(~first)
    model, recipe = prepared(way, 100 + seed, batchnorm), replace(SETTINGS, lr=lr)
    return [
        {"updates": epochs * recipe.steps, "accuracy": accuracy(model, watch)}
        for epochs in epochs_of(model, labelled, recipe, 100 + seed)
        if epochs in LOOKS
    ]


def settings(seeds: Sequence[int]) -> pd.DataFrame:
    """Try the same eight settings for every way, on other labels than those of `pareto`."""
    return grid(settings_trial, seed=seeds, way=WAYS, lr=RATES, batchnorm=STATISTICS)
