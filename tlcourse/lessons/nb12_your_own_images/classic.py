"""The classic recipe that beginners meet on CIFAR-10, and an improved one beside it, from scratch, by one command."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from tlcourse.data.augmentations import Chain, Crop, Flip
from tlcourse.data.cifar10 import NAME as CIFAR10
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import wilson_interval
from tlcourse.evaluation.predict import predict
from tlcourse.models.pretrained import build
from tlcourse.notebook.results import save_results
from tlcourse.repro import seeded
from tlcourse.storage import StorageError
from tlcourse.training.loop import fit
from tlcourse.training.recipe import Recipe, adamw
from tlcourse.training.schedules import constant

EPOCHS = 100
# of both: every image once an epoch, scaled by `Normalize(0.5, 0.5)`; without weight decay, AdamW is Adam
RECIPES = {
    "classic": Recipe(EPOCHS, steps=None, batch=128, lr=1e-3, weight_decay=0.0, augment=None),
    "improved": Recipe(EPOCHS, steps=None, batch=128, lr=5e-3, weight_decay=0.05),
}
NETWORK = {"classic": "small_cnn", "improved": "tiny_resnet"}
SENTENCE = (
    "{recipe} recipe, {network}, {epochs} epochs of {images:,} images of {world}: {accuracy:.1f} % "
    "[{low:.1f}, {high:.1f}] of the test images, {seconds:.0f} s"
)


def run_classic(
    recipe: str, *, world: str = CIFAR10, epochs: int = EPOCHS, count: int | None = None, seed: int = 0
) -> tuple[dict[str, Any], nn.Module]:
    """Train from scratch by one of the two recipes, measure once on the whole test pool; return a row and the network.

    `"classic"` is SmallCNN, Adam at 0.001 and nothing else; `"improved"` TinyResNet, augmentation, one cycle of the
    rate and weight decay; both have batches of 128 and equally many epochs. `count` trains on the first so many images.
    No epoch is chosen: the best of 100 on the test pool would be optimistic. Raises ValueError when there is no such
    world, or a number is out of range, and DownloadError when CIFAR-10 is not here and could not be fetched.
    """
    rule, improved = RECIPES[recipe], recipe == "improved"
    train, test = load(world, count=count), load(world, split="test")
    with seeded("classic", seed):
        model = build(NETWORK[recipe], len(train.classes))
    begin = time.perf_counter()
    batches = replace(rule, augment=augmentation(world) if improved else None).batches(train, seed)
    options = {"weight_decay": rule.weight_decay, "schedule": None if improved else constant(), "fused": False}
    optimizer, schedule = adamw(model, rule.lr, max(1, epochs) * len(batches), **options)
    fit(model, batches, epochs=epochs, optimizer=optimizer, schedule=schedule)
    hits = int((predict(model, test).argmax(1).cpu() == test.labels).sum())
    score = wilson_interval(hits, len(test))
    row = {"recipe": recipe, "network": NETWORK[recipe], "world": world, "images": len(train), "epochs": epochs}
    row |= {"seed": seed, "accuracy": score.mean, "low": score.low, "high": score.high}
    return {**row, "seconds": time.perf_counter() - begin}, model


def augmentation(world: str) -> Chain:
    """Return how the improved recipe varies images: moved, and mirrored where it keeps the class.

    A mirrored cat is a cat. A mirrored 2 is no digit, so only CIFAR-10 is mirrored.
    """
    return Chain(Flip(), Crop(4)) if world == CIFAR10 else Chain(Crop(4))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one recipe or both, print their accuracies, and write a table if asked; 1 when there are no images."""
    parser = argparse.ArgumentParser(
        prog="python -m tlcourse.lessons classic",
        description="Train from scratch on CIFAR-10, as beginners do, and better. One core needs about 40 s an epoch.",
    )
    say = "%(default)s unless given"
    parser.add_argument("--recipe", choices=[*RECIPES, "both"], default="both", help=say)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=say)
    parser.add_argument("--world", default=CIFAR10, help=say)
    parser.add_argument("--count", type=int, help="training images, all unless given")
    parser.add_argument("--seed", type=int, default=0, help=say)
    parser.add_argument("--out", type=Path, help="a table to write")
    chosen = vars(parser.parse_args(arguments))
    recipe, out, rows = chosen.pop("recipe"), chosen.pop("out"), []
    try:
        for name in RECIPES if recipe == "both" else [recipe]:
            rows.append(run_classic(name, **chosen)[0])
            print(SENTENCE.format(**rows[-1]), flush=True)
        if out:
            print(f"wrote {len(rows)} rows to {save_results(pd.DataFrame(rows), out)}")
    except (StorageError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
