"""Photographs that a network may hand on to a person, and the score for doing so: the challenge of notebook 12."""

import functools
from typing import NamedTuple

import numpy as np
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.exercises.compare import as_array
from tlcourse.exercises.held_out import FRESH, held_out
from tlcourse.models.pretrained import pretrained

PERSON = -1  # in place of an answer: a person should look
PROMISE = 92  # percent of the answers that must be right
ALMOST = 88  # percent: so much is left on other sheets where the promise was just kept on the known ones
NEW = 382  # photographs to be sorted: the exam pool


class Referral(NamedTuple):
    """Logits of a network that learned printed digits, for handwritten ones that it never saw."""

    seen: torch.Tensor  # float32 [906, 10], of photographs whose labels are known
    labels: torch.Tensor  # int64 [906]
    new: torch.Tensor  # float32 [382, 10], of photographs on other sheets
    truth: torch.Tensor  # int64 [382]


@functools.lru_cache(maxsize=4)
def referral(seed: int) -> Referral:
    """Return the logits that a seed draws: the same digits, on other pieces of the photograph."""
    network = pretrained("tiny_resnet", "digits")
    known, new = load("handwritten-photo", seed=FRESH + seed), held_out(seed)
    return Referral(predict(network, known), known.labels, predict(network, new), new.labels)


def given(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the learner's function gets: known logits, their labels, and new logits."""
    return tuple(referral(seed)[:3])


def read_choices(report: object) -> np.ndarray:
    """Read 382 whole numbers, -1 to 9, from a tensor, an array or a list; raises ValueError for anything else."""
    choices = as_array(report)
    if choices is None or choices.shape != (NEW,) or choices.dtype.kind not in "iuf":
        came = "no list of numbers" if choices is None else f"shape {list(choices.shape)}"
        raise ValueError(f"{came} came, but {NEW} numbers were expected, one for every new photograph")
    whole = choices.astype(np.int64)
    if (whole != choices).any() or whole.min() < PERSON or whole.max() > 9:
        raise ValueError("expected the number of a class, 0 to 9, or -1 for a person, and nothing else")
    return whole


def percent_sorted(report: object, seed: int) -> float:
    """Score choices: the share of photographs that got an answer in percent, or 0 if the promise is broken."""
    answered, right = _counts(report, seed)
    return 100 * answered / NEW if answered and 100 * right >= PROMISE * answered else 0.0


def sorted_and_right(report: object, seed: int) -> list[tuple[str, str]]:
    """Say what a score is made of, for the card."""
    answered, right = _counts(report, seed)
    share = f" ({100 * right / answered:.1f} %)" if answered else ""
    return [("answered", f"{answered} of {NEW}"), ("of these right", f"{right}{share}; {PROMISE} % were promised")]


def answers_all(report: object, score: float | None) -> bool:
    """Recognise choices that leave nothing to a person."""
    return score is not None and bool((read_choices(report) != PERSON).all())


def answers_none(report: object, score: float | None) -> bool:
    """Recognise choices that leave everything to a person."""
    return score is not None and bool((read_choices(report) == PERSON).all())


def breaks_the_promise(report: object, score: float | None) -> bool:
    """Recognise answers of which too few are right."""
    return score == 0


def just_breaks_the_promise(report: object, score: float | None) -> bool:
    """Recognise answers of which a few points too few are right."""
    if score != 0:
        return False
    answered, right = _counts(report, 0)  # the right answers are the same for every seed
    return ALMOST * answered <= 100 * right < PROMISE * answered


def _counts(report: object, seed: int) -> tuple[int, int]:
    choices = read_choices(report)
    answered = choices != PERSON
    return int(answered.sum()), int((choices == referral(seed).truth.numpy())[answered].sum())
