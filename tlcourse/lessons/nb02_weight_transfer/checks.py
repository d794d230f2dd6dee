"""The code of the exercises of notebook 02: their texts are in `exercises.md` and `quiz.md`."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.exercises.compare import as_array, in_order
from tlcourse.exercises.held_out import few_digits, is_no_network, percent_right, permuted, scores_below, unlabelled
from tlcourse.exercises.kinds import Case
from tlcourse.exercises.markdown import read_exercises
from tlcourse.models.pretrained import pretrained
from tlcourse.models.variants import FOREIGN_NAMES
from tlcourse.repro import generator, seeded
from tlcourse.transfer.surgery import rename

PARTS = ("stem", "block1", "block2", "block3", "block4", "head")
LARGEST_HEAD = 50_000  # numbers; a head of two layers has 20,000, a second backbone 300,000


def _by_part(value: object) -> object:
    """Return what a dict holds for the parts of the network, in their order; anything else as it is."""
    if isinstance(value, Mapping) and set(value) == set(PARTS):
        return [value[part] for part in PARTS]
    return value


def _six(value: object) -> np.ndarray | None:
    """Read an answer as six numbers, also one by part in a dict, or None if it is no such thing."""
    numbers = as_array(in_order(_by_part(value)))
    return numbers if numbers is not None and numbers.shape == (6,) and numbers.dtype.kind in "iuf" else None


def _says(part: int, *counts: int) -> Callable[[object], bool]:
    """Return what says whether an answer has one of these counts for a part, whatever it has for the others."""

    def matches(value: object) -> bool:
        numbers = _six(value)
        return numbers is not None and numbers[part] in counts

    return matches


def _watched(seed: int) -> list[Case]:
    """Small networks and a batch: in both modes, frozen or not, without batch normalisation, and with a blank batch."""
    draw = generator("02.q2", seed)

    def case(images: int, note: str = "", *, train: bool = True, frozen: bool = False, normed: bool = True) -> Case:
        with seeded("02.q2", seed, images, note):
            norm = [("norm", nn.BatchNorm1d(2))] if normed else []
            parts = [("linear", nn.Linear(2, 2, bias=False)), *norm, ("head", nn.Linear(2, 2))]
        network = nn.Sequential(OrderedDict(parts)).train(train)
        for part, _ in parts[:-1]:
            getattr(network, part).requires_grad_(not frozen)
        x = torch.randn(images, 2, generator=draw).mul(10).round() / 10
        y = torch.arange(images) % 3 % 2  # never as many of one class as of the other
        return Case((network, x, y), note=note)

    blank = case(4, "a blank batch: the first layer gets no gradient")
    blank.arguments[1].zero_()
    edges = [
        case(4, "nothing frozen, training mode"),
        case(4, "nothing frozen, evaluation mode", train=False),
        case(4, "frozen but for the head, training mode", frozen=True),
        case(4, "frozen but for the head, evaluation mode", frozen=True, train=False),
        case(4, "no batch normalisation", normed=False),
        blank,
    ]
    return edges


def _same_names(got: object, right: list[str]) -> bool:
    """Compare names in any order and in any container, such as the dict of a report; a dict may say what is true."""
    if isinstance(got, Mapping) and all(isinstance(moved, bool | np.bool_) for moved in got.values()):
        got = [name for name, moved in got.items() if moved]
    container = isinstance(got, list | tuple | set | frozenset | Mapping)
    return container and all(isinstance(name, str) for name in got) and set(got) == set(right)


def _convolutions(seed: int) -> list[Case]:
    """Weights of first convolutions, with one decimal: the edges, and random ones."""
    draw = generator("02.q3", seed)

    def case(shape: tuple[int, ...], channels: int, note: str = "") -> Case:
        while True:
            weight = torch.randn(*shape, generator=draw).mul(10).round() / 10
            if weight.sum(1).abs().min() > 0.05:  # by a sum of 0, which can be divided by otherwise, nothing is scaled
                return Case((weight, channels), note=note)

    edges = [
        case((1, 3, 1, 1), 4, "one filter of one pixel: colour and infrared"),
        case((1, 1, 1, 2), 3, "from grey to colour"),
        case((1, 3, 1, 1), 3, "no new channel"),
        case((2, 3, 1, 1), 8, "more new channels than old ones"),
        case((1, 3, 2, 1), 4, "a filter that is not square"),
    ]
    shapes = [tuple(torch.randint(1, 4, (4,), generator=draw).tolist()) for _ in range(5)]
    more = torch.randint(1, 4, (5,), generator=draw).tolist()
    return edges + [case((o, i + 1, h, w), i + 1 + k) for (o, i, h, w), k in zip(shapes, more, strict=True)]


def strangers_file(seed: int) -> dict[str, torch.Tensor]:
    """Return the weights of a `TinyResNet` for printed digits as a stranger might have saved them.

    `seed` draws the order of the classes in the head; negative ones belong to checks. Names are like
    `module.layer1.conv1.weight`; row `i` of `module.fc.weight` stands for a digit that nobody wrote down.
    """
    weights = pretrained("tiny_resnet", "digits").state_dict()
    order = torch.randperm(10, generator=generator("stranger", seed))
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name][order]
    return {f"module.{name}": tensor for name, tensor in rename(weights, FOREIGN_NAMES["tiny_resnet"]).items()}


def backbone_left(state: Mapping[str, torch.Tensor]) -> str:
    """Say what a state dict still has of the stranger's backbone, whatever the tensors are called in it.

    `"all"`, `"weights"` (the statistics are others), `"moved"` (weights are others, but come from there), or
    `"nothing"`.
    """
    theirs = {n: t for n, t in pretrained("tiny_resnet", "digits").state_dict().items() if not n.startswith("head.")}
    lost = [name for name, tensor in theirs.items() if not _holds(state, tensor)]
    if not lost:
        return "all"
    if all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in lost):
        return "weights"
    first = theirs["stem.0.weight"].flatten()
    filters = [t.flatten().float() for t in state.values() if t.numel() == first.numel()]
    return "moved" if any(torch.cosine_similarity(f, first, 0) > 0.5 for f in filters) else "nothing"


def _second_backbone(report: Any, score: float | None) -> bool:  # noqa: ANN401
    """Say whether so much stands beside the stranger's backbone, whole as it is, that it is no head."""
    if "state" not in report or backbone_left(report["state"]) != "all":
        return False
    theirs = sum(tensor.numel() for tensor in pretrained("tiny_resnet", "digits").state_dict().values())
    return sum(tensor.numel() for tensor in report["state"].values()) > theirs + LARGEST_HEAD


