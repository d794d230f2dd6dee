"""Notebook 04: how sure am I?"""

from tlcourse.data.splits import stratified_folds
from tlcourse.evaluation.calibration import chance_calibration_error, fit_temperature, reliability
from tlcourse.evaluation.intervals import bootstrap_groups, group_means, wilson_interval
from tlcourse.evaluation.metrics import (
    area_under,
    average_precision,
    class_report,
    confusion_matrix,
    pr_curve,
    roc_curve,
    top_k_accuracy,
)
from tlcourse.evaluation.predict import confident_mistakes
from tlcourse.evaluation.significance import coverage, mcnemar, power_curve, seeds_needed, selection_optimism
from tlcourse.evaluation.transfer_measures import labels_needed, labels_saved, time_to_accuracy
from tlcourse.exercises.prediction import guesses_so_far
from tlcourse.lessons.nb04_evaluation.experiment import (
    ask_networks,
    hits_of,
    old_task_accuracy,
    origin,
    sources_of_variance,
    train_networks,
    train_validation_test,
)
from tlcourse.lessons.nb04_evaluation.figures import (
    draw_coverage,
    draw_guesses,
    draw_intervals,
    draw_maps,
    draw_optimism,
    draw_paired_seeds,
    draw_power,
    draw_progress,
    draw_saving,
    draw_thresholds,
)
from tlcourse.lessons.nb04_evaluation.lab import evaluation_lab
from tlcourse.lessons.nb04_evaluation.saliency_check import control_maps, importance_maps, still_read
from tlcourse.lessons.nb04_evaluation.selecting import choose_often, cross_validate_probe, selection_trials
from tlcourse.notebook.evaluation_figures import draw_confusion, draw_reliability
