"""The networks that several measurements of notebook 11 share."""

import copy
import functools

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb11_robustness.conditions import sheets
from tlcourse.training.recipe import CONVERGED, train
from tlcourse.training.starts import starting_model, train_from
from tlcourse.transfer.linear_probe import linear_probe

PER_CLASS = 50
FINE_TUNED, LP_FT, PROBE, SCRATCH = "fine-tuned", "LP-FT", "linear probe", "scratch"


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
