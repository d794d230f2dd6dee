"""A promise of accuracy: how much a network may answer under it, and whether the promise holds elsewhere."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.evaluation.selective import answered_and_right, keep_promise, risk_coverage
from tlcourse.lessons.nb11_robustness.conditions import SHIFT, pool_under, sheets
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, PROBE, network
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import CONVERGED

FEW = 5  # labels per class: with 50, nearly every answer is right, and there is nothing to choose
PROMISES = (90.0, 95.0)  # percent of the answers
PROVEN, SEEN = "proven bound", "accuracy seen"
CONDITIONS = ((SHIFT, 0.0), (SHIFT, 0.25), (SHIFT, 0.5), (SHIFT, 0.75), ("noise", 3), ("blur", 3), ("contrast", 3))


def sure_and_right(model: nn.Module, data: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the confidence of every answer, float64 `[N]`, and whether it is right, bool `[N]`."""
    confidence, answers = predict(model, data).double().softmax(1).max(1)
    return confidence, answers == data.labels


def thresholds(confidence: torch.Tensor, right: torch.Tensor, promise: float) -> dict[str, float]:
    """Return the threshold that a proven bound allows, and the lowest at which so many held-out answers were right."""
    curve = risk_coverage(confidence, right)
    kept = curve.thresholds[100 * (1 - curve.risk) >= promise]
    seen = kept.min().item() if len(kept) else math.inf
    return {PROVEN: keep_promise(confidence, right, promise).threshold, SEEN: seen}


def trial(start: str, promise: float, seed: int) -> list[dict[str, Any]]:
    """Choose thresholds on held-out sheets, and see what share is answered elsewhere, and how much of that is right.

    `answered` and `right` are in percent; `right` is `nan` where nothing is answered. `all_right` is the accuracy if
    everything were answered.
    """
    model = network(start, seed, per_class=FEW)
    rows = []
    for rule, threshold in thresholds(*sure_and_right(model, sheets(held_out=True)), promise).items():
        for kind, level in CONDITIONS:
            confidence, right = sure_and_right(model, pool_under(kind, level))
            answered, of_these = answered_and_right(confidence, right, threshold)
            found = {"answered": answered, "right": of_these, "all_right": 100 * right.double().mean().item()}
            rows.append({"rule": rule, "kind": kind, "level": level, **found, **CONVERGED.budget})
    return rows


def selective_answers(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure a probe and fine-tuned networks with five labels per class."""
    return grid(trial, start=(PROBE, FINE_TUNED), promise=PROMISES, seed=seeds)


MORE_TABLES = {"selective_answers": (selective_answers, 6)}
