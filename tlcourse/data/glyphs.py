"""Printed characters, drawn in large numbers from the fonts that matplotlib ships.

Each character of each font is drawn once, large, and turned into a map of distances to its outline. An image is a
look into that map: turned, slanted, stretched and shifted by its own amounts. Adding to the distance makes strokes
bolder; dividing it makes edges softer (Green, "Improved alpha-tested magnification for vector textures and special
effects", 2007, SIGGRAPH courses).
"""

import functools
import importlib.util
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from tlcourse.repro import uniform

DIGITS = tuple("0123456789")
# Left out because they look like a digit: B b G g I i l O o Q q S s Z z. Left out because they look like their own
# capital, which is in: c k p u v w x. The five Greek capitals bring shapes that no Latin letter has.
LETTERS = tuple("ACDEFHJKLMNPRTUVWXYadefhjmnrtyΓΔΞΨΩ")

ANGLE = 25.0  # characters are turned by up to this many degrees either way
MAP, TALL = 64, 42  # side of a distance map, and height of the character in it, in pixels of the map
REACH = 12.0  # distances are kept up to this many pixels
SOFTNESS = (0.8, 4.0)  # width of the edge of a stroke, in pixels of the image: from sharp to blurred
BOLDER = (-0.8, 1.2)  # what strokes gain on either side, in pixels of the map


class Face(NamedTuple):
    """One font file with what its name says of it."""

    file: str
    bold: int
    slanted: int
    serif: int


# Fonts for training and testing are of different families, and each pool has every mix of weight, slant and serif.
FACES = {
    "train": (
        Face("DejaVuSans", 0, 0, 0),
        Face("DejaVuSans-Bold", 1, 0, 0),
        Face("DejaVuSans-Oblique", 0, 1, 0),
        Face("DejaVuSans-BoldOblique", 1, 1, 0),
        Face("DejaVuSerif", 0, 0, 1),
        Face("DejaVuSerif-Bold", 1, 0, 1),
        Face("DejaVuSerif-Italic", 0, 1, 1),
        Face("DejaVuSerif-BoldItalic", 1, 1, 1),
        Face("cmss10", 0, 0, 0),
        Face("cmr10", 0, 0, 1),
        Face("cmb10", 1, 0, 1),
        Face("cmtt10", 0, 0, 1),
    ),
    "test": (
        Face("DejaVuSansMono", 0, 0, 0),
        Face("DejaVuSansMono-Bold", 1, 0, 0),
        Face("DejaVuSansMono-Oblique", 0, 1, 0),
        Face("DejaVuSansMono-BoldOblique", 1, 1, 0),
        Face("STIXGeneral", 0, 0, 1),
        Face("STIXGeneralBol", 1, 0, 1),
        Face("STIXGeneralItalic", 0, 1, 1),
        Face("STIXGeneralBolIta", 1, 1, 1),
    ),
}


def has_glyph(face: Face, character: str) -> bool:
    """Say whether a font can draw a character: Computer Modern (`cm…`) has no Greek where Unicode puts it."""
    return not (face.file.startswith("cm") and ord(character) > 0x7F)


