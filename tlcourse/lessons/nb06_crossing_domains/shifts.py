"""Three kinds of shift, each made on purpose: other images, other shares of the classes, other meanings."""

from collections.abc import Callable

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb06_crossing_domains.cases import RARE, RARER, SOURCE, TARGET
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator

SWAPPED = (1, 7)  # two classes that change their names


def nothing(data: ImageSet) -> ImageSet:
    """Leave the held-out images of the source as they are."""
    return data


def other_images(data: ImageSet) -> ImageSet:
    """Covariate shift: the same question about other images, here handwritten ones, in the same order of classes."""
    return load(TARGET, split="test")


def other_shares(data: ImageSet) -> ImageSet:
    """Label shift: of the classes from 5 on, one image in ten is kept; each image looks as before."""
    rare = data.labels >= RARE
    return data.subset(~rare | (torch.rand(len(data), generator=generator("label shift")) < 1 / RARER))


def other_meanings(data: ImageSet) -> ImageSet:
    """Concept shift: two classes swap their names; images and shares stay."""
    first, second = SWAPPED
    renamed = torch.where(data.labels == first, second, torch.where(data.labels == second, first, data.labels))
    return ImageSet(data.images, renamed, data.classes, name="renamed")


KINDS: dict[str, Callable[[ImageSet], ImageSet]] = {
    "none": nothing,
    "covariate shift": other_images,
    "label shift": other_shares,
    "concept shift": other_meanings,
}


def three_shifts() -> list[dict[str, object]]:
    """Ask the course's digits network about the source, shifted in each way.

    Rows have the accuracy in percent; the mean over classes of each class's accuracy, which the shares do not move; how
    much of the answers the digits 0 to 4 make up; and the mean probability of the answers.
    """
    model, held_out, rows = pretrained("tiny_resnet", "digits"), load(SOURCE, split="test", count=2000), []
    for name, change in KINDS.items():
        data = change(held_out)
        chances = predict(model, data).softmax(1)
        right = chances.argmax(1) == data.labels
        each = [right[data.labels == c].double().mean() for c in range(len(data.classes))]
        rows.append(
            {
                "shift": name,
                "accuracy": 100 * right.double().mean().item(),
                "mean over classes": 100 * sum(each).item() / len(each),
                "answers 0 to 4": 100 * (chances.argmax(1) < RARE).double().mean().item(),
                "confidence": 100 * chances.max(1).values.mean().item(),
            }
        )
    return rows
