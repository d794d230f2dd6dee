"""The plane of cost and accuracy: which ways are on its front, and what a budget reaches."""

import pandas as pd

from tlcourse.lessons.nb10_efficiency.ways import CONVERGED, PROBE
from tlcourse.notebook.results import intervals

COSTS = {
    "trained": "weights trained",
    "megabytes": "Megabytes a task",
    "work": "billion multiply-adds to train",
    "seconds": "seconds to train, one core",
}
LABELLED = 10  # times `per_class`: images that a probe answers once


def points(rows: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    """Put accuracy and costs of every way together, a row for each way and number of labels.

    `rows` and `cost` are the tables `efficient_ways` and `efficient_cost`. Augmentation is not counted, the same for
    all that train. A probe sends every labelled image through once; what solves
    the head then is not counted.
    """
    found = intervals(rows, "accuracy", ["way", "per_class"])
    sizes = rows.groupby("way")[["trained", "share", "megabytes"]].first()
    spent = cost.groupby("way")[["multiply_adds", "milliseconds"]].min()
    found = found.join(sizes, on="way").join(spent, on="way")
    images = (CONVERGED.updates * CONVERGED.batch) * (found["way"] != PROBE)
    images += LABELLED * found["per_class"] * (found["way"] == PROBE)
    found["work"] = images * found["multiply_adds"] / 1000
    found["seconds"] = images / CONVERGED.batch * found["milliseconds"] / 1000
    return found.drop(columns=["multiply_adds", "milliseconds"])


def on_the_front(places: pd.DataFrame, cost: str) -> list[bool]:
    """Say of every row whether none is at least as accurate and cheaper, or more accurate and as cheap."""
    front = []
    for _, one in places.iterrows():
        no_worse = (places[cost] <= one[cost]) & (places["mean"] >= one["mean"])
        better = (places[cost] < one[cost]) | (places["mean"] > one["mean"])
        front.append(not (no_worse & better).any())
    return front


def within(places: pd.DataFrame, **budget: float) -> pd.DataFrame:
    """Return the rows that cost no more than the budget in every column that it names."""
    allowed = pd.Series(True, index=places.index)
    for column, most in budget.items():
        allowed &= places[column] <= most
    return places[allowed]
