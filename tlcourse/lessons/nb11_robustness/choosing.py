"""How the learning rates of notebook 11 were chosen: on clean sheets of the training pool that gave no label."""

import functools
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb11_robustness.conditions import KINDS, corrupted, right, sheets
from tlcourse.lessons.nb11_robustness.experiment import ALPHA, as_it_is, in_batches
from tlcourse.lessons.nb11_robustness.learning import (
    LORA,
    LP_FT,
    PLAIN,
    SCRATCH,
    TUNED,
    VARIED,
    learned,
    source_network,
)
from tlcourse.notebook.results import grid
from tlcourse.training.weight_space import between

TRIED = (1e-3, 3e-3, 1e-2, 3e-2)
ALONE = (SCRATCH, TUNED, LP_FT, LORA, PLAIN, VARIED)  # ways whose rate is chosen for the network as it is
STILL, MIDDLE = "the network", "half way"  # as it was trained, and half way from the source


def rate_trial(way: str, lr: float, seed: int, *, per_class: int = 5) -> dict[str, float]:
    """Learn from some sheets of the training pool, and return the accuracy on the others, in percent.

    `"varied"` sees all kinds of corruption here, as no kind is measured.
    """
    learn, watch = sheets(held_out=False), sheets(held_out=True)
    return {"accuracy": accuracy(learned(way, learn.few(per_class, seed), seed, lr=lr), watch)}


def rates_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Try every rate for every way; the test pool is not looked at."""
    return grid(rate_trial, way=ALONE, lr=TRIED, seed=[100 + seed for seed in seeds])


def remedy_trial(way: str, lr: float, seed: int, *, per_class: int = 5) -> list[dict[str, Any]]:
    """Learn, fine-tuned or varied, and measure held-out sheets of the network and half way, by either statistics.

    `clean` decides; `corrupted`, the mean over the seven kinds at severity 3, is there to be looked at.
    """
    learn, watch = sheets(held_out=False), sheets(held_out=True)
    labelled = learn.few(per_class, seed)
    model = learned(way, labelled, seed, lr=lr)
    pools = [watch, *(corrupted(watch, kind, 3, seed=1) for kind in KINDS)]
    rows = []
    for place, network in ((STILL, model), (MIDDLE, between(source_network(), model, ALPHA, labelled))):
        for by_batch in (False, True):
            answer = functools.partial(in_batches, network) if by_batch else as_it_is(network)
            clean, *worse = (right(answer(pool), pool) for pool in pools)
            rows.append({"place": place, "by_batch": by_batch, "clean": clean, "corrupted": sum(worse) / len(worse)})
    return rows


def remedies_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Try every rate for what is made of a network after it was trained; the test pool is not looked at."""
    return grid(remedy_trial, way=(TUNED, VARIED), lr=TRIED, seed=[100 + seed for seed in seeds])
