"""An augmentation that changes what is behind: the same writing over another patch of a photograph."""

from dataclasses import dataclass

import torch

from tlcourse.data.augmentations import check_range
from tlcourse.data.backgrounds import SOURCE_PHOTO, cut_patches, patch_boxes
from tlcourse.data.worlds import blend


@dataclass(frozen=True)
class Backdrop:
    """Lay a `share` of the images over patches of a photograph, each over its own, as worlds are made (`blend`).

    What is written inverts what is behind, whatever that is, so a patch may also be laid over an image that has one. A
    patch comes from the training part of the photograph. Takes images of 32x32 pixels, scaled to -1..1.
    """

    share: float = 0.8
    photo: str = SOURCE_PHOTO

    def __post_init__(self) -> None:
        check_range("share", self.share, 0, 1)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if x.shape[1:] != (3, 32, 32):
            raise ValueError(
                f"images have shape {list(x.shape)}, but [B, 3, 32, 32] was expected, the size of a patch."
            )
        laid = torch.rand(len(x), generator=generator) < self.share
        patches = cut_patches(self.photo, patch_boxes(self.photo, len(x), "train", generator)).to(x.device)
        over = blend((x + 1) * 127.5, patches) / 127.5 - 1
        return torch.where(laid.to(x.device)[:, None, None, None], over, x)
