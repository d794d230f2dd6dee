"""The code of the exercises of notebook 11: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt
from tlcourse.exercises.compare import as_table
from tlcourse.exercises.held_out import (
    FRESH,
    began_with_digits,
    few_digits,
    held_out,
    is_no_network,
    keeps_the_old_head,
    permuted,
    scores_below,
)
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.repro import generator, seeded

SEVERITY = 3
GOAL = 82.0  # of q4


def _two_networks(seed: int) -> list[Case]:
    """Small networks with batch normalisation: both ends, the middle, few images and many, two layers."""

    def case(alpha: float, images: int, note: str = "", *, norms: int = 1) -> Case:
        networks = []
        for which in range(2):
            with seeded("11.q2", seed, which, images, norms):
                blocks = [(f"linear{i}", nn.Linear(2, 2)) for i in range(norms)]
                norm = [(f"norm{i}", nn.BatchNorm1d(2)) for i in range(norms)]
                layers = [layer for pair in zip(blocks, norm, strict=True) for layer in pair]
                networks.append(nn.Sequential(OrderedDict([*layers, ("head", nn.Linear(2, 2))])))
        for number, network in enumerate(networks):
            for weights in network.parameters():
                weights.data.mul_(10).round_().div_(10)  # so that a card shows the very numbers
            for layer in network.modules():
                if isinstance(layer, nn.BatchNorm1d):
                    layer.running_mean += number + 0.5
                    layer.running_var *= 2 + number
        x = torch.randn(images, 2, generator=generator("11.q2", seed, images)).mul(10).round() / 10
        return Case((*networks, alpha, x), note=note)

    edges = [
        case(0.0, 3, "alpha 0"),
        case(1.0, 3, "alpha 1"),
        case(0.5, 4, "the middle"),
        case(0.25, 4, "two layers of batch normalisation", norms=2),
    ]
    return edges + [case(alpha, images) for alpha, images in ((0.3, 3), (0.8, 5), (0.6, 6))]


def _answers(seed: int) -> list[Case]:
    """Confidences and right answers: one image, none right, equal confidences, a dip on the way, and random ones."""
    draw = generator("11.q3", seed)

    def given(confidence: list, right: list, promise: float, note: str) -> Case:
        return Case((torch.tensor(confidence), torch.tensor(right).bool(), promise), note=note)

    def case(images: int, promise: float) -> Case:
        while True:
            confidence = (0.5 + 0.5 * torch.rand(images, generator=draw)).mul(20).round() / 20  # some are equal
            right = torch.rand(images, generator=draw) < confidence
            shares = torch.stack([right[confidence >= least].double().mean() for least in confidence])
            if (shares - promise).abs().min() > 1e-6:  # else rounding decides, as 9/10 is below 0.9 in 32 bits
                return Case((confidence, right, promise))

    edges = [
        given([0.6], [1], 0.9, "one image"),
        given([0.9, 0.7], [0, 0], 0.5, "none is right"),
        given([0.9, 0.8, 0.7], [1, 1, 1], 0.9, "all are right"),
        given([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 1], 0.75, "the surest is wrong"),
        given([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0], 0.8, "equal confidences"),
        given([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.75, "exactly as promised"),
        given([0.95, 0.8, 0.6, 0.55, 0.5], [1, 0, 1, 1, 1], 0.75, "broken, and kept again"),
    ]
    return edges + [case(images, promise) for images, promise in ((8, 0.75), (10, 0.8), (12, 0.9), (15, 0.7))]


@functools.lru_cache(maxsize=4)
def corrupted_exam(seed: int) -> ImageSet:
    """Return the held-out images of a draw, each under one of the corruptions in turn."""
    data = held_out(seed)
    images = data.images.clone()
    for place, kind in enumerate(CORRUPTIONS):
        mine = torch.arange(len(data)) % len(CORRUPTIONS) == place
        images[mine] = corrupt(images[mine], kind, SEVERITY, seed=FRESH + seed)
    return replace(data, images=images)


def without_labels(seed: int) -> tuple[ImageSet]:
    """Return the corrupted images with all labels set to 0, to be answered inside a sandbox."""
    data = corrupted_exam(seed)
    return (replace(data, labels=torch.zeros_like(data.labels), name="corrupted held-out images"),)


def percent_read(report: Mapping[str, torch.Tensor], seed: int) -> float:
    """Return the share of corrupted images answered correctly, in percent; a report has `scores` `[N, classes]`."""
    return float((report["scores"].argmax(1) == corrupted_exam(seed).labels).double().mean() * 100)


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={"mistakes": {"no three numbers": lambda value: as_table(value, (3,)) is None}},
    q2={"cases": _two_networks},
    q3={"cases": _answers},
    q4={
        "inputs": few_digits(20),
        "permuted": permuted(few_digits(20)),
        "finisher": "network_report",
        "more": without_labels,
        "score": percent_read,
        "mistakes": {
            "returns no network": is_no_network,
            "keeps the old head": keeps_the_old_head,
            "begins with the digits' network": lambda report, score: began_with_digits(report["state"]),
            "hardly trained": scores_below(25),
            "has met no corruption": scores_below(GOAL),
        },
    },
)
