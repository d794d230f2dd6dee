"""Masked autoencoder: hide most of an image, and learn to draw what is hidden from what is left.

He et al. hide patches from a transformer, which then computes without them. A convolutional network cannot leave out
places, so hidden patches are filled with grey, and only they are scored, as in SimMIM.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from tlcourse.adaptation.adapt import to_the_end
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.augmentations import Augment, Chain
from tlcourse.data.backdrop import Backdrop
from tlcourse.data.normalisation import denormalise, scale
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.pretext import Pretext, pretext_updates, shown

SIZE = 16  # an image's height and width are multiples of it: that many pixels become one place of the map
PATCH = 4  # pixels, height and width
HIDDEN = 0.6  # share of the patches
GREY = 0.0  # midway between black (-1) and white (1)
MASKING = Recipe(
    epochs=100, batch=96, augment=Chain(Backdrop(), Augment(shift=0.1, zoom=0.25, shear=0.25, bend=0.05, light=0.4))
)


class Masked(Pretext):
    """A network up to the map of its last stage, and a decoder that draws the image from it."""

    def __init__(self, model: TinyResNet, top: nn.Module) -> None:
        if not isinstance(model, TinyResNet):
            raise TypeError(
                f"the network is a {type(model).__name__}, which has no map of features at a sixteenth of the size. "
                "Expected a TinyResNet: what is hidden is drawn from that map."
            )
        super().__init__(model, top)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, H, W]`, into drawn ones of the same shape."""
        for stage in self.model.stages().values():
            x = stage(x)
        return self.top(x)  # from [B, 128, H / 16, W / 16], whose average over all places would be the features


def pixel_decoder(model: nn.Module, seed: int = 0) -> nn.Sequential:
    """Make the decoder from a map `[B, num_features, H / 16, W / 16]` to an image `[B, 3, H, W]`."""
    with seeded("pixel decoder", seed):
        return nn.Sequential(
            nn.Conv2d(model.num_features, 64 * 16, 1), nn.PixelShuffle(4), nn.ReLU(),  # [B, 64, H / 4, W / 4]
            nn.Conv2d(64, 3 * 16, 3, padding=1), nn.PixelShuffle(4),  # [B, 3, H, W]: a patch at every place
        )  # fmt: skip


def patch_mask(shape: torch.Size, hidden: float, draws: torch.Generator) -> torch.Tensor:
    """Draw which pixels are hidden, bool `[B, 1, H, W]`: of every image the same share of its patches.

    `shape` is that of the images, `[B, C, H, W]`.
    """
    count, _, height, width = shape
    rows, columns = height // PATCH, width // PATCH
    number = round(hidden * rows * columns)
    if height % SIZE or width % SIZE or not 0 < number < rows * columns:
        raise ValueError(
            f"a share of {hidden} was to be hidden of images of {height}x{width} pixels. Expected a share such as 0.6, "
            f"which hides some patches and not all, and a height and width that are multiples of {SIZE}."
        )
    order = torch.rand(count, rows * columns, generator=draws).argsort(1).argsort(1)  # the place of each in a shuffle
    patches = (order < number).reshape(count, 1, rows, columns)
    return patches.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)


def masked_error(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error of the hidden pixels, from drawn images `[B, 3, H, W]`.

    `wanted`, `[B, 4, H, W]`, are the three colours, and in the last channel 1 where a pixel was hidden, else 0.
    """
    colours, hidden = wanted[:, :3], wanted[:, 3:]
    return ((drawn - colours).square() * hidden).sum() / (3 * hidden.sum())


def masked_batches(
    images: torch.Tensor, recipe: Recipe, hidden: float = HIDDEN, seed: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: images with hidden patches, `[B, 3, H, W]`, and what `masked_error` wants of them."""
    draws = generator("masks", seed)
    for x, _ in shown(images, recipe, recipe.augment, seed):
        mask = patch_mask(x.shape, hidden, draws).to(x.device)
        yield x.masked_fill(mask, GREY), torch.cat([x, mask.float()], 1)


def masking_updates(
    model: nn.Module,
    images: torch.Tensor,
    recipe: Recipe = MASKING,
    *,
    hidden: float = HIDDEN,
    top: nn.Module | None = None,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Do what `pretrain_by_masking` does, and yield the loss after every update, for whoever looks on or stops early.

    `top` is what stands on the map of the last stage, a new `pixel_decoder` unless given; whoever gives one can see by
    `reconstruct` what it draws.
    """
    task = Masked(model, pixel_decoder(model, seed) if top is None else top)
    return pretext_updates(task, images, masked_batches(images, recipe, hidden, seed), masked_error, recipe)


def pretrain_by_masking(
    model: nn.Module,
    images: torch.Tensor,
    recipe: Recipe = MASKING,
    *,
    hidden: float = HIDDEN,
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train the backbone in place to draw the hidden part of an image, and return the network.

    `images` are images alone, uint8 `[N, 3, H, W]`; a share `hidden` of the 4x4 patches of each is filled with grey.
    The decoder is thrown away, and the head of the network stays as it was: for other classes, replace it afterwards.
    Raises TypeError for images with labels and for a network other than a TinyResNet, ValueError for a share that hides
    nothing or all and for images of another size than a multiple of 16, ArithmeticError when the loss breaks.

    Sources: He et al., "Masked autoencoders are scalable vision learners", 2022, CVPR; grey instead of leaving out, and
    a decoder that is hardly more than one layer, Xie et al., "SimMIM: A simple framework for masked image modeling",
    2022, CVPR.
    """
    steps = masking_updates(model, images, recipe, hidden=hidden, seed=seed)
    return to_the_end(model, steps, recipe, progress=progress)


class Reconstruction(NamedTuple):
    """Images with hidden patches, and the same with the patches that were drawn; both uint8 `[N, 3, H, W]`."""

    masked: torch.Tensor
    drawn: torch.Tensor


@torch.no_grad()
def reconstruct(
    model: nn.Module, decoder: nn.Module, images: torch.Tensor, hidden: float = HIDDEN, seed: int = 0
) -> Reconstruction:
    """Hide patches of images, uint8 `[N, 3, H, W]`, and let network and decoder draw them; both stay as they are.

    Batch normalisation takes the statistics of these very images, masked, as in training: the network's own are those
    of whole images. So give some fifty, also to look at the first alone.
    """
    x = scale(unlabelled(images).images)
    mask = patch_mask(x.shape, hidden, generator("masks", seed)).to(x.device)
    masked = x.masked_fill(mask, GREY)
    task = copy.deepcopy(Masked(model, decoder)).train()
    drawn = task(masked.to(next(task.parameters()).device)).to(x.device)
    return Reconstruction(denormalise(masked), denormalise(torch.where(mask, drawn, x)))
