"""Rotation prediction: turn each image by no, one, two or three quarters, and learn to tell which."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adapt import to_the_end
from tlcourse.data.augmentations import Augment, Chain
from tlcourse.data.backdrop import Backdrop
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.pretext import Pretext, pretext_updates, shown

QUARTERS = 4
# A photograph has an up and a down of its own; the backdrop, which is not turned, leaves only what is written to tell.
ROTATION = Recipe(
    epochs=100, batch=32, augment=Chain(Backdrop(), Augment(shift=0.1, zoom=0.25, shear=0.25, bend=0.05, light=0.5))
)


def turned(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images of `[B, C, H, W]` in all four directions, `[4 * B, C, H, W]`, and by how many quarters, int64.

    A turn by whole quarters moves pixels and computes none: no trace of interpolation tells the answer. ValueError for
    images that are not square.
    """
    if x.ndim != 4 or x.shape[2] != x.shape[3]:
        raise ValueError(
            f"images have shape {list(x.shape)}, but [B, C, H, H] was expected: a quarter of a turn would swap height "
            "and width. Cut out a square."
        )
    every_way = [x.rot90(quarters, (2, 3)) for quarters in range(QUARTERS)]  # counter-clockwise
    return torch.cat(every_way), torch.arange(QUARTERS).repeat_interleave(len(x))


def rotation_head(model: nn.Module, seed: int = 0) -> nn.Linear:
    """Make a layer for the four answers, from features `[B, num_features]` to logits `[B, 4]`."""
    with seeded("rotation head", seed):
        return nn.Linear(model.num_features, QUARTERS)


def rotation_batches(
    images: torch.Tensor, recipe: Recipe, seed: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: four times `recipe.batch` images, as all directions of an image come together.

    They are turned first and augmented then, each anew, so that what an augmentation adds stands upright in all.
    """
    draws = generator("turned images", seed)
    for some, _ in shown(images, recipe, None, seed):
        x, quarters = turned(some)
        yield (recipe.augment(x, draws) if recipe.augment else x), quarters


def rotation_updates(
    model: nn.Module, images: torch.Tensor, recipe: Recipe = ROTATION, *, top: nn.Module | None = None, seed: int = 0
) -> Iterator[torch.Tensor]:
    """Do what `pretrain_by_rotation` does, and yield the loss after every update, for whoever looks on or stops early.

    `top` is what stands on the features, a new `rotation_head` unless given; whoever gives one can use it afterwards.
    """
    task = Pretext(model, rotation_head(model, seed) if top is None else top)
    return pretext_updates(task, images, rotation_batches(images, recipe, seed), F.cross_entropy, recipe)


def pretrain_by_rotation(
    model: nn.Module, images: torch.Tensor, recipe: Recipe = ROTATION, *, seed: int = 0, progress: bool = False
) -> nn.Module:
    """Train the backbone in place to tell by how many quarters an image is turned, and return the network.

    `images` are images alone, uint8 `[N, 3, H, W]`. The layer for the four answers is thrown away, and the head of the
    network stays as it was: for other classes, replace it afterwards. Raises TypeError for images with labels,
    ArithmeticError when the loss breaks.

    Source: Gidaris, Singh and Komodakis, "Unsupervised representation learning by predicting image rotations", 2018,
    ICLR.
    """
    return to_the_end(model, rotation_updates(model, images, recipe, seed=seed), recipe, progress=progress)
