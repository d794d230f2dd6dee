"""The challenge of notebook 10: half of a network, without a label, that answers as the whole one does."""

import functools
from collections.abc import Mapping

import torch
from torch import nn

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.exercises.held_out import FRESH, held_out
from tlcourse.models.pretrained import pretrained

MOST = 170_000  # numbers in the half network's state dict; the whole has 310,599


def network_and_images(seed: int) -> tuple[nn.Module, torch.Tensor]:
    """Return the arguments of the challenge: a trained network, and 906 images without labels, uint8."""
    return pretrained("tiny_resnet", "digits"), load("handwritten-photo", seed=FRESH + seed).images


@functools.lru_cache(maxsize=4)
def whole_answers(seed: int) -> torch.Tensor:
    """Return what the whole network takes the held-out images for, int64 `[382]`."""
    return predict(pretrained("tiny_resnet", "digits"), held_out(seed)).argmax(1)


def numbers(report: Mapping[str, object]) -> int:
    """Count the numbers in a network's state dict, zeros too."""
    return sum(tensor.numel() for tensor in report["state"].values())


def answers_kept(report: Mapping[str, object], seed: int) -> float:
    """Return how many percent of the held-out images both networks take for the same class; 0 for one too large."""
    same = report["scores"].argmax(1) == whole_answers(seed)
    return float(same.double().mean() * 100) if numbers(report) <= MOST else 0.0


def is_too_large(report: Mapping[str, object], score: float | None) -> bool:
    """Recognise a network with more numbers than it may have."""
    return "state" in report and numbers(report) > MOST


def is_masked(report: Mapping[str, object], score: float | None) -> bool:
    """Recognise a network of the old size with zeros in place of channels or weights."""
    if not is_too_large(report, score):
        return False
    return sum(int((tensor == 0).sum()) for tensor in report["state"].values()) > numbers(report) / 10
