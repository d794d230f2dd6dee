"""The networks that several measurements of notebook 11 share, and the sheets of handwriting that they learn from."""

import copy
import functools
from dataclasses import replace

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.corruptions import corrupt
from tlcourse.training.recipe import CONVERGED, train
from tlcourse.training.starts import starting_model, train_from
from tlcourse.transfer.linear_probe import linear_probe

TARGET = "handwritten-photo"
PER_CLASS = 50
KEPT_SHEETS = 5  # labels come from the first 5 of the training pool's 7 sheets; temperatures and thresholds are chosen
# on the others, 260 images
FINE_TUNED, LP_FT, PROBE, SCRATCH = "fine-tuned", "LP-FT", "linear probe", "scratch"
SHIFT = "shift"  # the dial of the world; all other kinds are corruptions


@functools.lru_cache(maxsize=2)
def sheets(held_out: bool) -> ImageSet:
    """Return the part of the training pool that labels come from, or the part on which something is chosen."""
    pool = load(TARGET)
    return pool.subset((pool.attributes["sheet"] >= KEPT_SHEETS) == held_out)


def labelled(seed: int, per_class: int = PER_CLASS) -> ImageSet:
    """Return the labelled images that a seed draws."""
    return sheets(held_out=False).few(per_class, seed)


def network(start: str, seed: int, *, per_class: int = PER_CLASS, member: int = 0) -> nn.Module:
    """Return a trained network; members of an ensemble share the labels, and differ in head, batches and augmentation.

    It is trained once, and a copy is returned, which may be changed.
    """
    return copy.deepcopy(_trained(start, seed, per_class, member))


@functools.cache
def _trained(start: str, seed: int, per_class: int, member: int) -> nn.Module:
    few, draw = labelled(seed, per_class), seed + 1000 * member
    if start != LP_FT:
        return train_from(start, few, CONVERGED, seed=draw)
    model = starting_model(FINE_TUNED, draw)
    linear_probe(model, few)  # the best head first (Kumar et al., 2022, ICLR)
    train(model, few, CONVERGED, seed=draw)
    return model


@functools.lru_cache(maxsize=64)
def pool_under(kind: str = SHIFT, level: float = 0) -> ImageSet:
    """Return the test pool as a position of the dial has it, or a corruption in one of its severities."""
    return moved(load(TARGET, split="test", shift=level if kind == SHIFT else 0), kind, level)


@functools.lru_cache(maxsize=64)
def held_out_under(kind: str, level: float = 0) -> ImageSet:
    """Return the sheets on which something is chosen, under a corruption."""
    return moved(sheets(held_out=True), kind, level)


def moved(data: ImageSet, kind: str, level: float) -> ImageSet:
    """Return images under a corruption; those of the dial come as they are from `load`."""
    return data if kind == SHIFT else replace(data, images=corrupt(data.images, kind, int(level)))
