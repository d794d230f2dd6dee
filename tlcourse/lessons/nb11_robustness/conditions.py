"""The conditions under which notebook 11 measures: clean, corrupted in five severities, or moved along the dial."""

import functools
from dataclasses import replace

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt

WORLD = "handwritten-photo"
KINDS = tuple(CORRUPTIONS)
MIDDLE = 3  # the severity at which ways are compared
SHIFTS = (0.25, 0.5, 1.0)
KEPT_SHEETS = 5  # where settings are chosen, labels come from 5 of the training pool's 7 sheets, and 2 are held out


@functools.lru_cache(maxsize=128)
def measured_pool(kind: str = "clean", severity: int = MIDDLE) -> ImageSet:
    """Return the test pool as a kind of corruption leaves it, always with the same draws; `"clean"`: as it is."""
    clean = load(WORLD, split="test")
    return clean if kind == "clean" else corrupted(clean, kind, severity)


@functools.cache
def moved_pool(shift: float) -> ImageSet:
    """Return the test pool moved along the dial: leaning, faded, in evening light."""
    return load(WORLD, split="test", shift=shift)


def corrupted(data: ImageSet, kind: str, severity: int, seed: int = 0) -> ImageSet:
    """Return an image set with other images and the same labels."""
    return replace(data, images=corrupt(data.images, kind, severity, seed))


@functools.cache
def held_out() -> tuple[ImageSet, ImageSet]:
    """Split the training pool by sheets of handwriting: where a setting learns, and where it is chosen."""
    train = load(WORLD)
    first = train.attributes["sheet"] < KEPT_SHEETS
    return train.subset(first), train.subset(~first)


def right(answers: torch.Tensor, data: ImageSet) -> float:
    """Return how many answers, float `[N, classes]`, are right, in percent."""
    return 100 * (answers.argmax(1) == data.labels).double().mean().item()
