"""The comparisons that the notebooks and the labs both run, and the tables that came with the course."""

from tlcourse.notebook.rows import read_rows, save_rows, shipped_table
from tlcourse.notebook.tables import (
    CURVE,
    GAIN_HEADER,
    SCORE_HEADER,
    gain_table,
    read_trials,
    score_table,
    scores,
    summarise,
)
from tlcourse.training.recipe import Recipe
from tlcourse.training.starts import STARTS, starting_model
from tlcourse.training.trials import LABELS_PER_CLASS, Trial, run_trial, run_trials, train_on_target

__all__ = [
    "CURVE",
    "GAIN_HEADER",
    "LABELS_PER_CLASS",
    "SCORE_HEADER",
    "STARTS",
    "Recipe",
    "Trial",
    "gain_table",
    "read_rows",
    "read_trials",
    "run_trial",
    "run_trials",
    "save_rows",
    "score_table",
    "scores",
    "shipped_table",
    "starting_model",
    "summarise",
    "train_on_target",
]
