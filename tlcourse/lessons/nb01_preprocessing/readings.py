"""What a network reads when digits are turned or mirrored: which labels an augmentation destroys."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn

from tlcourse.data.augmentations import flip_where, rotate_by
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.predict import predict


def read_turned(model: nn.Module, images: ImageSet, angles: Sequence[float]) -> torch.Tensor:
    """Return what a network reads when all images are turned: int64 `[angles, N]`; degrees, counter-clockwise."""
    x = scale(images.images)
    turned = [rotate_by(x, torch.full((len(x),), float(angle))) for angle in angles]
    return torch.stack([predict(model, [(t, images.labels)]).argmax(1) for t in turned])


def read_mirrored(model: nn.Module, images: ImageSet) -> torch.Tensor:
    """Return what a network reads when all images are mirrored: int64 `[N]`."""
    flipped = flip_where(scale(images.images), torch.ones(len(images), dtype=torch.bool))
    return predict(model, [(flipped, images.labels)]).argmax(1)


def sixes_and_nines(model: nn.Module, images: ImageSet, angles: Sequence[float]) -> pd.DataFrame:
    """Turn the sixes and the nines, and say how many percent of them are read as which of the two."""
    rows = []
    for digit in (6, 9):
        answers = read_turned(model, images.subset(images.labels == digit), angles)
        for read in (digit, 15 - digit):
            percent = 100 * (answers == read).float().mean(1)
            case = {"case": f"a {digit} is read as {read}"}
            rows += [{**case, "angle": a, "percent": p} for a, p in zip(angles, percent.tolist(), strict=True)]
    return pd.DataFrame(rows)


def mirror_table(model: nn.Module, images: ImageSet) -> pd.DataFrame:
    """Say how many percent of each class are read correctly, as written and mirrored."""
    both = {"as written": predict(model, images).argmax(1), "mirrored": read_mirrored(model, images)}
    rows = []
    for c, name in enumerate(images.classes):
        own = images.labels == c
        right = {way: round(100 * (answers[own] == c).float().mean().item()) for way, answers in both.items()}
        rows.append({"digit": name, **right})
    return pd.DataFrame(rows)
