"""Notebook 00: does transfer help me?"""

from tlcourse.lessons.nb00_start_here.experiment import gain_table, score_table, trial
from tlcourse.lessons.nb00_start_here.figures import draw_seeds
from tlcourse.lessons.nb00_start_here.lab import ShiftLab
from tlcourse.lessons.progress_panel import progress_panel
from tlcourse.training.recipe import adamw
from tlcourse.training.starts import starting_model

__all__ = [
    "ShiftLab",
    "adamw",
    "draw_seeds",
    "gain_table",
    "progress_panel",
    "score_table",
    "starting_model",
    "trial",
]
