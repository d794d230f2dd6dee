"""What all pictures share: colours, images in rows, and axes without clutter."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, "Color universal design", 2008).
# Each start also has a marker of its own, so that nothing depends on colour alone.
COLOURS = {"scratch": "#D55E00", "linear probe": "#56B4E9", "fine-tuned": "#0072B2"}
MARKERS = {"scratch": "s", "linear probe": "^", "fine-tuned": "o"}
RIGHT, WRONG, GREY = "#009E73", "#D55E00", "#666666"


def draw_images(
    ax: Axes,
    images: torch.Tensor,
    columns: int = 10,
    captions: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    room: int | None = None,
) -> Axes:
    """Draw images in rows, each with a caption below it if captions are given.

    Args:
        ax: where to draw.
        images: uint8 `[N, 3, H, W]`.
        columns: images a row.
        captions: one short text an image.
        colours: one colour a caption.
        room: pixels below each image for its caption; by default a third of its height, enough for one line.

    Returns:
        The axes.
    """
    count, _, height, width = images.shape
    below = (room or height // 3) if captions else 2
    rows = -(-count // columns)
    page = np.full((rows * (height + below), columns * (width + 2), 3), 255, dtype=np.uint8)
    for i, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):  # [H, W, 3]
        top, left = i // columns * (height + below), i % columns * (width + 2)
        page[top : top + height, left : left + width] = image
        if captions:
            colour = colours[i] if colours else "black"
            ax.text(left + width / 2, top + height, captions[i], ha="center", va="top", fontsize=10, color=colour)
    ax.imshow(page, interpolation="nearest")
    ax.set_axis_off()
    return ax


def plain(ax: Axes) -> Axes:
    """Take away what carries no information, add a light grid to read values from, and return the axes."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#E5E5E5")
    ax.set_axisbelow(True)
    return ax
