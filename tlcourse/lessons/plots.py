"""Pictures: every function draws on the axes it is given and returns them. One module a notebook."""

from tlcourse.lessons.nb01_preprocessing.figures import (
    describe_detections,
    describe_leaks,
    describe_prices,
    describe_worth,
    draw_detections,
    draw_leaks,
    draw_pairs,
    draw_prices,
    draw_readings,
    draw_suspects,
    draw_thresholds,
    draw_worth,
    worth_gain,
)
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, RIGHT, WRONG, draw_images, plain

__all__ = [
    "COLOURS",
    "GREY",
    "MARKERS",
    "RIGHT",
    "WRONG",
    "describe_detections",
    "describe_leaks",
    "describe_prices",
    "describe_worth",
    "draw_detections",
    "draw_images",
    "draw_leaks",
    "draw_pairs",
    "draw_prices",
    "draw_readings",
    "draw_suspects",
    "draw_thresholds",
    "draw_worth",
    "plain",
    "worth_gain",
]
