"""Notebook 11: does it hold when the world changes?"""

from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt
