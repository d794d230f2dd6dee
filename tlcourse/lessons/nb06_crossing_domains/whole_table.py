"""The whole comparison in one table: every method at every position of the dial, and what an update of it costs."""

import itertools
import time
from dataclasses import replace

import pandas as pd

from tlcourse.adaptation.adapt import adaptation_updates
from tlcourse.lessons.nb06_crossing_domains.cases import photo
from tlcourse.lessons.nb06_crossing_domains.experiment import (
    ALL,
    METHODS,
    ON,
    RECIPE,
    SELF_TRAINING,
    starting_network,
    terms_of,
)
from tlcourse.notebook.results import as_texts, intervals

TIMED = 4  # updates, after one that is not timed


def whole_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy with its interval, a row a method, a column a position of the dial, and the cost of an update."""
    found = intervals(rows, by=["method", "shift"])
    table = found.assign(text=as_texts(found)).pivot(index="method", columns="shift", values="text").loc[list(ALL)]
    table.columns = [f"shift {shift:g}" for shift in table.columns]
    costs = milliseconds_an_update()
    return table.assign(**{"ms an update": [f"{costs[m]:.0f}" if m in costs else "–" for m in ALL]}).reset_index()


def milliseconds_an_update() -> dict[str, float]:
    """Time a few updates of every method that is a term of the loss, and of the source alone, on this machine.

    The quickest counts, as the others waited for something else.
    """
    given, recipe = photo(0.0), replace(RECIPE, epochs=1, steps=TIMED + 1)
    costs = {}
    for name in (ON, *(name for name in METHODS if name != SELF_TRAINING)):
        network = starting_network(given)
        steps = adaptation_updates(network, given.source, given.target.images, terms_of(name), recipe)
        ends = [time.perf_counter() for _ in itertools.islice(steps, TIMED + 1)]
        costs[name] = 1000 * min(after - before for before, after in itertools.pairwise(ends))
    return costs
