"""Augmentation of whole batches, each image by its own draw: one effect at a time, or all at once with `Augment`.

Every single effect is two steps. A draw says what happens to each image; a plain function without chance does it. The
second can be compared with torchvision, image by image; the first alone decides how strong an augmentation is.
`Augment` samples the image once for all effects, which is faster and blurs less.
"""

import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tlcourse.data.batches import Transform
from tlcourse.repro import uniform


def flip_where(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Swap left and right in the images of `[B, C, H, W]` that `chosen`, bool `[B]`, names."""
    return torch.where(chosen.to(x.device)[:, None, None, None], x.flip(3), x)


def shift_by(x: torch.Tensor, right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Move each image of `[B, C, H, W]` by whole pixels, int64 `[B]`; what comes in from outside is mirrored.

    This is a crop: enlarge the image by its mirrored border, and cut out a window of the old size somewhere else.
    ValueError when an image would move by its whole height or width.
    """
    farthest = [int(moves.abs().max()) if len(moves) else 0 for moves in (down, right)]
    if farthest[0] >= x.shape[2] or farthest[1] >= x.shape[3]:
        raise ValueError(
            f"images of {x.shape[2]}x{x.shape[3]} pixels were to move by up to {farthest[0]} down and {farthest[1]} "
            "right. Expected less than their height and width; nothing of the image would be left."
        )
    rows = _mirrored(torch.arange(x.shape[2]) - down[:, None], x.shape[2]).to(x.device)  # [B, H]: where to look
    columns = _mirrored(torch.arange(x.shape[3]) - right[:, None], x.shape[3]).to(x.device)  # [B, W]
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def rotate_by(x: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Turn each square image of float `[B, C, H, W]` counter-clockwise; what comes in from outside is mirrored."""
    angle = degrees * (math.pi / 180)
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
    look = torch.stack([torch.stack([cos, -sin, none], 1), torch.stack([sin, cos, none], 1)], 1)  # [B, 2, 3]
    grid = F.affine_grid(look.to(x.device, x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def recolour_by(x: torch.Tensor, gain: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Multiply contrast by `gain` `[B]` and add `offset` `[B, C]`, where 0 is midway between black and white."""
    return x * gain.to(x.device)[:, None, None, None] + offset.to(x.device)[:, :, None, None]


def boxes(height: int, width: int, top: torch.Tensor, left: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
    """Mark one rectangle an image, bool `[B, 1, height, width]`, true inside; what hangs over the edge is cut off.

    `top` and `left` are pixels, int64 `[B]`; `sides` are height and width of the rectangles, int64 `[B, 2]`.
    """
    rows, columns = torch.arange(height), torch.arange(width)
    tall = (rows >= top[:, None]) & (rows < (top + sides[:, 0])[:, None])  # [B, H]
    wide = (columns >= left[:, None]) & (columns < (left + sides[:, 1])[:, None])  # [B, W]
    return (tall[:, :, None] & wide[:, None, :])[:, None]


@dataclass(frozen=True)
class Flip:
    """Mirror a `share` of the images, left for right."""

    share: float = 0.5

    def __post_init__(self) -> None:
        check_range("share", self.share, 0, 1)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return flip_where(x, self.draw(len(x), generator))

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw which images to mirror, bool `[count]`."""
        return torch.rand(count, generator=generator) < self.share


@dataclass(frozen=True)
class Crop:
    """Move every image by up to `pixels` in both directions, as padding and cropping does."""

    pixels: int = 4

    def __post_init__(self) -> None:
        check_range("pixels", self.pixels, 0, math.inf)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return shift_by(x, *self.draw(len(x), generator))

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw by how many pixels to move each image to the right, and down, int64 `[2, count]`."""
        return torch.randint(-self.pixels, self.pixels + 1, (2, count), generator=generator)


@dataclass(frozen=True)
class Rotate:
    """Turn every image by up to `degrees` either way."""

    degrees: float = 15.0

    def __post_init__(self) -> None:
        check_range("degrees", self.degrees, 0, 180)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        angles = self.draw(len(x), generator)
        return rotate_by(x, angles) if self.degrees else x.clone()

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw the angles in degrees, float32 `[count]`."""
        return uniform(count, -self.degrees, self.degrees, generator)


@dataclass(frozen=True)
class Recolour:
    """Change contrast, brightness and colour cast of every image, more with greater `strength`."""

    strength: float = 0.4

    def __post_init__(self) -> None:
        check_range("strength", self.strength, 0, 2)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        gain = uniform(len(x), -self.strength, self.strength, generator).exp()
        brightness = uniform(len(x), -self.strength / 2, self.strength / 2, generator)[:, None]
        cast = torch.randn(len(x), x.shape[1], generator=generator) * (0.3 * self.strength)
        return recolour_by(x, gain, brightness + cast)


@dataclass(frozen=True)
class CutOut:
    """Paint a grey square, its side a share of the image's, over a random place of every image.

    Source: DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017, arXiv
    1708.04552.
    """

    side: float = 0.4

    def __post_init__(self) -> None:
        check_range("side", self.side, 0, 1)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        height, width = x.shape[2:]
        sides = torch.tensor([round(self.side * height), round(self.side * width)]).expand(len(x), 2)
        middle = torch.stack([torch.randint(n, (len(x),), generator=generator) for n in (height, width)], 1)
        corner = middle - sides // 2  # the square may hang over the edge, so that every pixel is as likely hidden
        return x.masked_fill(boxes(height, width, corner[:, 0], corner[:, 1], sides).to(x.device), 0.0)


class Chain:
    """Several augmentations, one after the other; none changes nothing."""

    def __init__(self, *parts: Transform) -> None:
        self.parts = parts

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.parts))})"

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        for part in self.parts:
            x = part(x, generator)
        return x


@dataclass(frozen=True)
class Augment:
    """Move, turn, bend and recolour every image of a batch by its own random amount.

    All draws come from a CPU generator, so the same seed gives the same images on every device. They are a few numbers
    an image, which a GPU gets without that anything waits for it.
    """

    degrees: float = 10.0  # rotation, up to this angle either way
    shift: float = 0.08  # translation, up to this share of the width either way
    zoom: float = 0.1  # larger or smaller by up to this share
    shear: float = 0.1  # up to this many pixels sideways per pixel of height
    bend: float = 0.02  # standard deviation of a smooth field that moves the pixels, as a share of half the width
    light: float = 0.2  # strength of random contrast, brightness and colour cast

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Augment float32 `[B, 3, H, W]`, scaled to about -1..1, into a new batch."""
        moved = F.grid_sample(x, self._grid(x, generator), padding_mode="reflection", align_corners=False)
        gain, offset = (drawn.to(x.device, non_blocking=True) for drawn in self._light(len(x), generator))
        return moved.mul_(gain).add_(offset)

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
        mix = torch.cat([torch.stack([look_x, look_y], 1), bend], 2).flatten(0, 1)  # [B * 2, 19]
        # one product for the whole batch: [B * 2, H * W]
        fields = mix.to(x.device, non_blocking=True) @ _fields(*x.shape[2:], x.device)
        return fields.reshape(n, 2, *x.shape[2:]).permute(0, 2, 3, 1)

    def _light(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw contrast `[B, 1, 1, 1]`, and brightness with colour cast `[B, 3, 1, 1]`."""
        gain = torch.exp(uniform(n, -self.light, self.light, generator))
        brightness = uniform(n, -self.light / 2, self.light / 2, generator)
        cast = torch.randn(n, 3, generator=generator) * (0.3 * self.light)
        return gain[:, None, None, None], (brightness[:, None] + cast)[:, :, None, None]


def _mirrored(places: torch.Tensor, size: int) -> torch.Tensor:
    """Bring places outside 0 to `size - 1` back in, as a mirror on the edge pixel does."""
    last = size - 1
    return last - (last - places.abs()).abs()


def check_range(what: str, value: float, low: float, high: float) -> None:
    """Refuse a setting of an augmentation that is outside its range; `low` is the one that changes nothing."""
    if not low <= value <= high:
        raise ValueError(f"{what} is {value}, but a number from {low} (changes nothing) to {high} was expected.")


@functools.cache
def _fields(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Return the fields that every distortion is mixed from, float32 `[19, H * W]`.

    They are x, y and 1, from which turns, slants, zooms and shifts are made, and 16 smooth hills on a 4x4 lattice, from
    which bends are made.
    """
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    hills = F.interpolate(torch.eye(16).reshape(16, 1, 4, 4), (height, width), mode="bicubic", align_corners=True)
    return torch.cat([torch.stack([2 * x - 1, 2 * y - 1, torch.ones_like(x)]), hills[:, 0]]).flatten(1).to(device)
