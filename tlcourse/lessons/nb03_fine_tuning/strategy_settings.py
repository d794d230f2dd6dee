"""How the setting of every strategy was chosen: on sheets of the training half that gave no label."""

from collections.abc import Iterable

import pandas as pd

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, STRATEGIES
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import Recipe

RATES = ("0.0003", "0.001", "0.003", "0.01", "0.03")  # as texts: tables keep three decimals of numbers
PENALTIES = ("0.05", "0.5", "5", "50")
KEPT_SHEETS = 5  # labels come from the first 5 of the training half's 7 sheets, and the others are measured on


def try_setting(strategy: str, setting: str, seed: int, *, per_class: int = 5) -> dict[str, float]:
    """Train on some sheets of the training half, and measure the accuracy in percent on the others.

    The setting is a learning rate, or the penalty of the probe.
    """
    half = load("handwritten-photo")
    first = half.attributes["sheet"] < KEPT_SHEETS
    learn, watch = half.subset(first), half.subset(~first)
    model = STRATEGIES[strategy].start(seed)
    STRATEGIES[strategy].train(model, learn.few(per_class, seed), seed, float(setting), Recipe())
    return {"accuracy": accuracy(model, watch)}


def run_settings(seeds: Iterable[int] = range(3), *, progress: bool = True) -> pd.DataFrame:
    """Try every setting of every strategy but the ready-made ones; the test pool is not looked at."""
    seeds, tried = [100 + seed for seed in seeds], []
    for name in STRATEGIES:
        if name not in BASELINES:
            settings = PENALTIES if name == "linear probe" else RATES
            tried.append(grid(try_setting, strategy=[name], setting=settings, seed=seeds, progress=progress))
    return pd.concat(tried, ignore_index=True)
