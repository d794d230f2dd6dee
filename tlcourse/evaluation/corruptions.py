"""Corruptions of images in five severities, on whole batches: what a camera, a cable or a thumb does to a picture.

Source: Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
2019, ICLR. Their ladders are for photographs of 224 pixels; those here are for images of 32, and lengths are shares of
the side, so that larger images suffer alike.
"""

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from tlcourse.data.augmentations import boxes
from tlcourse.repro import generator

SEVERITIES = (1, 2, 3, 4, 5)  # 0 leaves an image as it is

# One number a severity; what it means is said by the function that takes it. The ladders were set on held-out sheets of
# the training pool, so that severity 3 costs a network that was fine-tuned with five digits a class some 25 points.
NOISE = (0.08, 0.12, 0.16, 0.20, 0.25)
BLUR = (1.2, 1.6, 2.0, 2.3, 2.6)
CONTRAST = (0.40, 0.32, 0.27, 0.23, 0.20)
BRIGHTNESS = (0.40, 0.48, 0.54, 0.60, 0.65)
JPEG = (25, 12, 6, 3, 1)  # costs less: even the worst leaves a digit's strokes
ELASTIC = (0.8, 1.2, 1.6, 2.0, 2.5)
OCCLUSION = (0.30, 0.38, 0.45, 0.52, 0.60)

NOMINAL = 32  # pixels: lengths that are given in pixels are those of an image of this side
HILLS = 8  # a side: an elastic field is interpolated from so many arrows, each drawn on its own


def corrupt(images: torch.Tensor, kind: str, severity: int, seed: int = 0) -> torch.Tensor:
    """Return images, uint8 `[N, 3, H, W]`, as one kind of corruption leaves them, uint8 of the same shape.

    `kind` is one of `CORRUPTIONS`; `severity` goes from 1 to 5, and 0 changes nothing. What is drawn, such as noise,
    comes from the seed, and the same images with the same seed get the same. Raises ValueError for another kind,
    severity or type of image.
    """
    if kind not in CORRUPTIONS:
        raise ValueError(f"{kind!r} is not a corruption. Expected one of: {', '.join(map(repr, CORRUPTIONS))}.")
    if severity not in (0, *SEVERITIES):
        raise ValueError(f"severity is {severity!r}, but a whole number from 0 (as it is) to 5 (worst) was expected.")
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images are {images.dtype} of shape {list(images.shape)}, but uint8 [N, 3, H, W] was expected: corrupt "
            "images before they are scaled, as a camera does."
        )
    if severity == 0 or not len(images):
        return images.clone()
    function, ladder = CORRUPTIONS[kind]
    draws = generator("corruption", kind, severity, seed)
    parts = [function(part.float(), ladder[severity - 1], draws) for part in images.split(500)]  # to bound memory
    return torch.cat(parts).round().clamp(0, 255).to(torch.uint8)


def noise(x: torch.Tensor, share: float, draws: torch.Generator) -> torch.Tensor:
    """Add Gaussian noise to every pixel and colour; its standard deviation is a share of the range of 255."""
    return x + 255 * share * torch.randn(x.shape, generator=draws)


def blur(x: torch.Tensor, pixels: float, draws: torch.Generator | None = None) -> torch.Tensor:
    """Average over the neighbours with Gaussian weights; its standard deviation is in pixels of a side of 32.

    A Gaussian in the plane is a product of two on a line, so rows and columns are averaged one after the other.
    """
    sigma = pixels * x.shape[3] / NOMINAL
    reach = min(math.ceil(3 * sigma), min(x.shape[2:]) - 1)  # a mirrored border is narrower than the image
    weights = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    row = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)  # [C, 1, 1, 2 reach + 1]: each colour on its own
    mirrored = F.pad(x, (reach, reach, reach, reach), mode="reflect")
    along = F.conv2d(mirrored, row, groups=x.shape[1])
    return F.conv2d(along, row.transpose(2, 3), groups=x.shape[1])


def contrast(x: torch.Tensor, share: float, draws: torch.Generator | None = None) -> torch.Tensor:
    """Keep a share of how far every pixel is from its image's mean."""
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + share * (x - middle)


def brightness(x: torch.Tensor, share: float, draws: torch.Generator | None = None) -> torch.Tensor:
    """Add a share of the range to every pixel; what is over white is white."""
    return (x + 255 * share).clamp(max=255)


