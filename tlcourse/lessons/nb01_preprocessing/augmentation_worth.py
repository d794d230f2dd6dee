"""What augmentations are worth with few labels, and which labels they destroy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from tlcourse.data.augmentations import Chain, Crop, CutOut, Flip, Recolour, Rotate, flip_where, rotate_by
from tlcourse.data.batches import Batches, Transform
from tlcourse.data.imageset import ImageSet
from tlcourse.data.mixing import CutMix, MixedBatches, Mixing, MixUp
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import bootstrap_mean
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model

NOTHING = "none"
WORTH_HEADER = ("augmentation", "from scratch [95 % interval]", "fine-tuned [95 % interval]")
MIRROR_HEADER = ("digit", "as written", "mirrored")
# Strengths are those usual for images of 32x32 pixels, not chosen by any score here.
VARIATIONS: dict[str, Transform] = {
    NOTHING: Chain(),
    "crop": Crop(4),
    "rotation 15°": Rotate(15),
    "colour": Recolour(0.4),
    "cut-out": CutOut(0.5),
    "crop + rotation + colour": Chain(Crop(4), Rotate(15), Recolour(0.4)),
    "flip": Flip(0.5),
    "rotation 180°": Rotate(180),
}
MIXINGS: dict[str, Mixing] = {"MixUp": MixUp(0.4), "CutMix": CutMix(1.0)}
NAMES = (*VARIATIONS, *MIXINGS)
BEGINNINGS = ("scratch", "fine-tuned")


@dataclass(frozen=True)
class Worth:
    """One training with one augmentation.

    Attributes:
        augmentation: one of `NAMES`.
        start: `"scratch"` or `"fine-tuned"`.
        seed: seed of the labelled images, fresh weights, batches and augmentation.
        accuracy: on the test half, in percent.
    """

    augmentation: str
    start: str
    seed: int
    accuracy: float


@dataclass(frozen=True)
class MixedSet:
    """An image set whose training batches are mixed; `train` takes it as it takes an `ImageSet`."""

    images: ImageSet
    mixing: Mixing

    def batches(self, size: int, *, steps: int, transform: Transform, seed: int) -> MixedBatches:
        """Return the batches of the set, mixed."""
        plain: Batches = self.images.batches(size, steps=steps, transform=transform, seed=seed)
        return MixedBatches(plain, self.mixing, len(self.images.classes), seed)


def train_varied(model: nn.Module, labelled: ImageSet, seed: int, augmentation: str) -> nn.Module:
    """Train by the course's recipe, with one augmentation in place of the recipe's own.

    Args:
        model: the network, trained in place.
        labelled: the images.
        seed: seed of batches and augmentation.
        augmentation: one of `NAMES`.

    Returns:
        The network.

    Raises:
        ValueError: there is no such augmentation.
    """
    if augmentation not in NAMES:
        raise ValueError(f"{augmentation!r} is not an augmentation. Expected one of: {', '.join(map(repr, NAMES))}.")
    recipe = replace(Recipe(), augment=VARIATIONS.get(augmentation, Chain()))
    mixed = augmentation in MIXINGS
    train(model, MixedSet(labelled, MIXINGS[augmentation]) if mixed else labelled, recipe, seed=seed)
    return model


def run_worth(augmentation: str, start: str, seed: int, per_class: int = 5) -> Worth:
    """Train on a few labelled digits with one augmentation, and measure on the test half.

    Args:
        augmentation: one of `NAMES`.
        start: `"scratch"` or `"fine-tuned"`.
        seed: seed of everything random, the same for all augmentations.
        per_class: labelled images per class.

    Returns:
        The row.
    """
    labelled, test = load("handwritten-photo").few(per_class, seed), load("handwritten-photo", split="test")
    model = train_varied(starting_model(start, seed), labelled, seed, augmentation)
    return Worth(augmentation, start, seed, accuracy(model, test))


def augmentation_worth(
    seeds: Sequence[int], names: Sequence[str] = NAMES, starts: Sequence[str] = BEGINNINGS, progress: bool = True
) -> list[Worth]:
    """Run every augmentation from both starts with every seed, several at the same time."""
    plan = [(name, start, seed) for seed in seeds for start in starts for name in names]
    return side_by_side(run_worth, plan, progress)


def worth_of(rows: Sequence[Worth], augmentation: str, start: str) -> list[float]:
    """Return the accuracies with one augmentation from one start, in percent, ordered by seed."""
    chosen = [row for row in rows if (row.augmentation, row.start) == (augmentation, start)]
    return [row.accuracy for row in sorted(chosen, key=lambda row: row.seed)]


def worth_table(rows: Sequence[Worth]) -> list[list[str]]:
    """Return a row of text for every augmentation: accuracy from both starts, to be shown under `WORTH_HEADER`."""
    names = dict.fromkeys(row.augmentation for row in rows)
    return [[name, *(str(bootstrap_mean(worth_of(rows, name, start))) for start in BEGINNINGS)] for name in names]


def reading_by_angle(model: nn.Module, images: ImageSet, angles: Sequence[float]) -> torch.Tensor:
    """Turn all images by each angle and ask a network what it reads.

    Args:
        model: a network that reads these images well when they stand upright.
        images: the images.
        angles: in degrees, counter-clockwise.

    Returns:
        Class numbers, int64 `[angles, N]`.
    """
    x = scale(images.images)
    turned = [rotate_by(x, torch.full((len(x),), float(angle))) for angle in angles]
    return torch.stack([predict(model, [(t, images.labels)]).argmax(1) for t in turned])


def reading_when_flipped(model: nn.Module, images: ImageSet) -> torch.Tensor:
    """Mirror all images and return what a network reads, class numbers, int64 `[N]`."""
    flipped = flip_where(scale(images.images), torch.ones(len(images), dtype=torch.bool))
    return predict(model, [(flipped, images.labels)]).argmax(1)


def sixes_and_nines(model: nn.Module, images: ImageSet, angles: Sequence[float]) -> dict[str, list[float]]:
    """Turn the sixes and the nines among the images, and return how many are read as which of the two.

    Args:
        model: a network that reads digits.
        images: digits of all classes.
        angles: in degrees, counter-clockwise.

    Returns:
        Shares from 0 to 1, one an angle, by what they say.
    """
    shares = {}
    for digit in (6, 9):
        answers = reading_by_angle(model, images.subset(images.labels == digit), angles)
        for read in (digit, 15 - digit):
            shares[f"a {digit} is read as {read}"] = (answers == read).float().mean(1).tolist()
    return shares


def mirror_table(model: nn.Module, images: ImageSet) -> list[list[str]]:
    """Return a row of text for every class: percent read correctly as written and mirrored, under `MIRROR_HEADER`."""
    both = predict(model, images).argmax(1), reading_when_flipped(model, images)
    rows = []
    for c, name in enumerate(images.classes):
        own = images.labels == c
        rows.append([name, *(f"{100 * (answers[own] == c).float().mean().item():.0f}" for answers in both)])
    return rows
