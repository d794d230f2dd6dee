"""Notebook 04: how sure am I?"""

from tlcourse.data.splits import stratified_folds
from tlcourse.evaluation.calibration import calibration_error, chance_calibration_error, fit_temperature, reliability
from tlcourse.evaluation.intervals import bootstrap_groups, group_means, t_interval, wilson_interval
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
    three_piles,
    train_networks,
)
from tlcourse.lessons.nb04_evaluation.figures import (
    caption_mistakes,
    draw_coverage,
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
from tlcourse.lessons.nb04_evaluation.prediction_figures import draw_guesses
from tlcourse.lessons.nb04_evaluation.saliency_test import control_maps, importance_maps, still_read
from tlcourse.lessons.nb04_evaluation.selecting import choose_often, cross_validate_probe, selection_trials
from tlcourse.notebook.evaluation_figures import draw_confusion, draw_reliability

__all__ = [
    "area_under",
    "ask_networks",
    "average_precision",
    "bootstrap_groups",
    "calibration_error",
    "caption_mistakes",
    "chance_calibration_error",
    "choose_often",
    "class_report",
    "confident_mistakes",
    "confusion_matrix",
    "control_maps",
    "coverage",
    "cross_validate_probe",
    "draw_confusion",
    "draw_coverage",
    "draw_guesses",
    "draw_intervals",
    "draw_maps",
    "draw_optimism",
    "draw_paired_seeds",
    "draw_power",
    "draw_progress",
    "draw_reliability",
    "draw_saving",
    "draw_thresholds",
    "evaluation_lab",
    "fit_temperature",
    "group_means",
    "guesses_so_far",
    "hits_of",
    "importance_maps",
    "labels_needed",
    "labels_saved",
    "mcnemar",
    "old_task_accuracy",
    "origin",
    "power_curve",
    "pr_curve",
    "reliability",
    "roc_curve",
    "seeds_needed",
    "selection_optimism",
    "selection_trials",
    "sources_of_variance",
    "still_read",
    "stratified_folds",
    "t_interval",
    "three_piles",
    "time_to_accuracy",
    "top_k_accuracy",
    "train_networks",
    "wilson_interval",
]
