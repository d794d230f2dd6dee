"""The two experiments whose tables came with the course: what a normalisation costs, what an augmentation is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from tlcourse.data.augmentations import Chain, Crop, CutOut, Flip, Recolour, Rotate
from tlcourse.data.batches import Transform
from tlcourse.data.imageset import ImageSet
from tlcourse.data.mixing import CutMix, MixedBatches, Mixing, MixUp
from tlcourse.data.normalisation import HALF, ChannelStatistics, channel_statistics, convert, normalise
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb01_preprocessing.leaks import linear_probe, percent_right
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model

NOTHING, TRAINED = "none", "-1..1 (as trained)"
# Strengths are those usual for images of 32x32 pixels, not chosen by any score here.
VARIATIONS: dict[str, Transform] = {
    NOTHING: Chain(),
    "crop": Crop(4),
    "crop + rotation + colour": Chain(Crop(4), Rotate(15), Recolour(0.4)),
    "flip": Flip(0.5),
    "rotation 180°": Rotate(180),
    "cut-out": CutOut(0.5),
}
MIXINGS: dict[str, Mixing] = {"MixUp": MixUp(0.4), "CutMix": CutMix(1.0)}
NAMES = (*VARIATIONS, *MIXINGS)
BEGINNINGS = ("scratch", "fine-tuned")
NETWORKS = ("tiny_resnet", "small_cnn")
PER_CLASS = 5
SHORT, LONGER = Recipe(), Recipe(epochs=30)  # 100 updates, and three times as many
LONGER_SEEDS = 4  # of the longer training


def conventions() -> dict[str, ChannelStatistics]:
    """Return the usual ways to normalise, each as the mean and the deviation that it takes for the images'.

    Source statistics are those of printed letters, target statistics those of handwritten digits, both over
    photographs and both of training images only.
    """
    letters, digits = load("printed-photo", "letters", count=1000), load("handwritten-photo")
    zero, one = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    return {
        TRAINED: HALF,
        "0..1": ChannelStatistics(zero, one, 0),
        "0..255": ChannelStatistics(zero, one / 255, 0),
        "source statistics": channel_statistics(letters.images),
        "target statistics": channel_statistics(digits.images),
    }


def normalised(images: ImageSet, statistics: ChannelStatistics) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return normalised batches of an image set, for `predict`, `accuracy` and `extract_features`."""
    rows = torch.arange(len(images)).split(500)
    return [(normalise(images.images[r], statistics), images.labels[r]) for r in rows]


def price_as_it_is(seed: int, network: str = "tiny_resnet") -> list[dict[str, Any]]:
    """Let a pretrained network do its old job on 500 new letters under every normalisation, without any training."""
    model, letters = pretrained(network), load("printed-photo", "letters", "test", count=500, seed=100 + seed)
    rows = []
    for name, how in conventions().items():
        percent = accuracy(model, normalised(letters, how))
        rows.append({"what": f"{network}, as it is", "convention": name, "accuracy": percent})
    return rows


def price_of_probe(seed: int) -> list[dict[str, Any]]:
    """Solve a linear probe on a few digits under every normalisation, and measure it under the same one."""
    model, few = pretrained(), load("handwritten-photo").few(PER_CLASS, seed)
    test = load("handwritten-photo", split="test")
    rows = []
    for name, how in conventions().items():
        probe = linear_probe(extract_features(model, normalised(few, how)), few.labels, len(few.classes))
        percent = percent_right(probe(extract_features(model, normalised(test, how))), test.labels)
        rows.append({"what": "linear probe", "convention": name, "accuracy": percent})
    return rows


def price_of_fine_tuning(seed: int, convention: str, recipe: Recipe = SHORT) -> dict[str, Any]:
    """Fine-tune on a few digits under one normalisation, and measure under the same one."""
    how = conventions()[convention]
    few, test = load("handwritten-photo").few(PER_CLASS, seed), load("handwritten-photo", split="test")
    varied = replace(recipe, augment=Chain(recipe.augment, lambda x, _: convert(x, HALF, how)))
    model = starting_model("fine-tuned", seed)
    train(model, few, varied, seed=seed)
    return {"what": "fine-tuned", "accuracy": accuracy(model, normalised(test, how)), **recipe.budget}


def normalisation_price(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure all of it: both pretrained networks as they are, a linear probe, and fine-tuning.

    The two conventions that lie farthest apart are fine-tuned three times as long, too.
    """
    parts = [
        grid(price_as_it_is, seed=seeds, network=NETWORKS),
        grid(price_of_probe, seed=seeds),
        grid(price_of_fine_tuning, seed=seeds, convention=list(conventions())),
        grid(price_of_fine_tuning, seed=seeds[:LONGER_SEEDS], convention=[TRAINED, "0..255"], recipe=[LONGER]),
    ]
    return pd.concat(parts, ignore_index=True)[["what", "convention", *SHORT.budget, "seed", "accuracy"]]


@dataclass(frozen=True)
class MixedSet:
    """An image set whose training batches are mixed; `train` takes it as it takes an `ImageSet`."""

    images: ImageSet
    mixing: Mixing

    @property
    def labels(self) -> torch.Tensor:
        """The labels of the set, before they are mixed."""
        return self.images.labels

    def to(self, device: torch.device | str) -> "MixedSet":
        """Return the set with images and labels on `device`."""
        return replace(self, images=self.images.to(device))

    def batches(self, size: int, *, steps: int, transform: Transform, seed: int) -> MixedBatches:
        """Return the batches of the set, mixed."""
        plain = self.images.batches(size, steps=steps, transform=transform, seed=seed)
        return MixedBatches(plain, self.mixing, len(self.images.classes), seed)


def worth_trial(augmentation: str, start: str, seed: int, recipe: Recipe = SHORT) -> dict[str, Any]:
    """Train on a few labelled digits with one of `NAMES`, from one of `BEGINNINGS`, and measure on the test pool.

    The seed is that of everything random, the same for all augmentations, which makes them comparable in pairs.
    ValueError when there is no such augmentation.
    """
    if augmentation not in NAMES:
        raise ValueError(f"{augmentation!r} is not an augmentation. Expected one of: {', '.join(map(repr, NAMES))}.")
    labelled, test = load("handwritten-photo").few(PER_CLASS, seed), load("handwritten-photo", split="test")
    if augmentation in MIXINGS:
        labelled = MixedSet(labelled, MIXINGS[augmentation])
    model, recipe = starting_model(start, seed), replace(recipe, augment=VARIATIONS.get(augmentation, Chain()))
    train(model, labelled, recipe, seed=seed)
    return {"accuracy": accuracy(model, test), **recipe.budget, "augmented": augmentation != NOTHING}


def augmentation_worth(seeds: Sequence[int]) -> pd.DataFrame:
    """Run every augmentation from both starts, at both budgets."""
    budgets = ((SHORT, seeds), (LONGER, seeds[:LONGER_SEEDS]))
    axes = {"start": BEGINNINGS, "augmentation": NAMES}
    rows = pd.concat([grid(worth_trial, seed=some, recipe=[recipe], **axes) for recipe, some in budgets])
    return rows[["augmentation", "start", *SHORT.budget, "seed", "accuracy"]]


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Say in a column `gain` how many points each trial is above its partner without augmentation.

    The partner has the same start, budget and seed.
    """
    keys = ["start", "updates", "seed"]
    without = rows.loc[rows["augmentation"] == NOTHING, [*keys, "accuracy"]]
    both = rows[rows["augmentation"] != NOTHING].merge(without, on=keys, suffixes=("", " without"))
    return both.assign(gain=both["accuracy"] - both["accuracy without"])
