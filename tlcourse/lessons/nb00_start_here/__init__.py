"""Notebook 00: does transfer help me?"""

from tlcourse.lessons.nb00_start_here.experiment import times_fewer, trial
from tlcourse.lessons.nb00_start_here.figures import gallery, seeds_figure
from tlcourse.lessons.nb00_start_here.lab import ShiftLab
from tlcourse.lessons.progress_panel import progress_panel

__all__ = ["ShiftLab", "gallery", "progress_panel", "seeds_figure", "times_fewer", "trial"]
