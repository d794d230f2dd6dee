"""Which tables came with the course, and how each is computed again."""

from collections.abc import Callable, Sequence
from typing import Any

from tlcourse.lessons.nb00_start_here.dial import dial_grid
from tlcourse.lessons.nb01_preprocessing.augmentation_worth import augmentation_worth
from tlcourse.lessons.nb01_preprocessing.experiment import normalisation_price
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import run_layer_transfer
from tlcourse.lessons.nb02_weight_transfer.strategies import transfer_strategies
from tlcourse.lessons.nb03_fine_tuning.experiment import run_strategies as fine_tuning_strategies
from tlcourse.lessons.nb03_fine_tuning.strategy_settings import run_settings
from tlcourse.lessons.nb04_evaluation.experiment import challenger_answers, measure_networks, source_answers
from tlcourse.lessons.nb04_evaluation.selecting import selection_trials
from tlcourse.lessons.nb12_your_own_images.experiment import photo_transfer
from tlcourse.training.starts import STARTS
from tlcourse.training.trials import LABELS_PER_CLASS, Trial, run_trials


def labels_curve(seeds: Sequence[int]) -> list[Trial]:
    """Accuracy against labels per class, for notebook 00."""
    return run_trials(STARTS, LABELS_PER_CLASS, seeds)


# name of the file in the lesson's `results`, without its ending: (what computes its rows from seeds, how many seeds)
SHIPPED: dict[str, tuple[Callable[[Sequence[int]], list[Any]], int]] = {
    "labels_curve": (labels_curve, 10),
    "dial": (dial_grid, 5),
    "augmentation_worth": (augmentation_worth, 10),
    "normalisation_price": (normalisation_price, 10),
    "transfer_strategies": (transfer_strategies, 10),
    "layer_transfer": (run_layer_transfer, 6),
    "source_answers": (source_answers, 20),
    "challenger_answers": (challenger_answers, 20),
    "judged": (measure_networks, 10),
    "promises": (selection_trials, 40),
    "strategies": (lambda seeds: fine_tuning_strategies(seeds=seeds), 5),
    "strategy_settings": (run_settings, 3),
    "photo_transfer": (photo_transfer, 3),
}