def jpeg(x: torch.Tensor, quality: int, draws: torch.Generator | None = None) -> torch.Tensor:
    """Lose what JPEG at this quality, 1 to 100, loses: fine patterns of each 8x8 block, and of colour the most.

    Every block becomes a sum of cosines; each cosine's share is rounded to a multiple of a step, which is large for
    fine patterns. The steps are the tables of the standard, scaled as libjpeg does; colour keeps its resolution.

    Source: Wallace, "The JPEG still picture compression standard", 1991, Communications of the ACM.
    """
    tall, wide = (-size % 8 for size in x.shape[2:])  # what is missing to whole blocks
    whole = F.pad(x, (0, wide, 0, tall), mode="replicate").round().clamp(0, 255)
    colours = torch.einsum("oc,nchw->nohw", TO_LUMA, whole - 128).round()  # JPEG has bytes here
    n, c, h, w = colours.shape
    blocks = colours.reshape(n, c, h // 8, 8, w // 8, 8).transpose(3, 4)  # [N, 3, H/8, W/8, 8, 8]
    waves = _cosines() @ blocks @ _cosines().T
    steps = _steps(quality)[:, None, None]  # [3, 1, 1, 8, 8]
    kept = _cosines().T @ ((waves / steps).round() * steps) @ _cosines()
    back = kept.transpose(3, 4).reshape(n, c, h, w)
    return torch.einsum("oc,nchw->nohw", torch.linalg.inv(TO_LUMA), back)[:, :, : x.shape[2], : x.shape[3]] + 128


def elastic(x: torch.Tensor, pixels: float, draws: torch.Generator) -> torch.Tensor:
    """Bend the image by a smooth random field; the arrows' standard deviation is in pixels of a side of 32.

    Source: Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", 2003, ICDAR.
    """
    arrows = torch.randn(len(x), 2, HILLS, HILLS, generator=draws) * (pixels * 2 / NOMINAL)  # in halves of the side
    field = F.interpolate(arrows, x.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return warp(x, field)


def warp(x: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Look for every pixel elsewhere: `field`, `[N, H, W, 2]`, says how far, in halves of the side."""
    straight = F.affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, straight + field, padding_mode="reflection", align_corners=False)


def occlusion(x: torch.Tensor, side: float, draws: torch.Generator) -> torch.Tensor:
    """Put a grey square, its side a share of the image's, somewhere inside the image."""
    height, width = x.shape[2:]
    sides = torch.tensor([round(side * height), round(side * width)])
    free = torch.tensor([height, width]) - sides
    corner = (torch.rand(len(x), 2, generator=draws) * (free + 1)).long()  # [N, 2], all places as likely
    hidden = boxes(height, width, corner[:, 0], corner[:, 1], sides.expand(len(x), 2))
    return x.masked_fill(hidden, 127.5)


Corruption = Callable[[torch.Tensor, float, torch.Generator], torch.Tensor]

CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, ...]]] = {
    "noise": (noise, NOISE),
    "blur": (blur, BLUR),
    "contrast": (contrast, CONTRAST),
    "brightness": (brightness, BRIGHTNESS),
    "JPEG": (jpeg, JPEG),
    "elastic": (elastic, ELASTIC),
    "occlusion": (occlusion, OCCLUSION),
}

# From red, green, blue to brightness and two differences of colour (ITU-R BT.601, as JPEG files have it).
TO_LUMA = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])

# The steps of the standard at quality 50, by rows: the wave's frequency downwards, then to the right.
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
COLOUR_STEPS = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))  # 99 everywhere else


@functools.cache
def _cosines() -> torch.Tensor:
    """Return the eight cosine waves of a row of eight pixels, orthonormal `[8, 8]`, the slowest first."""
    wave, pixel = torch.arange(8.0)[:, None], torch.arange(8.0)
    rows = torch.cos((2 * pixel + 1) * wave * math.pi / 16) / 2
    rows[0] /= math.sqrt(2)
    return rows


@functools.cache
def _steps(quality: int) -> torch.Tensor:
    """Return the rounding steps of brightness and of the two colours, float `[3, 8, 8]`, as libjpeg scales them."""
    colour = torch.full((8, 8), 99.0)
    colour[:4, :4] = torch.tensor(COLOUR_STEPS, dtype=torch.float32)
    tables = torch.stack([torch.tensor(LUMA_STEPS, dtype=torch.float32), colour, colour])
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((tables * scale + 50) / 100).floor().clamp(1, 255)
