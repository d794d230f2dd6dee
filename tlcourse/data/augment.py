"""Scaling and augmentation of whole batches, one random draw an image."""

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


def scale(images: torch.Tensor) -> torch.Tensor:
    """Turn bytes, uint8 `[B, 3, H, W]`, into what the course's networks were trained on: float32 from -1 to 1.

    This is `Normalize(0.5, 0.5)` of the classic recipes: divide by 255, subtract 0.5, divide by 0.5.
    """
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def uniform(count: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """Draw `count` numbers evenly between `low` and `high`, float32 `[count]` on the CPU."""
    return torch.rand(count, generator=generator) * (high - low) + low


@dataclass(frozen=True)
class Augment:
    """Move, turn, bend and recolour every image of a batch by its own random amount.

    All draws come from a CPU generator, so the same seed gives the same images on every device.
    """

    degrees: float = 10.0  # rotation, up to this angle either way
    shift: float = 0.08  # translation, up to this share of the width either way
    zoom: float = 0.1  # larger or smaller by up to this share
    shear: float = 0.1  # up to this many pixels sideways per pixel of height
    bend: float = 0.02  # standard deviation of a smooth field that moves the pixels, as a share of half the width
    light: float = 0.2  # strength of random contrast, brightness and colour cast

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Augment float32 `[B, 3, H, W]`, scaled to about -1..1, into a new batch."""
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
        bend = torch.randn(n, 2, 16, generator=generator) * self.bend
        cos, sin = angle.cos(), angle.sin()
        look_x = torch.stack([cos * scale_x, shear - sin * scale_x, dx], 1)  # how much of x, of y and of 1 is in it
        look_y = torch.stack([sin * scale_y, cos * scale_y, dy], 1)
        mix = torch.cat([torch.stack([look_x, look_y], 1), bend], 2)  # [B, 2, 19]
        fields = mix.flatten(0, 1) @ _fields(*x.shape[2:])  # one product for the whole batch: [B * 2, H * W]
        return fields.reshape(n, 2, *x.shape[2:]).permute(0, 2, 3, 1)

    def _light(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw contrast `[B, 1, 1, 1]`, and brightness with colour cast `[B, 3, 1, 1]`."""
        gain = torch.exp(uniform(n, -self.light, self.light, generator))
        brightness = uniform(n, -self.light / 2, self.light / 2, generator)
        cast = torch.randn(n, 3, generator=generator) * (0.3 * self.light)
        return gain[:, None, None, None], (brightness[:, None] + cast)[:, :, None, None]


@functools.cache
def _fields(height: int, width: int) -> torch.Tensor:
    """Return the fields that every distortion is mixed from, float32 `[19, H * W]`.

    They are x, y and 1, from which turns, slants, zooms and shifts are made, and 16 smooth hills on a 4x4 lattice, from
    which bends are made.
    """
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    hills = F.interpolate(torch.eye(16).reshape(16, 1, 4, 4), (height, width), mode="bicubic", align_corners=True)
    return torch.cat([torch.stack([2 * x - 1, 2 * y - 1, torch.ones_like(x)]), hills[:, 0]]).flatten(1)
