"""How well each depth of a network transfers: the experiment of Yosinski et al. (2014) in small.

Two base networks are trained, A on one half of the letters and B on the other. The first stages of one of them are
carried into a fresh network, which then learns task B. Where they come from B itself (own task), a loss can only
come from cutting the network in two; where they come from A (other task), it may also come from stages that know too
much about A.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import grid, paired
from tlcourse.repro import generator, seeded
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.transfer.freezing import freeze
from tlcourse.transfer.weights import load_weights

BASE = "base"
WAYS = ("own, frozen", "other, frozen", "own, fine-tuned", "other, fine-tuned")
DEPTHS = (1, 2, 3, 4, 5)
SHORT = Recipe(epochs=1, steps=150, batch=64, lr=1e-2, augment=None)  # base networks and their heirs, all alike
LONG = replace(SHORT, steps=450)  # is what the short one found a matter of the budget?
LONG_SEEDS = (0, 6)  # those that were trained longer, too
IMAGES, TEST_IMAGES = 12_000, 4_000  # printed letters of both tasks together; the latter in other fonts, to test on
CLASSES = 17  # letters in each task


class Tasks(NamedTuple):
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


def base_network(task: str, seed: int, tasks: Tasks, recipe: Recipe = SHORT) -> nn.Module:
    """Train a network on task `"a"` or `"b"` from random weights."""
    images = getattr(tasks, task)
    with seeded("base", task, seed):
        model = TinyResNet(len(images.classes))
    train(model, images, recipe, seed=2 * seed)
    return model


def heir(donor: nn.Module, depth: int, seed: int, frozen: bool) -> nn.Module:
    """Carry the first stages of a trained network into a fresh one; what comes after them is drawn at random.

    Frozen stages stay as they are, statistics of batch normalisation included. Raises ValueError when there are fewer
    stages.
    """
    names = list(donor.stages())
    if not 1 <= depth <= len(names):
        raise ValueError(f"depth is {depth}, but from 1 to {len(names)} stages can be carried: {', '.join(names)}.")
    with seeded("heir", seed, depth):
        model = TinyResNet(donor.head.out_features)
    load_weights(model, donor.state_dict(), skip=[f"{name}." for name in (*names[depth:], "head")])
    freeze(model, depth if frozen else 0)
    return model


def heir_trial(
    way: str, depth: int, seed: int, *, donors: dict[str, nn.Module], tasks: Tasks, recipe: Recipe = SHORT
) -> dict[str, float]:
    """Train one heir of a donor (`"a"` or `"b"`) on task B, and return its accuracy there in percent.

    Fresh weights and batches are the same for all ways, one of `WAYS`. Raises ValueError for another way or depth.
    """
    if way not in WAYS:
        raise ValueError(f"{way!r} is not a way to carry stages. Expected one of: {', '.join(map(repr, WAYS))}.")
    donor = donors["b" if way.startswith("own") else "a"]
    model = heir(donor, depth, seed, frozen=way.endswith("frozen"))
    train(model, tasks.b, recipe, seed=2 * seed + 1)  # other batches than those of the base networks
    return {"accuracy": accuracy(model, tasks.test)}


def run_layer_transfer(
    seeds: Iterable[int],
    ways: Sequence[str] = WAYS,
    depths: Sequence[int] = DEPTHS,
    *,
    recipe: Recipe = SHORT,
    images: int = IMAGES,
    test_images: int = TEST_IMAGES,
    progress: bool = True,
) -> pd.DataFrame:
    """Train both base networks of every seed once, then all their heirs, several at the same time.

    The rows of a seed: the base network of task B, with a depth of 0, then every depth and way.
    """
    parts: list[pd.DataFrame] = []
    for seed in seeds:
        tasks = two_tasks(seed, images, test_images)
        bases = side_by_side(base_network, [(name, seed, tasks, recipe) for name in "ab"], progress)
        base = {"way": BASE, "depth": 0, "seed": seed, "accuracy": accuracy(bases[1], tasks.test)}
        trial = partial(heir_trial, donors=dict(zip("ab", bases, strict=True)), tasks=tasks, recipe=recipe)
        parts += [pd.DataFrame([base]), grid(trial, progress=progress, depth=depths, way=ways, seed=[seed])]
    return pd.concat(parts, ignore_index=True).assign(**recipe.budget)


def layer_transfer(seeds: Sequence[int]) -> pd.DataFrame:
    """Run all of it with a short training, and frozen stages of some seeds with one three times as long."""
    long = run_layer_transfer([seed for seed in seeds if seed in LONG_SEEDS], WAYS[:2], recipe=LONG)
    return pd.concat([run_layer_transfer(seeds), long], ignore_index=True)


def specificity(trials: pd.DataFrame) -> pd.DataFrame:
    """Estimate frozen stages of the other task minus those of the own task after the short training, by depth."""
    short = trials[trials["updates"] == SHORT.updates]
    named = short.assign(stages=[f"{depth} stage{'s' * (depth > 1)}" for depth in short["depth"]])
    return paired(named, "accuracy", "way", "other, frozen", "own, frozen", by=("depth", "stages"))


def mean_specificity(trials: pd.DataFrame) -> pd.DataFrame:
    """Return other minus own by depth, in points, as the mean of seeds that are too few for an interval."""
    wide = trials.pivot_table(index="depth", columns="way", values="accuracy")
    return (wide["other, frozen"] - wide["own, frozen"]).dropna().rename("points").reset_index()
