"""When the images without labels are others: some show what is none of the classes."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb07_without_labels.semi_supervised import (
    ALONE,
    CONVERGED,
    FIXMATCH,
    THRESHOLD,
    WORLD,
    judged,
    method_of,
    starting_network,
)
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.unlabelled.semi_supervised import learn_with_unlabelled

KNOWN = 5  # the task is to tell the digits 0 to 4 apart
IMAGES = 440  # without labels, of which a share shows something else
SHARES = (0.0, 0.5, 1.0)
PER_CLASS = 5
KINDS = ("other digits", "letters")  # handwritten 5 to 9 over the same photograph; printed letters over another


def known_digits(data: ImageSet) -> ImageSet:
    """Keep the digits of the task, as a set of five classes."""
    kept = data.subset(data.labels < KNOWN)
    return ImageSet(kept.images, kept.labels, kept.classes[:KNOWN], name=kept.name)


def without_labels(kind: str, share: float, seed: int) -> torch.Tensor:
    """Return 440 images, uint8 `[440, 3, 32, 32]`, of which a share is of a kind that the task does not know."""
    pool, draws = load(WORLD), generator("others", kind, seed)
    foreign = pool.images[pool.labels >= KNOWN] if kind == "other digits" else load("printed-photo", "letters").images
    count = round(share * IMAGES)
    parts = [(known_digits(pool).images, IMAGES - count), (foreign, count)]
    return torch.cat([images[torch.randperm(len(images), generator=draws)[:number]] for images, number in parts])


def trial(way: str, kind: str, share: float, seed: int) -> dict[str, Any]:
    """Learn from 25 labels and 440 images of which some are foreign, and measure on the test pool in percent.

    `taken` is the share of 200 foreign images that the network answers with a probability of at least 0.9 in the end.
    """
    pool, test = (known_digits(load(WORLD, split=split)) for split in ("train", "test"))
    model = starting_network("letters", seed, classes=KNOWN)
    images = without_labels(kind, share, seed)
    learn_with_unlabelled(model, pool.few(PER_CLASS, seed), images, method_of(way), seed=seed)
    foreign = without_labels(kind, 1.0, seed)[:200]
    unknown = ImageSet(foreign, torch.zeros(len(foreign), dtype=torch.int64), test.classes)
    taken = judged(model, unknown, THRESHOLD)["taken"].mean()
    return {**CONVERGED.budget, "accuracy": accuracy(model, test), "taken": 100 * taken}


def others(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare labels alone with FixMatch, the more the more of the images without labels are other digits."""
    alone = grid(trial, way=[ALONE], kind=["other digits"], share=[0.0], seed=seeds)
    mixed = grid(trial, way=[FIXMATCH], kind=["other digits"], share=SHARES, seed=seeds)
    letters = grid(trial, way=[FIXMATCH], kind=["letters"], share=[0.5], seed=seeds)
    return pd.concat([alone, mixed, letters], ignore_index=True)
