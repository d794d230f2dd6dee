"""The conditions under which notebook 11 measures, and the sheets of handwriting on which something is chosen."""

import functools
from dataclasses import replace

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt

TARGET = "handwritten-photo"
KINDS = tuple(CORRUPTIONS)
MIDDLE = 3  # the severity at which ways are compared
SHIFT = "shift"  # the dial of the world; all other kinds are corruptions
SHIFTS = (0.25, 0.5, 1.0)  # positions of the dial at which ways to learn are compared
KEPT_SHEETS = 5  # labels come from the first 5 of the training pool's 7 sheets; rates, temperatures and thresholds are
# chosen on the others, 260 images


@functools.lru_cache(maxsize=2)
def sheets(held_out: bool) -> ImageSet:
    """Return the part of the training pool that labels come from, or the part on which something is chosen."""
    pool = load(TARGET)
    return pool.subset((pool.attributes["sheet"] >= KEPT_SHEETS) == held_out)


@functools.lru_cache(maxsize=64)
def pool_under(kind: str = SHIFT, level: float = 0) -> ImageSet:
    """Return the test pool at a position of the dial, or under a corruption; by default as it is."""
    return load(TARGET, split="test", shift=level) if kind == SHIFT else corrupted(pool_under(), kind, int(level))


@functools.lru_cache(maxsize=64)
def held_out_under(kind: str, level: float = 0) -> ImageSet:
    """Return the sheets on which something is chosen, under a corruption."""
    return corrupted(sheets(held_out=True), kind, int(level))


def corrupted(data: ImageSet, kind: str, severity: int, seed: int = 0) -> ImageSet:
    """Return an image set with other images and the same labels."""
    return replace(data, images=corrupt(data.images, kind, severity, seed))


def right(answers: torch.Tensor, data: ImageSet) -> float:
    """Return how many answers, float `[N, classes]`, are right, in percent."""
    return 100 * (answers.argmax(1) == data.labels).double().mean().item()
