"""How the learning rates of notebook 11 were chosen: on clean sheets of the training pool that gave no label."""

from collections.abc import Sequence

import pandas as pd

from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb11_robustness.conditions import held_out
from tlcourse.lessons.nb11_robustness.learning import RATES, learned
from tlcourse.notebook.results import grid

TRIED = (1e-3, 3e-3, 1e-2, 3e-2)


def rate_trial(way: str, lr: float, seed: int, *, per_class: int = 5) -> dict[str, float]:
    """Learn from some sheets of the training pool, and return the accuracy on the others, in percent.

    `"varied"` sees all kinds of corruption here, as no kind is measured.
    """
    learn, watch = held_out()
    return {"accuracy": accuracy(learned(way, learn.few(per_class, seed), seed, lr=lr), watch)}


def rates_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Try every rate for every way; the test pool is not looked at."""
    return grid(rate_trial, way=RATES, lr=TRIED, seed=[100 + seed for seed in seeds])
