"""The challenge of notebook 06: a labelled source, an unlabelled target, and signs of the digits' network."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.exercises.held_out import FRESH
from tlcourse.models.pretrained import pretrained

SHIFT, PER_CLASS = 0.5, 500
LAYER = "block2.conv1.weight"  # 0.13 alike in the networks for letters and digits; a short training keeps 0.9


def two_domains(seed: int) -> tuple[ImageSet, torch.Tensor]:
    """Return the arguments of the challenge: 5,000 printed digits with labels, and 906 handwritten ones without.

    The handwritten images, uint8 `[906, 3, 32, 32]`, are those of the training pool, half-way along the shift, on
    pieces of the photograph that the seed draws.
    """
    source = load("printed-photo").few(PER_CLASS, seed=FRESH + seed)
    return source, load("handwritten-photo", shift=SHIFT, seed=FRESH + seed).images


def began_with_digits(state: Mapping[str, torch.Tensor]) -> bool:
    """Say whether a state dict has filters like those of the network for digits, before or after a training."""
    known = pretrained("tiny_resnet", "digits").state_dict()[LAYER]
    mine = state.get(LAYER)
    if mine is None or mine.shape != known.shape:
        return False
    return bool(F.cosine_similarity(mine.flatten().float(), known.flatten(), dim=0) > 0.5)