def _holds(state: Mapping[str, torch.Tensor], tensor: torch.Tensor) -> bool:
    return any(t.shape == tensor.shape and torch.equal(t.to(tensor.dtype), tensor) for t in state.values())


def _uses_their_head(report: Any, score: float | None) -> bool:  # noqa: ANN401
    """Say whether most rows of the stranger's head are in the network's, in whatever order."""
    head = pretrained("tiny_resnet", "digits").state_dict()["head.weight"]
    rows = {str(i): row for t in report["state"].values() if t.shape == head.shape for i, row in enumerate(t)}
    return score is not None and score < q4.goal and sum(_holds(rows, row) for row in head) >= 5


def _left(what: str) -> Callable[..., bool]:
    """Return what says whether exactly so much of the stranger's backbone is left."""
    return lambda report, score: "state" in report and backbone_left(report["state"]) == what


def _file_and_digits(seed: int) -> tuple[dict[str, torch.Tensor], ImageSet]:
    return strangers_file(-1 - seed), *few_digits(5)(seed)


q1, q2, q3, q4, quiz = read_exercises(
    __file__,
    q1={
        "reads": _by_part,
        "mistakes": {
            "no six numbers": lambda value: _six(value) is None,
            "what has no gradient stays": _says(0, 0),
            "weight decay moves what is frozen": _says(0, 5, 6),
            "forgets the counter": _says(0, 2),
            "evaluation mode stops everything": _says(2, 0),
            "evaluation mode stops nothing": lambda value: _says(1, 9)(value) or _says(2, 18)(value),
            "evaluation mode stops normalisation's weights": _says(2, 3),
            "counts only what is learned": _says(3, 9),
        },
    },
    q2={
        "cases": _watched,
        "agrees": _same_names,
    },
    q3={
        "cases": _convolutions,
    },
    q4={
        "inputs": _file_and_digits,
        "permuted": permuted(_file_and_digits),
        "finisher": "network_report",
        "more": unlabelled,
        "score": percent_right,
        "mistakes": {
            "returns no network": is_no_network,
            "nothing arrived": _left("nothing"),
            "answers with a second backbone": _second_backbone,
            "statistics that moved or stayed behind": _left("weights"),
            "trains the backbone": _left("moved"),
            "believes in their order": scores_below(40),
            "puts their head in order": _uses_their_head,
        },
    },
)
