"""Which tables came with the course, and how each is computed again."""

from collections.abc import Callable, Sequence
from typing import Any

from tlcourse.experiments.trials import LABELS_PER_CLASS, STARTS, Trial, run_trials


def labels_curve(seeds: Sequence[int]) -> list[Trial]:
    """Accuracy against labels a class, for notebook 00."""
    return run_trials(STARTS, LABELS_PER_CLASS, seeds)


# name of the file in `tlcourse/results`, without its ending: (what computes its rows from seeds, how many seeds)
SHIPPED: dict[str, tuple[Callable[[Sequence[int]], list[Any]], int]] = {
    "labels_curve": (labels_curve, 10),
}
