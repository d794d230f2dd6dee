"""The challenge of notebook 07: two labelled images of each class, hundreds without labels, and a probe to beat."""

import functools
from collections.abc import Mapping

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.exercises.held_out import FRESH, held_out, percent_right
from tlcourse.models.pretrained import pretrained
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

PER_CLASS = 2


def few_and_many(seed: int) -> tuple[ImageSet, torch.Tensor]:
    """Return the arguments of the challenge: 20 labelled images, and all 906 of the training pool without labels.

    Both are handwritten digits over pieces of the photograph that the seed draws; the images are uint8
    `[906, 3, 32, 32]`, and the 20 are among them.
    """
    pool = load("handwritten-photo", seed=FRESH + seed)
    return pool.few(PER_CLASS, seed=FRESH + seed), pool.images


def errors_gone(report: Mapping[str, torch.Tensor], seed: int) -> float:
    """Return how many percent of the probe's errors a network avoids, 0 for as many errors, 100 for none.

    Lucky labels lift the probe and the network alike, so a goal in this unit is about as hard with any draw of them;
    one in accuracy would not be. The report has `scores` `[N, classes]` for the held-out images.
    """
    probe = probe_percent(seed)
    return 100 * (percent_right(report, seed) - probe) / (100 - probe)


@functools.lru_cache(maxsize=4)
def probe_percent(seed: int) -> float:
    """Return what a linear probe of the letters' features reaches with the same 20 labels, in percent."""
    network = pretrained("tiny_resnet", "letters")
    reset_classifier(network, 10)
    linear_probe(network, few_and_many(seed)[0])
    return accuracy(network, held_out(seed))


def both_accuracies(report: Mapping[str, torch.Tensor], seed: int) -> list[tuple[str, str]]:
    """Return details for the card: what the network reads of the exam pool, and what the probe does."""
    return [
        ("your network reads", f"{percent_right(report, seed):.1f} %"),
        ("the linear probe", f"{probe_percent(seed):.1f} %"),
    ]
