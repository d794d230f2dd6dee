"""Smaller networks: a student, whole numbers of 8 bits, weights masked, channels removed; all from one teacher."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb10_efficiency.ways import FULL, WORLD, learned
from tlcourse.models.adapters.task import megabytes
from tlcourse.models.compression.pruning import apply_masks, kept_channels, magnitude_masks, remove_channels
from tlcourse.models.compression.quantized import quantize
from tlcourse.models.cost import multiply_adds
from tlcourse.models.tiny_resnet import NarrowResNet
from tlcourse.notebook.results import grid
from tlcourse.repro import seeded
from tlcourse.training.distil import distil
from tlcourse.training.recipe import CONVERGED, Recipe, train

TEACHER, ALONE, TAUGHT, SEES_MORE = "teacher", "student alone", "distilled", "distilled, more images"
PER_CHANNEL, PER_TENSOR = "8 bits, per channel", "8 bits, per tensor"
MASKED, REMOVED, TRAINED_ON = "weights masked", "channels removed", "channels removed, trained on"
STUDENTS, IN_8_BITS = (ALONE, TAUGHT, SEES_MORE), (PER_CHANNEL, PER_TENSOR)
CUTS = (MASKED, REMOVED, TRAINED_ON)
SHARES = (0.5, 0.8, 0.9)  # of weights or channels that go
SHORTER = Recipe(lr=0.003)  # 100 updates after channels were removed


def new_student(seed: int) -> nn.Module:
    """Return a network with a quarter of the multiply-adds, with random weights: none of its shape was pretrained."""
    with seeded("student", seed):
        return NarrowResNet()


def student(
    way: str, teacher: nn.Module, labelled: ImageSet, pool: ImageSet, seed: int, recipe: Recipe = CONVERGED
) -> nn.Module:
    """Train a student on labels alone, on what a teacher says of the same images, or also of a pool without labels."""
    model = new_student(seed)
    if way == ALONE:
        train(model, labelled, recipe, seed=seed)
        return model
    return distil(model, teacher, labelled, pool.images if way == SEES_MORE else None, recipe, seed=seed)


def measured(model: nn.Module, test: ImageSet, counted: nn.Module | None = None) -> dict[str, float]:
    """Return accuracy in percent, million multiply-adds an image, and Megabytes of all tensors.

    Multiply-adds are those of `counted` where the layers of the network itself are of a kind that is not counted.
    """
    work = multiply_adds(counted or model) / 1e6
    return {"accuracy": accuracy(model, test), "multiply_adds": work, "megabytes": megabytes(model.state_dict())}


def trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Fine-tune a teacher and make it smaller in every way, measured on the test pool; `network` names which it is.

    `share` is how much of the weights or channels went. Students are trained by the course's recipe, untuned, with as
    many updates as the teacher.
    """
    pool, test = load(WORLD), load(WORLD, split="test")
    labelled = pool.few(per_class, seed)
    teacher = learned(FULL, labelled, seed)
    rows = [{"network": TEACHER, "share": 0.0, **measured(teacher, test)}]
    for way in STUDENTS:
        model = student(way, teacher, labelled, pool, seed)
        rows.append({"network": way, "share": 0.0, **measured(model, test)})
    for name, whole in ((PER_CHANNEL, True), (PER_TENSOR, False)):
        small = quantize(teacher, labelled.images, per_channel=whole)
        rows.append({"network": name, "share": 0.0, **measured(small, test, teacher)})
    return [{**row, "per_class": per_class} for row in (*rows, *cut(teacher, labelled, test, seed))]


def cut(teacher: nn.Module, labelled: ImageSet, test: ImageSet, seed: int) -> Iterator[dict[str, Any]]:
    """Cut growing shares out of a teacher: weights by masks, channels whole, and these trained on for a while."""
    everything = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    for share in SHARES:
        apply_masks(teacher, magnitude_masks(teacher, share))
        yield {"network": MASKED, "share": share, **measured(teacher, test)}
        teacher.load_state_dict(everything)
        narrow = remove_channels(teacher, kept_channels(teacher, share))
        yield {"network": REMOVED, "share": share, **measured(narrow, test)}
        train(narrow, labelled, SHORTER, seed=seed)
        yield {"network": TRAINED_ON, "share": share, **measured(narrow, test)}


def smaller(seeds: Sequence[int]) -> pd.DataFrame:
    """Make fine-tuned networks smaller."""
    rows = grid(trial, seed=seeds, per_class=[50])
    return rows[["network", "per_class", "share", "seed", "accuracy", "multiply_adds", "megabytes"]]
