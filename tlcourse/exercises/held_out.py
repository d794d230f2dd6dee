"""Images that no notebook holds: the handwriting of the exam pool, which `load` gives out in the exam room alone."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import EXAM, exam_room, load
from tlcourse.repro import generator

FRESH = 10_000  # seeds from here on belong to checks; the notebooks use small ones


def few_digits(per_class: int) -> Callable[[int], tuple[ImageSet]]:
    """Return a function from a seed to the one argument of a recipe: labelled target images, `per_class` each."""
    return lambda seed: (load("handwritten-photo").few(per_class, seed=FRESH + seed),)


def permuted(inputs: Callable[[int], tuple]) -> Callable[[int], tuple]:
    """Return a function like `inputs`, whose image sets have their labels permuted."""

    def arguments(seed: int) -> tuple:
        return tuple(
            replace(item, labels=permute(item.labels, seed)) if isinstance(item, ImageSet) else item
            for item in inputs(seed)
        )

    return arguments


def permute(labels: torch.Tensor, seed: int) -> torch.Tensor:
    """Exchange labels of several classes so that they say nothing: no image keeps its own, and each class is divided.

    The images of a class get the labels of all others in turn, so that the classes are not merely renamed, which could
    be learned.
    """
    draw, classes = generator("permuted", FRESH + seed), int(labels.max()) + 1
    order, first = torch.randperm(len(labels), generator=draw), int(torch.randint(classes, (), generator=draw))
    exchanged = labels.clone()
    for c in range(classes):
        members = order[labels[order] == c]
        exchanged[members] = (c + 1 + (torch.arange(len(members)) + first) % (classes - 1)) % classes
    return exchanged


def unlabelled(seed: int, shift: float = 0.0) -> tuple[ImageSet]:
    """Return the 382 held-out images of a draw with all labels set to 0, to be answered inside a sandbox."""
    images = held_out(seed, shift)
    return (replace(images, labels=torch.zeros_like(images.labels), name="held-out images"),)


def percent_right(report: Mapping[str, torch.Tensor], seed: int, shift: float = 0.0) -> float:
    """Return the share of held-out images that a network answered correctly; its report has `scores` `[N, classes]`."""
    return float((report["scores"].argmax(1) == held_out(seed, shift).labels).double().mean() * 100)


def is_no_network(report: Mapping[str, torch.Tensor], score: float | None) -> bool:
    """Recognise a recipe that returns something that does not take images."""
    return "scores" not in report


def keeps_the_old_head(report: Mapping[str, torch.Tensor], score: float | None) -> bool:
    """Recognise a network that answers with other classes than the ten digits."""
    return "scores" in report and report["scores"].shape[1] != 10


def scores_below(limit: float) -> Callable[[Mapping[str, torch.Tensor], float | None], bool]:
    """Return what recognises a network by a score below a limit, in the unit of the challenge."""
    return lambda report, score: score is not None and score < limit


@functools.lru_cache(maxsize=4)
def held_out(seed: int, shift: float = 0.0) -> ImageSet:
    """Return the 382 images of the exam pool with their labels, on the pieces of the photograph that a seed draws."""
    with exam_room():
        return load("handwritten-photo", split=EXAM, shift=shift, seed=FRESH + seed)