def draw_printed(
    classes: tuple[str, ...], count: int, pool: str, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Draw characters of random class (each equally often), font of a pool, size, rotation, shear and blur.

    Returns ink, float32 `[count, 32, 32]` from 0 to 1; labels, int64 `[count]`; and the attributes `weight` (1 bold),
    `slant` (1 italic or oblique) and `serif` (1 with), int64, and `angle`, degrees clockwise, float32.
    """
    maps = distance_maps(classes, pool)  # [faces, classes, 64, 64]
    labels = torch.randint(len(classes), (count,), generator=generator)
    available = torch.tensor([[float(has_glyph(face, c)) for face in FACES[pool]] for c in classes])
    faces = torch.multinomial(available[labels], 1, generator=generator)[:, 0]
    angle = uniform(count, -ANGLE, ANGLE, generator)
    size = uniform(count, 0.75, 1.1, generator)
    views = _views(angle, size, generator)
    bolder = uniform(count, *BOLDER, generator)
    softness = torch.exp(uniform(count, math.log(SOFTNESS[0]), math.log(SOFTNESS[1]), generator))
    pieces = [
        _look(maps[faces[rows], labels[rows]], views[rows], size[rows], bolder[rows], softness[rows])
        for rows in torch.arange(count).split(1000)
    ]
    kinds = torch.tensor([face[1:] for face in FACES[pool]]).T  # [3, faces]: bold, slanted, serif
    attributes = {"weight": kinds[0][faces], "slant": kinds[1][faces], "serif": kinds[2][faces], "angle": angle}
    return torch.cat(pieces), labels, attributes


def _views(angle: torch.Tensor, size: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Make the affine map from image to distance map of every image, `[N, 2, 3]`: stretch, then slant, then turn."""
    n = len(angle)
    root = uniform(n, 0.75, 1.25, generator).sqrt()  # width over height
    shear = uniform(n, -0.15, 0.15, generator)
    moves = torch.stack([uniform(n, -0.08, 0.08, generator), uniform(n, -0.08, 0.08, generator)], 1)
    radians = angle * (math.pi / 180)
    cos, sin, zero, one = radians.cos(), radians.sin(), torch.zeros(n), torch.ones(n)
    turn = torch.stack([cos, sin, -sin, cos], 1).reshape(n, 2, 2)
    slant = torch.stack([one, shear, zero, one], 1).reshape(n, 2, 2)
    stretch = torch.stack([1 / (size * root), zero, zero, root / size], 1).reshape(n, 2, 2)
    return torch.cat([(stretch @ slant @ turn) * (TALL / MAP), moves[:, :, None]], 2)


def _look(
    maps: torch.Tensor, views: torch.Tensor, size: torch.Tensor, bolder: torch.Tensor, softness: torch.Tensor
) -> torch.Tensor:
    """Sample distance maps `[N, 64, 64]` through their views and turn distance into ink `[N, 32, 32]`."""
    grid = F.affine_grid(views, [len(maps), 1, 32, 32], align_corners=False)
    distance = F.grid_sample(maps[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    pixels = (distance + bolder[:, None, None]) * (size * 32 / TALL)[:, None, None]  # from map pixels to image pixels
    return (0.5 + pixels / softness[:, None, None]).clamp(0, 1)


@functools.cache
def distance_maps(classes: tuple[str, ...], pool: str) -> torch.Tensor:
    """Return the distance map of every character in every font of a pool, float32 `[faces, classes, 64, 64]`.

    Values are pixels of the map, positive inside the strokes. A character that a font lacks is all zero.
    """
    maps = np.zeros((len(FACES[pool]), len(classes), MAP, MAP), dtype=np.float32)
    for i, face in enumerate(FACES[pool]):
        font = _open_font(face.file)
        for j, character in enumerate(classes):
            if has_glyph(face, character):
                maps[i, j] = _distance_map(font, character)
    return torch.from_numpy(maps)


def _distance_map(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """Draw a character at twice the size of the map, and measure how far every pixel is from its outline."""
    from scipy.ndimage import distance_transform_edt  # here, because importing SciPy takes a while

    left, top, right, bottom = font.getbbox(character)
    sheet = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(sheet).text((-left, -top), character, font=font, fill=255)
    fit = 2 * TALL / max(sheet.height, 0.9 * sheet.width)  # a wide letter is limited by its width
    shape = sheet.resize(
        (max(1, round(sheet.width * fit)), max(1, round(sheet.height * fit))), Image.Resampling.BICUBIC
    )
    page = Image.new("L", (2 * MAP, 2 * MAP))
    page.paste(shape, ((page.width - shape.width) // 2, (page.height - shape.height) // 2))
    ink = np.asarray(page) > 127
    signed = (distance_transform_edt(ink) - distance_transform_edt(~ink)) / 2
    return signed.reshape(MAP, 2, MAP, 2).mean((1, 3)).clip(-REACH, REACH)


def _open_font(file: str) -> ImageFont.FreeTypeFont:
    """Open a font from matplotlib's folder, without importing matplotlib."""
    package = importlib.util.find_spec("matplotlib")
    folder = Path(package.submodule_search_locations[0] if package else "matplotlib") / "mpl-data" / "fonts" / "ttf"
    try:
        return ImageFont.truetype(str(folder / f"{file}.ttf"), 120, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise FileNotFoundError(
            f"the font {file}.ttf was expected in {folder}, where matplotlib keeps its fonts, but could not be opened "
            f"({error}). Install matplotlib again: pip install --force-reinstall matplotlib"
        ) from error
