"""The classic recipe that beginners meet on CIFAR-10, and an improved one beside it: both from scratch, by one call."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from tlcourse.data.augmentations import Chain, Crop, Flip
from tlcourse.data.batches import Batches
from tlcourse.data.cifar10 import NAME as CIFAR10
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import wilson_interval
from tlcourse.evaluation.predict import predict
from tlcourse.models.pretrained import NETWORKS, build
from tlcourse.notebook.rows import save_rows
from tlcourse.repro import seeded
from tlcourse.storage import StorageError
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import fit
from tlcourse.training.recipe import Recipe, adamw
from tlcourse.training.schedules import constant

EPOCHS = 100
BATCH = 128


# of both: every image once an epoch, scaled by `Normalize(0.5, 0.5)`; without weight decay, AdamW is Adam
RECIPES = {
    "classic": Recipe(EPOCHS, steps=None, batch=BATCH, lr=1e-3, weight_decay=0.0, augment=None),
    "improved": Recipe(EPOCHS, steps=None, batch=BATCH, lr=5e-3, weight_decay=0.05),
}
NETWORK = {"classic": "small_cnn", "improved": "tiny_resnet"}


@dataclass(frozen=True)
class ClassicRun:
    """What a training came to: one row of a table.

    Attributes:
        recipe: one of `RECIPES`.
        network: which network was trained.
        world: on which images.
        images: how many of them.
        epochs: how often each was seen.
        seed: seed of weights, batches and augmentation.
        train_loss: mean loss of the last epoch, as training saw it.
        accuracy: on all test images, after the last epoch, in percent.
        low: lower end of its 95 % interval (Wilson), in percent; it says how sure so many test images are, and
            nothing of other seeds.
        high: upper end.
        seconds: time to train.
    """

    recipe: str
    network: str
    world: str
    images: int
    epochs: int
    seed: int
    train_loss: float
    accuracy: float
    low: float
    high: float
    seconds: float

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.recipe} recipe, {self.network}, {self.epochs} epochs of {self.images:,} images of {self.world}: "
            f"{self.accuracy:.1f} % [{self.low:.1f}, {self.high:.1f}] of the test images, {self.seconds:.0f} s"
        )


class Trained(NamedTuple):
    """The row, the network, and what happened in every epoch."""

    run: ClassicRun
    model: nn.Module
    history: History


def run_classic(
    recipe: str = "classic",
    *,
    world: str = CIFAR10,
    epochs: int = EPOCHS,
    count: int | None = None,
    network: str | None = None,
    seed: int = 0,
    checkpoint: Path | str | None = None,
    progress: bool = True,
) -> Trained:
    """Train from scratch by one of the two recipes, and measure once, at the end, on the whole test half.

    No epoch is chosen: the accuracy is that of the last one, since the best of 100 on the test half would flatter.

    Args:
        recipe: `"classic"` (SmallCNN, Adam at 0.001, nothing else) or `"improved"` (TinyResNet, augmentation, one cycle
            of the rate, weight decay); batches of 128 and equally many epochs in both.
        world: `"cifar10"`, or a world that travels with the course.
        epochs: how often every image is seen.
        count: train on the first so many images only; None takes all.
        network: another network than the recipe's, to see which part of a gain comes from it.
        seed: seed of weights, batches and augmentation.
        checkpoint: a file that lets an interrupted training go on; see `fit`.
        progress: show a progress bar.

    Returns:
        The row, the network and its history.

    Raises:
        ValueError: there is no such recipe, network or world, or a number is out of range.
        DownloadError: CIFAR-10 is not on this machine and could not be fetched.
    """
    if recipe not in RECIPES:
        raise ValueError(f"{recipe!r} is not a recipe. Expected one of: {', '.join(map(repr, RECIPES))}.")
    network = network or NETWORK[recipe]
    train, test = load(world, count=count), load(world, split="test")
    with seeded("classic", seed):
        model = build(network, len(train.classes))
    begin = time.perf_counter()
    batches, optimizer, schedule = _prepare(model, train, recipe, world, epochs, seed)
    how = {"optimizer": optimizer, "schedule": schedule, "checkpoint": checkpoint, "progress": progress}
    history = fit(model, batches, epochs=epochs, **how)
    seconds = time.perf_counter() - begin
    hits = int((predict(model, test).argmax(1).cpu() == test.labels).sum())
    score = wilson_interval(hits, len(test))
    row = (recipe, network, world, len(train), epochs, seed, history.train_loss[-1])
    return Trained(ClassicRun(*row, score.mean, score.low, score.high, seconds), model, history)


def augmentation(world: str) -> Chain:
    """Return how the improved recipe varies images: moved, and mirrored where it keeps the class.

    A mirrored cat is a cat. A mirrored 2 is no digit, so only CIFAR-10 is mirrored.
    """
    return Chain(Flip(), Crop(4)) if world == CIFAR10 else Chain(Crop(4))


def _prepare(
    model: nn.Module, train: ImageSet, recipe: str, world: str, epochs: int, seed: int
) -> tuple[Batches, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return batches, optimiser and schedule: the classic recipe keeps its rate, the improved one has a cycle."""
    rule, improved = RECIPES[recipe], recipe == "improved"
    batches = replace(rule, augment=augmentation(world) if improved else None).batches(train, seed)
    options = {"weight_decay": rule.weight_decay, "schedule": None if improved else constant(), "fused": False}
    return batches, *adamw(model, rule.lr, max(1, epochs) * len(batches), **options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one recipe or both from the command line, print their scores, and write them as a table if asked.

    Args:
        arguments: words of the command line; None takes those of this process.

    Returns:
        0, or 1 when the images could not be had.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tlcourse.lessons classic",
        description="Train from scratch on CIFAR-10, as beginners do, and better. One core needs about 40 s an epoch.",
    )
    parser.add_argument("--recipe", choices=[*RECIPES, "both"], default="both", help="which (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="loops over the images (default: %(default)s)")
    parser.add_argument("--world", default=CIFAR10, help="what to train on (default: %(default)s)")
    parser.add_argument("--count", type=int, help="training images (default: all)")
    parser.add_argument("--network", choices=NETWORKS, help="one network for all (default: each recipe's own)")
    parser.add_argument("--seed", type=int, default=0, help="which random draws (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a table to write")
    chosen = vars(parser.parse_args(arguments))
    recipe, out, rows = chosen.pop("recipe"), chosen.pop("out"), []
    try:
        for name in RECIPES if recipe == "both" else [recipe]:
            rows.append(run_classic(name, **chosen).run)
            print(rows[-1], flush=True)
        if out:
            print(f"wrote {len(rows)} rows to {save_rows(out, rows)}")
    except (StorageError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
