"""Which score puts the candidates in the order that fine-tuning does, and what a choice by it loses."""

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from scipy.stats import weightedtau

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb05_choosing_a_source.experiment import NAMES, WORLD, score
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, CLOSE, candidate, size_of, source_accuracy
from tlcourse.notebook.results import as_texts, intervals
from tlcourse.repro import generator
from tlcourse.transfer.heads import get_classifier

RULES = ("source accuracy", "nearest domain", "largest network")
ORACLE = "fine-tuning once"
LOST = "lost (points)"


def rules(distances: pd.DataFrame) -> pd.DataFrame:
    """Return what three rules say that look at no label, higher is better: a row a candidate.

    Random weights have no source, and come last where a rule asks about it.
    """
    near = -distances[distances["shift"] == 0].groupby("candidate")["Fréchet"].mean()
    table = pd.DataFrame({"candidate": list(CANDIDATES)})
    table["source accuracy"] = table["candidate"].map(source_accuracy)
    table["nearest domain"] = table["candidate"].map(near)
    table["largest network"] = table["candidate"].map(size_of).astype(float)
    return table.set_index("candidate").apply(lambda column: column.fillna(column.min() - 1))


def agreement(
    truth: pd.DataFrame,
    scores: pd.DataFrame,
    distances: pd.DataFrame,
    per_class: int,
    among: Sequence[str] = tuple(CANDIDATES),
) -> pd.DataFrame:
    """Compare every score and rule with the truth, once for every seed that both tables have.

    The truth of a seed is the mean accuracy over all *other* seeds, so that no luck is shared. A row has Kendall's
    weighted `tau` in percent, 100 for the same order and 0 for none, where mistakes at the top count most; and `lost
    (points)`, by how much the candidate that comes out on top is worse than the best. `fine-tuning once` is the
    accuracy on the test pool of that seed alone, which costs everything and nobody has when choosing.
    """
    tuned, scored = (_cell(rows, per_class) for rows in (truth, scores))
    wide = tuned.pivot(index="candidate", columns="seed", values="accuracy").loc[list(among)]
    untrained = rules(distances)
    rows = []
    for seed in wide:
        goal = wide.drop(columns=seed).mean(axis=1)
        said = scored[scored["seed"] == seed].set_index("candidate")[list(NAMES)].join(untrained)
        said[ORACLE] = wide[seed]
        rows += [{"score": name, "seed": seed, **compare(said[name], goal)} for name in said]
    return pd.DataFrame(rows).assign(per_class=per_class)


def weighted_tau(said: pd.Series, goal: pd.Series) -> float:
    """Return Kendall's weighted tau of two series in percent; 0 where a score says the same of all candidates.

    Source: Vigna, "A weighted correlation index for rankings with ties", 2015, WWW.
    """
    if said.nunique() == 1:
        return 0.0
    return 100 * float(weightedtau(said.to_numpy(), goal.to_numpy()).statistic)


def compare(said: pd.Series, goal: pd.Series) -> dict[str, float]:
    """Compare what a score says of each candidate with what is true; both are indexed by candidate.

    Among several that come out on top, the choice is by lot, and its loss the mean.
    """
    said = said.loc[goal.index]
    return {"tau": weighted_tau(said, goal), LOST: float(goal.max() - goal[said == said.max()].mean())}


def with_and_without(
    truth: pd.DataFrame, scores: pd.DataFrame, distances: pd.DataFrame, per_class: int
) -> pd.DataFrame:
    """Say what a choice by each score loses, among all candidates and without the two that are far ahead."""
    said = {}
    for name, among in {"all 16": tuple(CANDIDATES), "without the two long ones": CLOSE}.items():
        lost = intervals(agreement(truth, scores, distances, per_class, among), LOST, by="score")
        said["score"], said[name] = lost["score"], as_texts(lost)
    return pd.DataFrame(said)


def in_half_zoos(
    truth: pd.DataFrame, scores: pd.DataFrame, per_class: int, draws: int = 200, names: Sequence[str] = NAMES
) -> pd.DataFrame:
    """Draw half of the candidates, again and again, and compare scores with the truth among those alone.

    Scores and truth are means over all seeds: what varies here is the choice of candidates. A row a `score` and draw.
    """
    goal, said = (
        _cell(rows, per_class).groupby("candidate").mean(numeric_only=True).loc[list(CANDIDATES)]
        for rows in (truth, scores)
    )
    draw, rows = generator("half zoos"), []
    for number in range(draws):
        some = goal.index[torch.randperm(len(goal), generator=draw)[: len(goal) // 2].numpy()]
        found = {name: compare(said.loc[some, name], goal.loc[some, "accuracy"]) for name in names}
        rows += [{"score": name, "draw": number, **values} for name, values in found.items()]
    return pd.DataFrame(rows)


def optimism(
    truth: pd.DataFrame, scores: pd.DataFrame, per_class: int, among: Sequence[str] = tuple(CANDIDATES)
) -> pd.DataFrame:
    """Measure by how many points a score is too high: a row a seed and way to choose.

    `too high` is that of the winner, `all` the mean over all candidates, and `curse` the difference: what winning adds.
    On the test pool, it is the accuracy of one fine-tuning minus the mean of the same candidate's other seeds. On
    labelled images, it is the probe's accuracy in cross-validation minus that on the test pool.
    """
    wide = _cell(truth, per_class).pivot(index="candidate", columns="seed", values="accuracy").loc[list(among)]
    others = wide.apply(lambda column: wide.drop(columns=column.name).mean(axis=1))
    probes = _cell(scores, per_class).pivot(index="candidate", columns="seed").loc[list(among)]
    pairs = {
        "fine-tuned, chosen on the test pool": (wide, others),
        "probe, chosen by cross-validation": (probes["linear probe"], probes["probe on test"]),
    }
    rows = []
    for choice, (shown, true) in pairs.items():
        for seed in shown:
            off, winner = shown[seed] - true[seed], shown[seed].idxmax()
            found = {"winner": winner, "too high": off[winner], "all": off.mean()}
            rows.append({"choice": choice, "seed": seed, **found, "curse": off[winner] - off.mean()})
    return pd.DataFrame(rows)


def seconds_of_scores(per_class: int = 5, seed: int = 0) -> dict[str, float]:
    """Measure on this machine how long each score takes for all candidates, in seconds, with the features it needs."""
    labelled = load(WORLD).few(per_class, seed)
    models = [candidate(name) for name in CANDIDATES]
    began = time.perf_counter()
    features = [extract_features(model, labelled) for model in models]
    extracted = time.perf_counter() - began
    heads = [get_classifier(model) for model in models]
    found = {}
    for name in NAMES:
        began = time.perf_counter()
        for x, head in zip(features, heads, strict=True):
            score(name, x, head, labelled.labels)
        found[name] = extracted + time.perf_counter() - began
    return found


def _cell(rows: pd.DataFrame, per_class: int) -> pd.DataFrame:
    chosen = rows[(rows["per_class"] == per_class) & (rows["shift"] == 0)]
    if chosen.empty:
        raise ValueError(f"nothing was measured with {per_class} labels per class. Expected one of: 5, 20.")
    return chosen


def candidates_table() -> list[dict[str, Any]]:
    """Describe every candidate: what it learned from, how accurate it is there, and how large it is."""
    rows = []
    for name, source in CANDIDATES.items():
        seen = {"source": "–", "images": 0} if source is None else {"source": source.said(), "images": source.images}
        size = {"source accuracy (%)": source_accuracy(name), "weights": size_of(name)}
        rows.append({"candidate": name, **seen, **size})
    return rows
