"""The challenge of notebook 06: a labelled source and an unlabelled target."""

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.exercises.held_out import FRESH

SHIFT, PER_CLASS = 0.5, 500


def two_domains(seed: int) -> tuple[ImageSet, torch.Tensor]:
    """Return the arguments of the challenge: 5,000 printed digits with labels, and 906 handwritten ones without.

    The handwritten images, uint8 `[906, 3, 32, 32]`, are those of the training pool, half-way along the shift, on
    pieces of the photograph that the seed draws.
    """
    source = load("printed-photo").few(PER_CLASS, seed=FRESH + seed)
    return source, load("handwritten-photo", shift=SHIFT, seed=FRESH + seed).images
