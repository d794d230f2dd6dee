"""Random views of photographs in memory: a random part, mirrored or not, in other light, for whole batches at once."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tlcourse.repro import uniform


@dataclass(frozen=True)
class RandomView:
    """Show a random part of every photograph, mirrored half of the time, in slightly other light.

    Each photograph of a batch has a draw of its own, from a CPU generator. Mirroring is not for writing, or where the
    mirror image is another class. Source: Szegedy et al., "Going deeper with convolutions", 2015, CVPR.
    """

    smallest: float = 0.35  # share of the area that is shown at least, from above 0 to 1
    stretch: float = 4 / 3  # how far the sides of the part may differ, either way
    mirror: bool = True
    light: float = 0.2  # strength of random contrast, brightness and saturation

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= 1 or self.stretch < 1 or self.light < 0:
            raise ValueError(
                f"smallest is {self.smallest}, stretch {self.stretch} and light {self.light}. Expected a share above 0 "
                "and up to 1, at least 1, and at least 0."
            )

    def __call__(self, images: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
        """Return a view of every image: uint8 `[B, 3, H, W]` to float32 `[B, 3, side, side]`, from 0 to 1."""
        places = self.draw(len(images), generator).to(images.device)
        grid = F.affine_grid(places, [len(images), 3, side, side], align_corners=False)
        seen = F.grid_sample(images / 255, grid, padding_mode="reflection", align_corners=False)
        return self._relit(seen, generator)

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw what is shown of each image: the map from places in the view to places in the image, `[count, 2, 3]`."""
        area = uniform(count, self.smallest, 1.0, generator)
        ratio = uniform(count, -math.log(self.stretch), math.log(self.stretch), generator).exp()
        width, height = ((area * r).sqrt().clamp(max=1) for r in (ratio, 1 / ratio))  # shares of the image's sides
        x, y = (uniform(count, -1, 1, generator) * (1 - size) for size in (width, height))  # the middle, -1 to 1
        sign = 1 - 2.0 * (torch.rand(count, generator=generator) < 0.5 * self.mirror)
        none = torch.zeros(count)
        return torch.stack([torch.stack([sign * width, none, x], 1), torch.stack([none, height, y], 1)], 1)

    def _relit(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Change saturation, contrast and brightness of each image, `[B, 3, H, W]` from 0 to 1."""
        if not self.light:
            return x
        colour, gain = (1 + uniform(len(x), -self.light, self.light, generator) for _ in range(2))
        offset = uniform(len(x), -self.light / 2, self.light / 2, generator)
        colour, gain, offset = (values.to(x.device)[:, None, None, None] for values in (colour, gain, offset))
        grey = x.mean(1, keepdim=True)
        return ((grey + colour * (x - grey) - 0.5) * gain + 0.5 + offset).clamp(0, 1)
