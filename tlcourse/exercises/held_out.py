"""Images that no notebook holds: the handwriting of the exam pool, which `load` gives out in the exam room alone."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import EXAM, exam_room, load
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator

FRESH = 10_000  # seeds from here on belong to checks; the notebooks use small ones
LAYER = "block2.conv1.weight"  # 0.13 alike in the networks for letters and digits; a short training keeps 0.9


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


def began_with_digits(state: Mapping[str, torch.Tensor]) -> bool:
    """Say whether a state dict has filters like those of the network for digits, before or after a training."""
    known = pretrained("tiny_resnet", "digits").state_dict()[LAYER]
    mine = state.get(LAYER)
    if mine is None or mine.shape != known.shape:
        return False
    return bool(F.cosine_similarity(mine.flatten().float(), known.flatten(), dim=0) > 0.5)


@functools.lru_cache(maxsize=4)
def held_out(seed: int, shift: float = 0.0) -> ImageSet:
    """Return the 382 images of the exam pool with their labels, on the pieces of the photograph that a seed draws."""
    with exam_room():
        return load("handwritten-photo", split=EXAM, shift=shift, seed=FRESH + seed)
