"""Which tables came with the course, and how each is computed again."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from tlcourse.lessons.nb00_start_here.experiment import labels_curve, shift_grid
from tlcourse.lessons.nb01_preprocessing.augmentation_worth import augmentation_worth
from tlcourse.lessons.nb01_preprocessing.experiment import normalisation_price
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import run_layer_transfer
from tlcourse.lessons.nb02_weight_transfer.strategies import transfer_strategies
from tlcourse.lessons.nb03_fine_tuning.experiment import run_strategies as fine_tuning_strategies
from tlcourse.lessons.nb03_fine_tuning.strategy_settings import run_settings
from tlcourse.lessons.nb04_evaluation.experiment import challenger_answers, measure_networks, source_answers
from tlcourse.lessons.nb04_evaluation.selecting import selection_trials
from tlcourse.lessons.nb12_your_own_images.experiment import photo_transfer

# name of the file in the lesson's `results`, without its ending: (what computes it from seeds, how many seeds)
SHIPPED: dict[str, tuple[Callable[[Sequence[int]], pd.DataFrame | list[Any]], int]] = {
    "labels_curve": (labels_curve, 10),
    "dial": (shift_grid, 5),
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
