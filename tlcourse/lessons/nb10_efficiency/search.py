"""What a search for settings costs: all of them to the end, half of them given up at every look, or each stopped early.

Played through on the table of settings, where every training was looked at on held-out sheets on its way.
"""

from collections.abc import Iterator

import pandas as pd

SETTING = ["lr", "batchnorm"]
GRID, HALVING, LATER = "whole grid", "successive halving", "halving, later"
EARLY, ONE = "early stopping", "a setting at random"
PATIENT = 120  # updates before the first half is given up, where halving is patient
PATIENCE = 2  # looks without a better accuracy


def searches(rows: pd.DataFrame) -> pd.DataFrame:
    """Search in every way for every way to train: updates spent, and the accuracy lost on the held-out sheets.

    `rows` is the table `efficient_settings`; `lost` is how far, in points, the chosen setting stays below the best, at
    the end of the training that was paid for.
    """
    found = []
    for (way, seed), group in rows.groupby(["way", "seed"], sort=False):
        curves = group.pivot_table(index=SETTING, columns="updates", values="accuracy", sort=False)
        for search, updates, reached in _played(curves):
            spent = {"way": way, "seed": seed, "search": search, "updates": updates}
            found.append({**spent, "share": 100 * updates / _whole(curves), "lost": _best(curves) - reached})
    return pd.DataFrame(found)


def successive_halving(curves: pd.DataFrame, first: int = 0) -> tuple[int, float]:
    """Train all settings a little, go on with the better half, and so on; return updates spent and accuracy reached.

    `curves` has a row for every setting and a column for every look, at rising numbers of updates; looks before update
    `first` are left out.

    Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016,
    AISTATS.
    """
    alive, spent, before = curves, 0, 0
    for look in [look for look in curves.columns[:-1] if look >= first]:
        spent += len(alive) * (look - before)
        alive, before = alive.nlargest(max(1, len(alive) // 2), look), look
        if len(alive) == 1:
            break
    last = curves.columns[-1]
    spent += len(alive) * (last - before)
    return int(spent), alive[last].max()


def stop_early(curve: pd.Series, patience: int = PATIENCE) -> tuple[int, float]:
    """Stop a training when so many looks in a row were no better than the best before; return updates and the best."""
    best, waited = -1.0, 0
    for updates, value in curve.items():
        waited = 0 if value > best else waited + 1
        best = max(best, value)
        if waited == patience:
            return int(updates), best
    return int(curve.index[-1]), best


def _played(curves: pd.DataFrame) -> Iterator[tuple[str, int, float]]:
    last = curves.columns[-1]
    yield GRID, _whole(curves), _best(curves)
    yield HALVING, *successive_halving(curves)
    yield LATER, *successive_halving(curves, PATIENT)
    stopped = [stop_early(curve) for _, curve in curves.iterrows()]
    yield EARLY, sum(updates for updates, _ in stopped), max(value for _, value in stopped)
    yield ONE, int(last), curves[last].mean()  # whichever, on average


def _whole(curves: pd.DataFrame) -> int:
    return int(len(curves) * curves.columns[-1])


def _best(curves: pd.DataFrame) -> float:
    return curves[curves.columns[-1]].max()
