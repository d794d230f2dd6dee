"""Pictures: every function draws on the axes it is given and returns them. One module a notebook."""

from tlcourse.plots.basics import COLOURS, GREY, MARKERS, RIGHT, WRONG, draw_images, plain
from tlcourse.plots.start_here import describe_curve, describe_history, draw_curve, draw_history, draw_seeds

__all__ = [
    "COLOURS",
    "GREY",
    "MARKERS",
    "RIGHT",
    "WRONG",
    "describe_curve",
    "describe_history",
    "draw_curve",
    "draw_history",
    "draw_images",
    "draw_seeds",
    "plain",
]
