"""How many seeds? Whether intervals hold what they promise, who sees a difference, and many comparisons at once."""

from collections.abc import Mapping, Sequence

import pandas as pd
from scipy.stats import ttest_1samp

from tlcourse.evaluation.intervals import bootstrap_mean, t_interval
from tlcourse.evaluation.significance import coverage, power_curve

HOLDS, SEES = "holds the truth (%)", "sees it (%)"
SEEDS = (3, 5, 10, 20)


def count_coverage(seeds: Sequence[int] = SEEDS, experiments: int = 1000) -> pd.DataFrame:
    """Invent accuracies around a known truth, and count how often two kinds of intervals, made from a few, hold it.

    A row an `interval` and number of `seeds`: `holds the truth (%)`.
    """
    kinds = {"bootstrap": lambda some: bootstrap_mean(some, resamples=400), "t": t_interval}
    return pd.DataFrame(
        {"interval": kind, "seeds": n, HOLDS: coverage(make, n, experiments=experiments)}
        for kind, make in kinds.items()
        for n in seeds
    )


def count_power(spread: Mapping[str, float], difference: float = 2.0, most: int = 30) -> pd.DataFrame:
    """Count how many experiments would see a difference that is there, by how far it scatters from seed to seed.

    `spread` is a standard deviation in points by name. A row a `spread` and number of `seeds`: `sees it (%)`.
    """
    return pd.DataFrame(
        {"spread": f"{name}: spread {points:.1f}", "seeds": n, SEES: percent}
        for name, points in spread.items()
        for n, percent in power_curve(difference, points, most).items()
    )


def compare_with(rows: pd.DataFrame, usual: str, value: str = "target") -> pd.DataFrame:
    """Compare each strategy of a table with the usual one, seed by seed, for each number of labels, by the t test.

    A row a `strategy` and number `per_class`: the t interval of the `difference`, and its `p`, which is below 5 %
    where the interval leaves out 0.
    """
    wide = rows.pivot(index=["per_class", "seed"], columns="strategy", values=value)
    minus = wide.drop(columns=usual).sub(wide[usual], axis=0).dropna(axis=1)
    found = [
        {"strategy": strategy, "per_class": k, "difference": t_interval(values), "p": ttest_1samp(values, 0).pvalue}
        for strategy in minus
        for k, values in minus[strategy].groupby("per_class")
    ]
    return pd.DataFrame(found)
