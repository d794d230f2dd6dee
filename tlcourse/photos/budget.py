"""A time budget for a training on photographs: planned from what was measured on this machine, and held by the clock.

The clock runs from the start of the command, so looking into the folder, reading and features count too. The plan
depends on how fast the machine is at the time, and so does what is learned: with a budget, the same seed need not give
the same classifier.

A training that is far too short is no better than none. Beside hands signing digits (MobileNetV2 at 96 pixels, 130
photographs, two seeds), 2 epochs came to losses of 1.1 to 2.2 on validation at four rates, the linear probe to 0.9; 10
epochs came to 0.2 to 0.4. Validation keeps the probe then, and the plan warns.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.models.compression.folding import folded_in_training
from tlcourse.photos.finetuning import glance, training_of
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.probe import cache_features
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.splits import PhotoParts
from tlcourse.repro import pick_device
from tlcourse.training.loop import choose_precision, updates

CAREFUL = 0.9  # share of what is left that is planned with: machines have other things to do
FEWEST = 5  # updates; with fewer, the learning rate cannot rise and fall
AT_THE_END = 8.0  # seconds for the report with its pictures, and for saving
LOOKED_AT = 16  # photographs whose time is measured


class Budget:
    """How many minutes there are, how many are gone, and what was planned for the rest.

    Raises ValueError for anything but a finite number of minutes above 0. `clock` counts seconds, and `began` is what
    it said at the start, None for now.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic, began: float | None = None) -> None:
        if not 0 < minutes < math.inf:
            raise ValueError(
                f"--budget is {minutes:g}, but a number of minutes above 0 was expected, such as 5 or 0.5."
            )
        self.minutes, self.clock, self.began = minutes, clock, clock() if began is None else began
        self.reserve, self.said = 0.0, "no training was planned"

    @property
    def used(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.began

    @property
    def left(self) -> float:
        """Seconds until the end; below 0 where it is over."""
        return 60 * self.minutes - self.used

    def over(self) -> bool:
        """Whether all is gone that is not kept for the end: `fit` asks after every update."""
        return self.left < self.reserve

    def check(self, seconds: float, photographs: int) -> None:
        """Refuse a budget in which the photographs cannot even go through the network once: ValueError."""
        needed = seconds * photographs + AT_THE_END
        if needed <= self.left:
            return
        least = math.ceil(10 * (self.used + needed / CAREFUL) / 60) / 10
        raise ValueError(
            f"--budget is {self.minutes:g} minutes, of which {self.used:.0f} s are used, but only to send all "
            f"{photographs:,} photographs through this network once takes about {needed:.0f} s here. Expected at least "
            f"{least:g} minutes for the linear probe, and more for a training. Give more time, a smaller --side, or a "
            "faster --backbone."
        )

    def plan(self, recipe: PhotoRecipe, update: float, updates: int, validation: float, end: float) -> PhotoRecipe:
        """Return as much of a recipe as fits; with 0 epochs where not even a few updates do.

        All in seconds: what an `update` takes, of which an epoch has so many `updates`; one pass over `validation`,
        which every epoch ends with; and what is kept for the `end`: the last pass over validation, and the test. What
        fits is whole epochs, or a part of one where there are so many photographs.
        """
        self.reserve = end + AT_THE_END + validation
        free = CAREFUL * (self.left - end - AT_THE_END)
        epochs = min(recipe.epochs, int(free / (updates * update + validation)))
        steps = int((free - validation) / update)
        if epochs:
            fits = replace(recipe, epochs=epochs)
            self.said = f"{epochs} of {recipe.epochs} epochs were planned, {epochs * updates:,} updates"
        elif steps >= FEWEST:
            fits = replace(recipe, epochs=1, steps=steps)
            self.said = f"a part of one epoch was planned, {steps:,} of {updates:,} updates"
        else:
            fits = replace(recipe, epochs=0)
            self.said = "there was no time for a training"
        self.said += f", of {update:.2g} s each as measured here"
        if fits.epochs and 2 * fits.epochs < recipe.epochs:
            self.said += "; so short a training seldom beats the linear probe, which stays where validation says so"
        return fits

    def in_words(self) -> dict[str, str]:
        """Say for a model card what the budget was, and what was planned."""
        return {"time budget": f"{self.minutes:g} minutes; {self.said}"}

    def __str__(self) -> str:
        verb = "used" if self.left >= 0 else "used, more than planned, as something took longer than it was measured"
        return f"Of {self.minutes:g} minutes, {self.used / 60:.2g} were {verb}."


def check_alone(budget: Budget | None, unlabelled: object) -> None:
    """Refuse a budget beside photographs without labels: ValueError."""
    if budget is not None and unlabelled is not None:
        raise ValueError(
            "--budget plans one training, but --unlabelled needs two of equal length, without and with those "
            "photographs. Expected one of the two options; with --unlabelled, --epochs sets the length."
        )


def check_time(budget: Budget | None, model: nn.Module, parts: PhotoParts, preprocessing: Preprocessing) -> None:
    """Refuse a budget that is too small for the probe and the test, as measured on a few photographs: ValueError."""
    if budget is not None:
        budget.check(seconds_a_photograph(model, parts.train, preprocessing), sum(parts.counts().values()))


def seconds_a_photograph(model: nn.Module, photos: PhotoSet, preprocessing: Preprocessing) -> float:
    """Measure what reading a photograph and sending it through a network takes, on a few; the second pass counts."""
    some = open_photos(photos.subset(torch.arange(min(len(photos), LOOKED_AT))), preprocessing, most_bytes=0)
    cache_features(model, some)
    begin = time.perf_counter()
    cache_features(model, some)
    return (time.perf_counter() - begin) / len(some)


def seconds_an_update(
    model: nn.Module, train: PhotoSource, recipe: PhotoRecipe, device: torch.device | str | None = None, tried: int = 3
) -> float:
    """Measure what an update takes here, on a copy of the network that is thrown away; the first does not count."""
    device = pick_device(device)
    copied = copy.deepcopy(model).to(device)
    how = training_of(copied, train, recipe, device=device)
    how["batches"] = itertools.chain.from_iterable(itertools.repeat(how["batches"]))  # few have one batch an epoch
    ends = []
    with folded_in_training(copied, glance(copied, train)):
        for loss in itertools.islice(updates(copied, **how, precision=choose_precision(device, None)), 1 + tried):
            loss.item()  # waits for a GPU
            ends.append(time.perf_counter())
    return (ends[-1] - ends[0]) / tried
