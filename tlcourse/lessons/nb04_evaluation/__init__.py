"""Notebook 04: how sure am I?"""

from tlcourse.evaluation.calibration import chance_calibration_error, fit_temperature
from tlcourse.evaluation.intervals import bootstrap_groups, group_means, wilson_interval
from tlcourse.evaluation.significance import holm, mcnemar
from tlcourse.evaluation.transfer_measures import labels_needed
from tlcourse.exercises.prediction import guesses_so_far
from tlcourse.lessons.nb04_evaluation.experiment import (
    curves_of,
    hits_of,
    old_task_accuracy,
    origin,
    sources_of_variance,
    train_networks,
    train_validation_test,
)
from tlcourse.lessons.nb04_evaluation.figures import (
    confusion_figure,
    guesses_figure,
    interval_figure,
    line_figure,
    maps_figure,
    reliability_figure,
    saving_figure,
    seeds_figure,
    threshold_figure,
)
from tlcourse.lessons.nb04_evaluation.lab import evaluation_lab
from tlcourse.lessons.nb04_evaluation.saliency_check import cover_what_matters
from tlcourse.lessons.nb04_evaluation.seeds import compare_with, count_coverage, count_power
from tlcourse.lessons.nb04_evaluation.selecting import choose_often, count_optimism, selection_trials
from tlcourse.notebook.figures import budget_of
