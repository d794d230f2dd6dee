"""The comparison at the heart of the course: the same training from different starting weights."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import accuracy
from tlcourse.training.checkpoint import History
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model
from tlcourse.transfer.freezing import count_parameters, trainable

__all__ = [
    *("LABELS_PER_CLASS", "STARTS", "Recipe", "Trial"),
    *("run_trial", "run_trials", "starting_model", "train_on_target"),
]

LABELS_PER_CLASS = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Trial:
    """One training: its accuracy on the test half in percent, time to train, and how many weights could move."""

    start: str
    per_class: int
    seed: int
    accuracy: float
    seconds: float
    trained: int


def train_on_target(model: nn.Module, labelled: ImageSet, seed: int, recipe: Recipe = Recipe()) -> History:
    """Train a network in place on a few labelled images; the old name of `train`."""
    return train(model, labelled, recipe, seed=seed)


def run_trial(
    start: str,
    per_class: int,
    seed: int,
    *,
    train: ImageSet,
    test: ImageSet,
    recipe: Recipe = Recipe(),
    network: str = "tiny_resnet",
    source: str = "letters",
) -> tuple[Trial, nn.Module]:
    """Choose a few labels from `train`, train from one start, and measure on `test`; return trial and network.

    The seed is that of everything random, the same for all starts, which makes them comparable in pairs.
    """
    model = starting_model(start, seed, classes=len(train.classes), network=network, source=source)
    begin = time.perf_counter()
    train_on_target(model, train.few(per_class, seed), seed, recipe)
    seconds = time.perf_counter() - begin
    trial = Trial(start, per_class, seed, accuracy(model, test), seconds, count_parameters(trainable(model)))
    return trial, model


def run_trials(
    starts: Sequence[str],
    labels_per_class: Iterable[int],
    seeds: Iterable[int],
    *,
    world: str = "handwritten-photo",
    recipe: Recipe = Recipe(),
    network: str = "tiny_resnet",
    source: str = "letters",
    progress: bool = True,
) -> list[Trial]:
    """Run every combination of start, number of labels and seed on a target world, several at the same time.

    The trials are ordered by number of labels, then seed, then start. Raises TypeError when one of these is no list.
    """
    for what, values in (("starts", starts), ("labels_per_class", labels_per_class), ("seeds", seeds)):
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(f"{what} is {values!r}, but a list was expected, such as [{values!r}].")
    train, test = train_test(world)
    plan = [(start, k, seed) for k in labels_per_class for seed in seeds for start in starts]
    options = {"train": train, "test": test, "recipe": recipe, "network": network, "source": source}
    return side_by_side(lambda *which: run_trial(*which, **options)[0], plan, progress)
