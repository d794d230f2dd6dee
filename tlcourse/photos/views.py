"""Random views of photographs: a random part, mirrored or not, in other light."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class RandomView:
    """Show a random part of a photograph, mirrored half of the time, in slightly other light.

    Mirroring is not for writing, or where the mirror image is another class. Source: Szegedy et al., "Going deeper with
    convolutions", 2015, CVPR.
    """

    smallest: float = 0.35  # share of the area that is shown at least, from above 0 to 1
    stretch: float = 4 / 3  # how far the sides of the part may differ, either way
    mirror: bool = True
    light: float = 0.2  # strength of random contrast, brightness and saturation, from 0 to 1

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= 1 or self.stretch < 1 or not 0 <= self.light <= 1:
            raise ValueError(
                f"smallest is {self.smallest}, stretch {self.stretch} and light {self.light}. Expected a share above 0 "
                "and up to 1, at least 1, and 0 to 1."
            )

    def transform(self, side: int) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the transform of bytes `[3, H, W]` to bytes `[3, side, side]`; it draws from the global generator."""
        from torchvision.transforms import v2  # takes a while to import

        part = v2.RandomResizedCrop(side, (self.smallest, 1.0), (1 / self.stretch, self.stretch))
        light = v2.ColorJitter(self.light, self.light, self.light)
        return v2.Compose([part, v2.RandomHorizontalFlip(0.5 * self.mirror), light])
