"""Scaling and augmentation of whole batches, one random draw an image."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


def scale(images: torch.Tensor) -> torch.Tensor:
    """Turn bytes into the numbers the course's networks were trained on: 0..255 becomes -1..1.

    This is `Normalize(0.5, 0.5)` of the classic recipes: divide by 255, subtract 0.5, divide by 0.5.

    Args:
        images: uint8 `[B, 3, H, W]`.

    Returns:
        float32 `[B, 3, H, W]`, on the same device.
    """
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """Draw `count` numbers evenly between `low` and `high`, float32 `[count]` on the CPU."""
    return torch.rand(count, generator=generator) * (high - low) + low


@dataclass(frozen=True)
class Augment:
    """Move, turn, bend and recolour every image of a batch by its own random amount.

    All draws come from a CPU generator, so the same seed gives the same images on every device.

    Attributes:
        degrees: rotation, up to this angle either way.
        shift: translation, up to this share of the width either way.
        zoom: larger or smaller by up to this share.
        shear: slanting, up to this many pixels sideways per pixel of height.
        bend: how far a smooth random field moves the pixels, as a share of half the width (standard deviation).
        light: strength of random contrast, brightness and colour cast.
    """

    degrees: float = 10.0
    shift: float = 0.08
    zoom: float = 0.1
    shear: float = 0.1
    bend: float = 0.02
    light: float = 0.2

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return a new batch.

        Args:
            x: float32 `[B, 3, H, W]`, scaled to about -1..1.
            generator: a CPU generator.

        Returns:
            float32 `[B, 3, H, W]`.
        """
        grid = self._grid(x, generator).to(x.device)
        moved = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        gain, offset = self._light(len(x), generator)
        return moved.mul_(gain.to(x.device)).add_(offset.to(x.device))

    def _grid(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Say for every pixel of the result where in the image to look, `[B, H, W, 2]` in -1..1."""
        n = len(x)
        angle = uniform(n, -self.degrees, self.degrees, generator) * (math.pi / 180)
        scale_x = torch.exp(uniform(n, -self.zoom, self.zoom, generator))
        scale_y = torch.exp(uniform(n, -self.zoom, self.zoom, generator))
        shear = uniform(n, -self.shear, self.shear, generator)
        dx, dy = (uniform(n, -2 * self.shift, 2 * self.shift, generator) for _ in range(2))
        cos, sin = angle.cos(), angle.sin()
        rows = [
            torch.stack([cos * scale_x, shear - sin * scale_x, dx], 1),
            torch.stack([sin * scale_y, cos * scale_y, dy], 1),
        ]
        grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
        if not self.bend:
            return grid
        coarse = torch.randn(n, 2, 4, 4, generator=generator) * self.bend  # a bend field, then made smooth
        return grid + F.interpolate(coarse, size=x.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)

    def _light(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw contrast `[B, 1, 1, 1]`, and brightness with colour cast `[B, 3, 1, 1]`."""
        gain = torch.exp(uniform(n, -self.light, self.light, generator))
        brightness = uniform(n, -self.light / 2, self.light / 2, generator)
        cast = torch.randn(n, 3, generator=generator) * (0.3 * self.light)
        return gain[:, None, None, None], (brightness[:, None] + cast)[:, :, None, None]
