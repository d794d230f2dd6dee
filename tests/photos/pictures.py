"""Pictures to test with."""

import io

import numpy as np
from PIL import Image


def picture(seed=0, width=48, height=36):
    """A picture of smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(image):
    return np.asarray(image).astype(int)
