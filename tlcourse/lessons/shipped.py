"""Which tables came with the course, and how each is computed again."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence

import pandas as pd

from tlcourse.lessons.registry import MODULES, lesson_module

Tables = dict[str, tuple[Callable[[Sequence[int]], pd.DataFrame], int]]


def shipped_tables() -> Tables:
    """Return, for every file in a lesson's `results`, what computes it from seeds, and with how many it was computed.

    Each lesson that ships tables names them in its `tables.py`.
    """
    modules = [lesson_module(notebook, "tables") for notebook in MODULES]
    there = [importlib.import_module(name) for name in modules if importlib.util.find_spec(name)]
    return {name: entry for module in there for name, entry in module.TABLES.items()}
