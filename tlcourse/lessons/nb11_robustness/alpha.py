"""The line between a network before and after fine-tuning: accuracy at every place of it, clean and corrupted."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb11_robustness.conditions import (
    KINDS,
    MIDDLE,
    SHIFT,
    TARGET,
    pool_under,
    right,
)
from tlcourse.lessons.nb11_robustness.learning import LP_FT, RATES, TUNED, learned, source_network
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.repro import seeded
from tlcourse.training.recipe import CONVERGED, train
from tlcourse.training.weight_space import between
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

ALPHAS = tuple(step / 10 for step in range(11))
ANEW, AVERAGED = "measured anew", "averaged"  # what becomes of the running statistics
HALVES = ("first", "second")  # of the test pool: every other image
DIGITS, LETTERS = "digits", "letters"  # what the network was trained on before
FIXED = "0.5, not chosen"
SAME, OTHER = "best of 11, on the images chosen on", "the same choice, on other images"
TURN = 0.5  # the position of the dial that is measured


def ends(source: str, labelled: ImageSet, seed: int) -> tuple[nn.Module, nn.Module]:
    """Return a network before and after fine-tuning.

    One that was trained on digits answers at once. One that was trained on letters needs a new head first: it is the
    linear probe, and fine-tuning goes on from there (LP-FT).
    """
    if source == DIGITS:
        return source_network(), learned(TUNED, labelled, seed)
    before, after = letters_probe(labelled, seed), letters_probe(labelled, seed)
    train(after, labelled, CONVERGED, seed=seed, lr=RATES[LP_FT])
    return before, after


def letters_probe(labelled: ImageSet, seed: int) -> nn.Module:
    """Return the network trained on letters, with the best linear head for the labels."""
    with seeded("weights", seed):
        model = pretrained("tiny_resnet", "letters")
        reset_classifier(model, len(labelled.classes))
    linear_probe(model, labelled)
    return model


def line_trial(source: str, per_class: int, seed: int) -> list[dict[str, Any]]:
    """Measure the line: a row for every alpha, kind of statistics and half of the test pool.

    Columns are the accuracies in percent, clean, under each kind of corruption at severity 3, their mean as
    `accuracy`, and half way along the dial.
    """
    labelled = load(TARGET).few(per_class, seed)
    before, after = ends(source, labelled, seed)
    rows = []
    for alpha in ALPHAS:
        for statistics in (ANEW, AVERAGED):
            model = between(before, after, alpha, labelled if statistics == ANEW else None)
            rows += [{"alpha": alpha, "statistics": statistics, **row} for row in of_halves(model)]
    return rows


def of_halves(model: nn.Module) -> list[dict[str, Any]]:
    """Measure a network on either half of the test pool under all conditions."""
    pools = {"clean": pool_under()} | {kind: pool_under(kind, MIDDLE) for kind in KINDS}
    pools["dial"] = pool_under(SHIFT, TURN)
    answers = {name: predict(model, pool) for name, pool in pools.items()}
    rows = []
    for number, half in enumerate(HALVES):
        chosen = torch.arange(number, len(pools["clean"]), 2)
        found = {name: right(answers[name][chosen], pool.subset(chosen)) for name, pool in pools.items()}
        mean = sum(found[kind] for kind in KINDS) / len(KINDS)
        rows.append({"half": half, "accuracy": mean, **found})
    return rows


def line_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure the line from the network trained on digits, with 5 labels a class."""
    return grid(line_trial, source=[DIGITS], per_class=[5], seed=seeds)


def other_lines(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure the line with 50 labels a class, and from the network trained on letters."""
    many = grid(line_trial, source=[DIGITS], per_class=[50], seed=seeds)
    return grid(line_trial, add_to=many, source=[LETTERS], per_class=(5, 50), seed=seeds)


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose alpha for every corruption on one half of the test pool, and measure it there and on the other half.

    `rows` are those of `line_table` with statistics measured anew. A row for every seed and way to choose: `accuracy`
    is the mean over corruptions and over which half was chosen on, in percent.
    """
    found = []
    for seed, some in rows.groupby("seed"):
        table = some.set_index(["half", "alpha"])[list(KINDS)]
        halves = {half: table.loc[half] for half in HALVES}  # [alphas, kinds] each
        same, other = [], []
        for chosen_on, measured_on in (HALVES, HALVES[::-1]):
            best = halves[chosen_on].idxmax()  # an alpha for each kind
            same += [halves[chosen_on].loc[best[kind], kind] for kind in KINDS]
            other += [halves[measured_on].loc[best[kind], kind] for kind in KINDS]
        fixed = table.xs(0.5, level="alpha").to_numpy().mean()
        for way, value in ((FIXED, fixed), (SAME, sum(same) / len(same)), (OTHER, sum(other) / len(other))):
            found.append({"seed": seed, "chosen": way, "accuracy": value})
    return pd.DataFrame(found)
