"""The comparison at the heart of the course: the same training from different starting weights."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.augmentations import Augment
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.pretrained import build, pretrained
from tlcourse.repro import seeded
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import fit
from tlcourse.training.parallel import side_by_side
from tlcourse.transfer.freezing import count_parameters, freeze, trainable
from tlcourse.transfer.heads import reset_classifier

STARTS = ("scratch", "linear probe", "fine-tuned")
LABELS_PER_CLASS = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Recipe:
    """How to train on the target: the same for every start, so that only the starting weights differ.

    Attributes:
        epochs: loops of `steps` updates each.
        steps: updates an epoch.
        batch: images an update; few labels are repeated, each time augmented anew.
        rate: highest learning rate of AdamW, reached after 30 % of the updates and then lowered to almost 0.
        decay: weight decay of AdamW.
        augment: how images are varied.
    """

    epochs: int = 10
    steps: int = 10
    batch: int = 50
    rate: float = 5e-3
    decay: float = 0.01
    augment: Augment = Augment(zoom=0.2, shear=0.2, bend=0.04, light=0.4)


@dataclass(frozen=True)
class Trial:
    """One training and its score.

    Attributes:
        start: where the weights came from, one of `STARTS`.
        per_class: labelled images per class.
        seed: seed of the choice of images, of fresh weights, and of batches.
        accuracy: on the test half, in percent.
        seconds: time to train.
        trained: how many weights could move.
    """

    start: str
    per_class: int
    seed: int
    accuracy: float
    seconds: float
    trained: int


def starting_model(
    start: str, seed: int, *, classes: int = 10, network: str = "tiny_resnet", source: str = "letters"
) -> nn.Module:
    """Make a network as one of the three ways to begin has it.

    Args:
        start: `"scratch"` (random weights), `"linear probe"` (pretrained and frozen, a fresh head learns) or
            `"fine-tuned"` (pretrained, a fresh head, everything learns).
        seed: seed of the fresh weights.
        classes: how many target classes.
        network: `"tiny_resnet"` or `"small_cnn"`.
        source: what it was pretrained on, `"letters"` or `"digits"`.

    Returns:
        The network, ready to train.

    Raises:
        ValueError: there is no such start, network or source.
    """
    if start not in STARTS:
        raise ValueError(f"{start!r} is not a way to start. Expected one of: {', '.join(map(repr, STARTS))}.")
    with seeded("weights", seed):
        if start == "scratch":
            return build(network, classes)
        model = pretrained(network, source)
        reset_classifier(model, classes)
    if start == "linear probe":
        freeze(model)
    return model


def train_on_target(model: nn.Module, labelled: ImageSet, seed: int, recipe: Recipe = Recipe()) -> History:
    """Train a network on a few labelled images by the recipe.

    Args:
        model: the network, trained in place.
        labelled: the images.
        seed: seed of batches and augmentation.
        recipe: how to train.

    Returns:
        What happened in every epoch.
    """
    optimizer = torch.optim.AdamW(trainable(model), lr=recipe.rate, weight_decay=recipe.decay, fused=True)
    updates = recipe.epochs * recipe.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=updates, cycle_momentum=False)
    batches = labelled.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=seed)
    return fit(model, batches, epochs=recipe.epochs, optimizer=optimizer, schedule=schedule, progress=False)


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
    """Choose a few labels, train from one start, and measure on the test half.

    Args:
        start: one of `STARTS`.
        per_class: labelled images per class.
        seed: seed of everything random; the same for all starts, which makes them comparable in pairs.
        train: where the labelled images are chosen from.
        test: images to measure on.
        recipe: how to train.
        network: which network.
        source: what it was pretrained on.

    Returns:
        The trial, and the trained network.
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

    Args:
        starts: some of `STARTS`.
        labels_per_class: how many labelled images per class.
        seeds: seeds.
        world: the target.
        recipe: how to train.
        network: which network.
        source: what it was pretrained on.
        progress: show a progress bar.

    Returns:
        The trials, ordered by number of labels, then seed, then start.

    Raises:
        TypeError: starts, numbers of labels or seeds are no lists.
    """
    for what, values in (("starts", starts), ("labels_per_class", labels_per_class), ("seeds", seeds)):
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(f"{what} is {values!r}, but a list was expected, such as [{values!r}].")
    train, test = train_test(world)
    plan = [(start, k, seed) for k in labels_per_class for seed in seeds for start in starts]
    options = {"train": train, "test": test, "recipe": recipe, "network": network, "source": source}
    return side_by_side(lambda *which: run_trial(*which, **options)[0], plan, progress)
