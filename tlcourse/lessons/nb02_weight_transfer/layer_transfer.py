"""How well each depth of a network transfers: the experiment of Yosinski et al. (2014) in small.

Two base networks are trained, A on one half of the letters and B on the other. The first stages of one of them are
carried into a fresh network, which then learns task B. Where they come from B itself (own task), a loss can only
come from cutting the network in two; where they come from A (other task), it may also come from stages that know too
much about A.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.repro import generator, seeded
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.transfer.freezing import freeze
from tlcourse.transfer.weights import load_weights

BASE = "base"
WAYS = ("own, frozen", "own, fine-tuned", "other, frozen", "other, fine-tuned")
DEPTHS = (1, 2, 3, 4, 5)
DROP_HEADER = ("stages carried", *(f"{way} [95 % interval]" for way in WAYS))
LAYER_CURVE = shipped_table("layer_transfer")


RECIPE = Recipe(epochs=1, steps=150, batch=64, lr=1e-2, augment=None)  # base networks and their heirs, all alike
IMAGES, TEST_IMAGES = 12_000, 4_000  # printed letters of both tasks together; the latter in other fonts, to test on
CLASSES = 17  # letters in each task


@dataclass(frozen=True)
class LayerTrial:
    """One network of the experiment and its score.

    Attributes:
        way: `"base"`, or one of `WAYS`: whose stages were carried over, and whether they were frozen.
        depth: how many stages were carried over; 0 for the base network.
        seed: seed of the halves, of fresh weights and of batches.
        accuracy: on new images of task B, in percent.
        seconds: time to train.
    """

    way: str
    depth: int
    seed: int
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class Tasks:
    """The two tasks of one seed: training images of A and of B, and test images of B."""

    a: ImageSet
    b: ImageSet
    test: ImageSet


def two_tasks(seed: int, images: int = IMAGES, test_images: int = TEST_IMAGES, classes: int = CLASSES) -> Tasks:
    """Divide the 35 letters at random into two tasks of so many classes each; what is left over is not used.

    The images are the same for all seeds, and classes are numbered from 0 in each task. Raises ValueError when there
    are not enough letters.
    """
    letters = load("printed-photo", "letters", count=images)
    test = load("printed-photo", "letters", "test", count=test_images)
    if not 2 <= classes <= len(letters.classes) // 2:
        raise ValueError(
            f"two tasks of {classes} letters each were asked for, but there are {len(letters.classes)} letters. "
            f"Expected from 2 to {len(letters.classes) // 2} in each."
        )
    order = torch.randperm(len(letters.classes), generator=generator("halves", seed)).tolist()
    a, b = order[:classes], order[classes : 2 * classes]
    return Tasks(only(letters, a), only(letters, b), only(test, b))


def only(images: ImageSet, classes: Sequence[int]) -> ImageSet:
    """Keep the images of some classes, and number these anew from 0 in the order given."""
    number = torch.full((len(images.classes),), -1)
    number[torch.tensor(classes)] = torch.arange(len(classes))
    kept = images.subset(number[images.labels] >= 0)
    names = tuple(images.classes[c] for c in classes)
    return ImageSet(kept.images, number[kept.labels], names, name=f"{images.name}, {len(names)} classes")


def base_network(task: str, seed: int, tasks: Tasks, recipe: Recipe = RECIPE) -> nn.Module:
    """Train a network on task `"a"` or `"b"` from random weights."""
    images = getattr(tasks, task)
    with seeded("base", task, seed):
        model = TinyResNet(len(images.classes))
    train(model, images, recipe, seed=2 * seed)
    return model


def heir(donor: nn.Module, depth: int, seed: int, frozen: bool) -> nn.Module:
    """Carry the first stages of a network into a fresh one.

    Args:
        donor: a trained network.
        depth: how many stages to carry; all after them, and the head, are drawn at random.
        seed: seed of the fresh weights.
        frozen: whether the carried stages stay as they are, statistics of batch normalisation included.

    Returns:
        The new network, ready to train.

    Raises:
        ValueError: there are fewer stages.
    """
    names = list(donor.stages())
    if not 1 <= depth <= len(names):
        raise ValueError(f"depth is {depth}, but from 1 to {len(names)} stages can be carried: {', '.join(names)}.")
    with seeded("heir", seed, depth):
        model = TinyResNet(donor.head.out_features)
    load_weights(model, donor.state_dict(), skip=[f"{name}." for name in (*names[depth:], "head")])
    freeze(model, depth if frozen else 0)
    return model


def run_layer_trial(
    way: str, depth: int, seed: int, donors: dict[str, nn.Module], tasks: Tasks, recipe: Recipe = RECIPE
) -> LayerTrial:
    """Train one heir on task B and measure it.

    Args:
        way: one of `WAYS`.
        depth: how many stages to carry.
        seed: seed of everything random; fresh weights and batches are the same for all ways.
        donors: the base networks, `"a"` and `"b"`.
        tasks: the tasks that these were trained on.
        recipe: how to train.

    Returns:
        The trial.

    Raises:
        ValueError: there is no such way, or the depth is out of range.
    """
    if way not in WAYS:
        raise ValueError(f"{way!r} is not a way to carry stages. Expected one of: {', '.join(map(repr, WAYS))}.")
    donor = donors["b" if way.startswith("own") else "a"]
    model = heir(donor, depth, seed, frozen=way.endswith("frozen"))
    begin = time.perf_counter()
    train(model, tasks.b, recipe, seed=2 * seed + 1)  # other batches than those of the base networks
    return LayerTrial(way, depth, seed, accuracy(model, tasks.test), time.perf_counter() - begin)


def run_layer_transfer(
    seeds: Iterable[int],
    ways: Sequence[str] = WAYS,
    depths: Sequence[int] = DEPTHS,
    recipe: Recipe = RECIPE,
    images: int = IMAGES,
    test_images: int = TEST_IMAGES,
    progress: bool = True,
) -> list[LayerTrial]:
    """Train both base networks of every seed once, then all their heirs, several at the same time.

    Args:
        seeds: seeds.
        ways: some of `WAYS`.
        depths: how many stages to carry.
        recipe: how to train.
        images: how many letters to learn from.
        test_images: how many to test on.
        progress: show a progress bar.

    Returns:
        For every seed: the base network of task B, then every depth and way.
    """
    trials = []
    for seed in seeds:
        tasks = two_tasks(seed, images, test_images)
        begin = time.perf_counter()
        bases = side_by_side(base_network, [(name, seed, tasks, recipe) for name in "ab"], progress)
        seconds = (time.perf_counter() - begin) / 2
        donors = dict(zip("ab", bases, strict=True))
        trials.append(LayerTrial(BASE, 0, seed, accuracy(donors["b"], tasks.test), seconds))
        plan = [(way, depth, seed, donors, tasks, recipe) for depth in depths for way in ways]
        trials += side_by_side(run_layer_trial, plan, progress)
    return trials


def layer_scores(trials: Iterable[LayerTrial], way: str, depth: int) -> list[float]:
    """Return the accuracies of one way at one depth, in percent, ordered by seed."""
    chosen = [trial for trial in trials if (trial.way, trial.depth) == (way, depth)]
    return [trial.accuracy for trial in sorted(chosen, key=lambda trial: trial.seed)]


def layer_summary(trials: Sequence[LayerTrial]) -> dict[tuple[str, int], Interval]:
    """Return mean and 95 % interval of the accuracy for the base and every way and depth, in percent."""
    return {cell: bootstrap_mean(layer_scores(trials, *cell)) for cell in {(t.way, t.depth): None for t in trials}}


def drop(trials: Sequence[LayerTrial], way: str, depth: int) -> Interval:
    """Return accuracy minus that of the base network of the same seed, in points; below 0 means something was lost."""
    return paired_difference(layer_scores(trials, way, depth), layer_scores(trials, BASE, 0))


def drop_table(trials: Sequence[LayerTrial]) -> list[list[str]]:
    """Return a row of text for every depth: the difference to the base network for every way, under `DROP_HEADER`."""
    depths = sorted({trial.depth for trial in trials} - {0})
    return [[str(depth), *(str(drop(trials, way, depth)) for way in WAYS)] for depth in depths]


def read_layer_trials() -> list[LayerTrial]:
    """Read the trials that came with the course."""
    return read_rows(LAYER_CURVE, LayerTrial)
