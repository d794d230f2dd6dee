"""Choosing without labels of the target: what each validator picks, and what that costs."""

from collections.abc import Iterable, Sequence

import pandas as pd
from scipy import stats

from tlcourse.adaptation.validators import VALIDATORS
from tlcourse.evaluation.intervals import Interval
from tlcourse.lessons.nb06_crossing_domains.experiment import ADABN, LABELLED, METHODS, ON, SELF_TRAINING, START
from tlcourse.notebook.results import ENDS, as_texts, intervals, paired

BY_LOT = "drawn by lot"
CANDIDATES = (START, ADABN, ON, *METHODS)  # nobody who has no labels can choose the network that learned from them


def picked(rows: pd.DataFrame, by: Sequence[str] = ("shift", "seed")) -> pd.DataFrame:
    """Return for every shift and seed, and every validator, what it picks among the candidates.

    Columns: `choice`, who chose; `method`, what was picked, or those that it holds for equally good; `lost`, points of
    accuracy below the best candidate, of equals the mean; `tau`, Kendall's rank correlation of validator and accuracy
    in percent (not for the lot, whose `lost` is the mean of all).
    """
    found = []
    for key, group in rows[rows["method"].isin(CANDIDATES)].groupby(list(by), sort=False):
        cell = dict(zip(by, key, strict=True))
        best = group["accuracy"].max()
        for name in VALIDATORS:
            top = group[group[name] == group[name].max()]  # more than one, where it cannot tell them apart
            tau = 100 * stats.kendalltau(group[name], group["accuracy"]).statistic
            method, lost = " or ".join(top["method"]), best - top["accuracy"].mean()
            found.append({**cell, "choice": name, "method": method, "lost": lost, "tau": tau})
        found.append({**cell, "choice": BY_LOT, "method": "any", "lost": best - group["accuracy"].mean()})
    return pd.DataFrame(found)


def favourites(choices: pd.DataFrame) -> list[dict[str, object]]:
    """Return for every validator how well it ranks, and which method it picked most often, in what share of choices."""
    found = []
    for name, group in choices[choices["choice"] != BY_LOT].groupby("choice", sort=False):
        shares = 100 * group["method"].value_counts(normalize=True)
        picks = {"picked most often": shares.index[0], "share (%)": shares.iloc[0]}
        found.append({"validator": name, "tau (%)": group["tau"].mean(), **picks})
    return found


def peeking(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of candidates that were looked at on the way, with `gained`: what the best look has more."""
    looked_at = [name for name in METHODS if name != SELF_TRAINING]
    trained = rows[rows["method"].isin([ON, *looked_at])]
    return trained.assign(gained=trained["best"] - trained["accuracy"])


def peeking_table(rows: pd.DataFrame, shifts: Sequence[float]) -> pd.DataFrame:
    """Return what peeking gains, a row a method and a column a position of the dial."""
    found = intervals(peeking(rows), "gained", by=["method", "shift"])
    table = found.assign(text=as_texts(found)).pivot(index="method", columns="shift", values="text")
    table = table.loc[found["method"].drop_duplicates(), list(shifts)]
    return table.rename(columns="shift {:g}".format).reset_index()


def closed(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `closed`: the share of the gap between the source alone and target labels that was closed, in percent.

    Both ends are those of the same shift and seed.
    """
    ends = rows.pivot_table(index=["shift", "seed"], columns="method", values="accuracy")[[START, LABELLED]]
    joined = rows.join(ends, on=["shift", "seed"])
    share = (joined["accuracy"] - joined[START]) / (joined[LABELLED] - joined[START])
    return rows.assign(closed=100 * share)


def gains(rows: pd.DataFrame, methods: Iterable[str]) -> dict[str, Interval]:
    """Estimate what each method has more than the source alone, in points, seed by seed."""
    found = {}
    for name in methods:
        difference = paired(rows, "accuracy", "method", name, START)
        found[name] = Interval(*difference.loc[0, list(ENDS)])
    return found
