"""Notebook 03: how do I train what I carried over?"""

from tlcourse.lessons.nb03_fine_tuning import figures
from tlcourse.lessons.nb03_fine_tuning.batchnorm import run_batchnorm
from tlcourse.lessons.nb03_fine_tuning.experiment import (
    compare,
    evaluation_sets,
    longer_table,
    measured,
    run_strategies,
    split_labelled,
    strategy_table,
)
from tlcourse.lessons.nb03_fine_tuning.lab import TrainingLab
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training import losses, optimizers, schedules
from tlcourse.training.lr_finder import range_test
from tlcourse.transfer import freezing
from tlcourse.transfer.linear_probe import linear_probe
