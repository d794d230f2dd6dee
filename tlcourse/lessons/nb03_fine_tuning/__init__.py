"""Notebook 03: how do I train what I carried over?"""

from tlcourse.lessons.nb03_fine_tuning import figures
from tlcourse.lessons.nb03_fine_tuning.experiment import evaluation_sets, paired_table, run_strategies, strategy_table
from tlcourse.lessons.nb03_fine_tuning.lab import TrainingLab
from tlcourse.lessons.nb03_fine_tuning.probe_race import race_table, split_labelled
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training import losses, optimizers, schedules
from tlcourse.training.lr_finder import range_test
from tlcourse.transfer import freezing
from tlcourse.transfer.linear_probe import linear_probe
