"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb00_start_here.experiment import labels_curve, shift_grid, time_saved

TABLES = {"labels_curve": (labels_curve, 10), "time_saved": (time_saved, 10), "dial": (shift_grid, 5)}
