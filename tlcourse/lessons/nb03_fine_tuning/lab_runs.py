"""What the lab of notebook 03 computes: trainings that are measured after every epoch, and range tests."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import evaluate
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES, finite, pulled
from tlcourse.repro import pick_device
from tlcourse.training.lr_finder import RangeTest, range_updates
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import count_parameters, freeze, trainable
from tlcourse.transfer.linear_probe import linear_probe

OFFERED = (
    *("fine-tuned", "LP-FT", "layer-wise rates", "discriminative rates", "gradual unfreezing", "L2-SP"),
    *("label smoothing", "scratch"),
)
LABELS = (1, 2, 5, 10, 20, 50)
RATES = (*(float(f"{figure}e{power}") for power in (-4, -3, -2) for figure in (1, 1.5, 2, 3, 5, 7)), 0.1)
STRENGTHS = (0.0, 0.001, 0.01, 0.1, 1.0, 10.0)
STAGES, MOST_EPOCHS = 5, 20
SHORT = Recipe(epochs=8, steps=6)  # by default half of the notebook's budget, so that a run takes a few seconds
WATCHED = 300  # images that are measured after every epoch but not learned from
CHECKED = 10  # learned images per class that are measured as well, at most
FOUND_IN = 40  # updates of a range test


@dataclass(frozen=True)
class Settings:
    """How to train."""

    strategy: str = "fine-tuned"
    per_class: int = 5
    lr: float = 0.003  # the highest
    depth: int = 0  # how many stages to freeze; gradual unfreezing decides for itself
    strength: float = 0.1  # of the pull towards the start, for L2-SP alone
    epochs: int = SHORT.epochs

    @property
    def thaws(self) -> bool:
        """Whether the strategy decides by itself what is frozen."""
        return self.strategy == "gradual unfreezing"

    @property
    def pulls(self) -> bool:
        """Whether the strength means anything."""
        return self.strategy == "L2-SP"

    @property
    def short(self) -> str:
        """Name what tells two runs apart, as a legend does."""
        frozen = "" if self.thaws or not self.depth else f", {self.depth} frozen"
        pull = f", pull {self.strength:g}" if self.pulls else ""
        return f"{self.strategy}, {self.per_class} per class, rate {self.lr:g}{frozen}{pull}"

    def __str__(self) -> str:
        """Say it in full."""
        labels, epochs = "label" + "s" * (self.per_class > 1), "epoch" + "s" * (self.epochs > 1)
        return f"{self.short.replace(' per class', f' {labels} per class')}, {self.epochs} {epochs}"


class Measured(NamedTuple):
    """What a network does at the end of an epoch, without augmentation: losses in nats, accuracies in percent."""

    learned_loss: float
    learned_accuracy: float
    watched_loss: float
    watched_accuracy: float


@dataclass(frozen=True)
class Run:
    """One training, finished or not, measured after every epoch that is over."""

    number: int
    settings: Settings
    measured: tuple[Measured, ...] = ()
    state: str = "training"  # then "finished", "stopped", or "broke" when the loss was no longer finite
    trained: int = 0  # how many weights could move at the end
    seconds: float | None = None  # None for runs that came with the course

    @property
    def accuracy(self) -> float:
        """Return the accuracy after the last epoch, in percent: the best on the way would be optimistic."""
        return self.measured[-1].watched_accuracy


class Found(NamedTuple):
    """A range test, and what was tested."""

    test: RangeTest
    settings: Settings


class Prepared(NamedTuple):
    """A network with what is to be frozen frozen, images to learn from, those of them that are measured, and others."""

    model: nn.Module
    learn: ImageSet
    check: ImageSet
    watch: ImageSet


def choose_images(per_class: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Return labelled images to learn from, at most 50 per class, and other images of the training pool to watch.

    The test pool is not touched: whoever tries settings until the number is right would be choosing on it.
    """
    pool = load("handwritten-photo")
    watched = pool.few(WATCHED // 10 + 50, seed)  # the choice begins with the same images, so cut those off
    rest = torch.arange(len(watched)).view(10, -1)[:, 50:].flatten()
    return pool.few(per_class, seed), watched.subset(rest)


def prepare(settings: Settings) -> Prepared:
    """Make the network and choose the images, the same each time; needs PyTorch's global generator for a moment."""
    learn, watch = choose_images(settings.per_class)
    model = STRATEGIES[settings.strategy].start(seed=0)
    if not settings.thaws:
        freeze(model, settings.depth)
    return Prepared(model.to(pick_device()), learn, learn.few(min(settings.per_class, CHECKED)), watch)


def compute_run(run: Run, prepared: Prepared, recipe: Recipe = SHORT) -> Iterator[Run]:
    """Train, measure after every epoch, and yield the run as far as it is after every update; the last is finished.

    Uses generators of its own only, so it may be done on any thread. The budget is the recipe's, but for the epochs of
    the settings. Raises NonFiniteLossError when the learning rate was so high that the loss broke.
    """
    how, model = run.settings, prepared.model
    recipe = replace(recipe, epochs=how.epochs)
    options = {"strength": how.strength} if how.pulls else {}
    losses = STRATEGIES[how.strategy].steps(model, prepared.learn, 0, how.lr, recipe, **options)
    seconds, begin = 0.0, time.perf_counter()
    for update, _ in enumerate(finite(losses, recipe.steps), 1):
        if update % recipe.steps == 0:
            values = (*evaluate(model, prepared.check), *evaluate(model, prepared.watch))
            run = replace(run, measured=(*run.measured, Measured(*values)))
        seconds += time.perf_counter() - begin
        yield run
        begin = time.perf_counter()
    yield replace(run, state="finished", trained=count_parameters(trainable(model)), seconds=seconds)


def compute_range(settings: Settings, prepared: Prepared, recipe: Recipe = SHORT) -> Iterator[RangeTest]:
    """Raise the rate from 0.0001 to 1, and yield after every update the losses so far; the last are all.

    Every stage gets the same rate, also where the strategy would give the early ones less. For gradual unfreezing
    everything is free, as it is in the end. LP-FT finds its head first; apart from that nothing is changed in the end.
    """
    model, learn = prepared.model, prepared.learn
    if settings.strategy == "LP-FT":
        linear_probe(model, learn)
    loss = pulled(model, settings.strength) if settings.pulls else F.cross_entropy
    if settings.strategy == "label smoothing":
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    weight_decay = 0.0 if settings.pulls else recipe.weight_decay
    optimizer = torch.optim.AdamW(trainable(model), weight_decay=weight_decay, fused=True)
    batches = learn.batches(recipe.batch, steps=FOUND_IN, transform=recipe.augment, seed=0)
    yield from range_updates(model, batches, optimizer, low=1e-4, high=1.0, steps=FOUND_IN, loss=loss)


def nearest_lr(lr: float) -> float:
    """Return the learning rate of the slider that is nearest, by ratio."""
    return min(RATES, key=lambda offered: max(offered / lr, lr / offered))


def comparable(runs: Sequence[Run]) -> list[Run]:
    """Return the finished runs that learned from as many labels as the last run, the best first.

    Who learned from 50 labels per class is no better than who did so well with 5.
    """
    same = [run for run in runs if run.settings.per_class == runs[-1].settings.per_class and run.state == "finished"]
    return sorted(same, key=lambda run: -run.accuracy)


def run_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row an epoch, losses in nats, accuracies in percent; what does not apply to a run is left empty."""
    rows = []
    for run in runs:
        how = run.settings
        row = {
            "run": run.number,
            "state": run.state,
            "strategy": how.strategy,
            "per_class": how.per_class,
            "lr": how.lr,
            "frozen_stages": None if how.thaws else how.depth,
            "pull": how.strength if how.pulls else None,
            "epochs": how.epochs,
            "seconds": run.seconds,
        }
        rows += [row | {"epoch": epoch} | measured._asdict() for epoch, measured in enumerate(run.measured, 1)]
    return pd.DataFrame(rows)


# Two finished runs to begin with, epoch by epoch; a test trains them again and compares.
HEAD_ALONE = (
    (2.134, 30, 2.176, 17.7),
    (1.372, 80, 1.576, 55.3),
    (0.773, 92, 1.122, 72.0),
    (0.531, 90, 0.949, 71.7),
    (0.432, 94, 0.871, 73.0),
    (0.384, 96, 0.832, 73.7),
    (0.368, 96, 0.819, 74.0),
    (0.366, 96, 0.817, 74.0),
)
EVERYTHING = (
    (1.775, 58, 1.985, 38.0),
    (0.377, 100, 0.977, 74.3),
    (0.028, 100, 0.571, 81.7),
    (0.008, 100, 0.485, 85.7),
    (0.004, 100, 0.458, 85.3),
    (0.004, 100, 0.454, 86.0),
    (0.005, 100, 0.451, 86.3),
    (0.005, 100, 0.457, 86.0),
)
SHIPPED_RUNS = (
    Run(1, Settings(depth=STAGES, lr=0.01), tuple(map(Measured._make, HEAD_ALONE)), "finished", 1_290),
    Run(2, Settings(), tuple(map(Measured._make, EVERYTHING)), "finished", 309_114),
)
