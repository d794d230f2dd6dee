"""The code of the exercises of notebook 03: their texts are in `exercises.md` and `quiz.md`."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.exercises.compare import as_array
from tlcourse.exercises.held_out import few_digits, held_out, is_no_network, keeps_the_old_head, permuted, scores_below
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.lessons.nb03_fine_tuning.experiment import SHIFT
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator, seeded


def _row_is(number: int, wanted: Sequence[float]) -> Callable[[object], bool]:
    """Return what says whether one of the three rows of an answer is the wanted one, whatever the others are."""

    def matches(value: object) -> bool:
        rows = _rows(value)
        return rows is not None and np.allclose(rows[number], wanted, rtol=0.01, atol=1e-4)

    return matches


def _rows(value: object) -> np.ndarray | None:
    """Read an answer as float64 `[3, 2]`, or None if it is no such thing."""
    rows = as_array(value)
    return rows.astype(float) if rows is not None and rows.shape == (3, 2) and rows.dtype.kind in "iuf" else None


def _goes_uphill(value: object) -> bool:
    rows = _rows(value)
    return rows is not None and bool((rows > 0).any())


def _adam_keeps_size(value: object) -> bool:
    """Adam moves both weights equally far; here the steep one goes further."""
    rows = _rows(value)
    return rows is not None and abs(rows[2, 0]) > 1.5 * abs(rows[2, 1])


def _short(values: torch.Tensor) -> torch.Tensor:
    """Round, so that a card shows the very numbers."""
    return (values * 10).round() / 10


def _transfers(seed: int) -> list[Case]:
    """Small networks with a new head and one batch: another number of classes, the same, no bias, a frozen backbone."""
    draw = generator("03.q2", seed)

    def case(old: int, new: int, images: int, note: str = "", *, bias: bool = True, frozen: bool = False) -> Case:
        with seeded("03.q2", seed, old, new, images):
            network = nn.Sequential(OrderedDict(backbone=nn.Linear(2, 2), head=nn.Linear(2, old)))
            head = nn.Linear(2, new, bias=bias)
        for weights in (*network.parameters(), *head.parameters()):
            weights.data.copy_(_short(weights.data))
        network.backbone.requires_grad_(not frozen)
        x = torch.randn(images, 2, generator=draw)
        y = torch.randint(min(old, new), (images,), generator=draw)  # so that the old head stumbles without an error
        return Case((network, head, x, y), note=note)

    edges = [
        case(3, 2, 1, "one image"),
        case(2, 2, 3, "as many classes as before"),
        case(2, 3, 4, "a head without bias", bias=False),
        case(3, 4, 2, "a frozen backbone", frozen=True),
    ]
    return edges + [case(int(torch.randint(2, 5, (), generator=draw)), 3, images) for images in (2, 3, 4, 5, 6)]


def _batches(seed: int) -> list[Case]:
    """Logits, labels and weights: random ones, and the edges."""
    draw = generator("03.q3", seed)

    def case(
        images: int, classes: int, note: str = "", weights: Sequence[float] | None = None, scale: float = 2
    ) -> Case:
        logits = torch.randn(images, classes, generator=draw) * scale
        labels = torch.randint(classes, (images,), generator=draw)
        drawn = torch.rand(classes, generator=draw) * 3 + 0.2
        return Case((_short(logits), labels, _short(drawn if weights is None else torch.tensor(weights))), note=note)

    def given(logits: list, labels: list, weights: list, note: str) -> Case:
        return Case((torch.tensor(logits), torch.tensor(labels), torch.tensor(weights)), note=note)

    edges = [
        case(1, 2, "one image"),
        case(2, 3, "all weights 1: as in the notebook", [1.0, 1.0, 1.0]),
        case(2, 2, "all weights alike", [3.0, 3.0]),
        given([[1.0, 0.0], [0.5, 2.0]], [0, 1], [0.0, 2.0], "a class of weight 0"),
        given([[1000.0, 0.0], [0.0, 1.0]], [1, 1], [1.0, 2.0], "sure and wrong"),
    ]
    return edges + [case(images, classes) for images, classes in ((2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (3, 4))]


@functools.lru_cache(maxsize=4)
def both_worlds(seed: int) -> ImageSet:
    """Return the held-out images of the target, and behind them the same ones half-way along the shift."""
    near, far = held_out(seed), held_out(seed, shift=SHIFT)
    return ImageSet(torch.cat([near.images, far.images]), torch.cat([near.labels, far.labels]), near.classes)


def unlabelled_worlds(seed: int) -> tuple[ImageSet]:
    """Return the images of `both_worlds` with all labels set to 0, to be answered inside a sandbox."""
    images = both_worlds(seed)
    return (replace(images, labels=torch.zeros_like(images.labels), name="held-out images of two worlds"),)


def percent_of_both(report: Mapping[str, torch.Tensor], seed: int) -> float:
    """Return the mean of the accuracies on target and shifted target; the report has `scores` `[N, classes]`."""
    return float((report["scores"].argmax(1) == both_worlds(seed).labels).double().mean() * 100)


def backbone_is_old(state: Mapping[str, torch.Tensor]) -> bool:
    """Say whether a state dict has the first and last convolution of the network that reads letters, untouched."""
    old = pretrained("tiny_resnet", "letters").state_dict()
    return all(n in state and torch.equal(state[n], old[n]) for n in ("stem.0.weight", "block4.conv2.weight"))


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "mistakes": {
            "no three pairs": lambda value: _rows(value) is None,
            "goes uphill": _goes_uphill,
            "one step only": _row_is(0, (-1, -0.01)),
            "momentum without a memory": _row_is(1, (-2, -0.02)),
            "momentum without the new gradient": _row_is(1, (-1.9, -0.019)),
            "momentum as a mean": _row_is(1, (-0.29, -0.0029)),
            "momentum loses nothing": _row_is(1, (-3, -0.03)),
            "Adam with one step": _row_is(2, (-0.1, -0.1)),
            "Adam keeps the size of the gradient": _adam_keeps_size,
            "Adam without its correction": _row_is(2, (-0.741, -0.741)),
        },
    },
    q2={
        "cases": _transfers,
    },
    q3={
        "cases": _batches,
    },
    q4={
        "inputs": few_digits(5),
        "permuted": permuted(few_digits(5)),
        "finisher": "network_report",
        "more": unlabelled_worlds,
        "score": percent_of_both,
        "mistakes": {
            "returns no network": is_no_network,
            "keeps the old head": keeps_the_old_head,
            "hardly trained": scores_below(25),
            "leaves the backbone frozen": lambda report, score: (
                score is not None and score < 75 and backbone_is_old(report["state"])
            ),
            "carried nothing over": scores_below(55),
        },
    },
)
