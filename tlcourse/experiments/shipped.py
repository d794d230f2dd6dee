"""Which tables came with the course, and how each is computed again."""

from collections.abc import Callable, Sequence
from typing import Any

from tlcourse.experiments.augmenting import augmentation_worth
from tlcourse.experiments.dialling import dial_grid
from tlcourse.experiments.duelling import challenger_answers
from tlcourse.experiments.evaluating import source_answers
from tlcourse.experiments.judging import judge_seeds
from tlcourse.experiments.layer_transfer import run_layer_transfer
from tlcourse.experiments.photo_transfer import photo_transfer
from tlcourse.experiments.preprocessing import normalisation_price
from tlcourse.experiments.selecting import run_promises
from tlcourse.experiments.strategies_table import strategies
from tlcourse.experiments.strategy_settings import strategy_settings
from tlcourse.experiments.transfer_strategies import run_strategies
from tlcourse.experiments.trials import LABELS_PER_CLASS, STARTS, Trial, run_trials


def labels_curve(seeds: Sequence[int]) -> list[Trial]:
    """Accuracy against labels a class, for notebook 00."""
    return run_trials(STARTS, LABELS_PER_CLASS, seeds)


# name of the file in `tlcourse/results`, without its ending: (what computes its rows from seeds, how many seeds)
SHIPPED: dict[str, tuple[Callable[[Sequence[int]], list[Any]], int]] = {
    "labels_curve": (labels_curve, 10),
    "dial": (dial_grid, 5),
    "augmentation_worth": (augmentation_worth, 10),
    "normalisation_price": (normalisation_price, 10),
    "transfer_strategies": (run_strategies, 10),
    "layer_transfer": (run_layer_transfer, 6),
    "source_answers": (source_answers, 20),
    "challenger_answers": (challenger_answers, 20),
    "judged": (judge_seeds, 10),
    "promises": (run_promises, 40),
    "strategies": (strategies, 5),
    "strategy_settings": (strategy_settings, 3),
    "photo_transfer": (photo_transfer, 3),
}
