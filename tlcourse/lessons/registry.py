"""Which exercises and which quiz belong to which notebook."""

import importlib
from collections.abc import Iterable

from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.quiz import Quiz

MODULES = {
    "00": "start_here",
    "01": "preprocessing",
    "02": "weight_transfer",
    "03": "fine_tuning",
    "04": "evaluation",
    "05": "choosing_a_source",
    "06": "crossing_domains",
    "07": "without_labels",
    "08": "federated",
    "09": "many_tasks",
    "10": "efficiency",
    "11": "robustness",
    "12": "your_own_images",
}
SOLUTION_FILES = ("checks.py", "exercises.md", "quiz.md")  # of a lesson: who answers must not read them


def lesson_module(notebook: str, part: str) -> str:
    """Return the full name of a module in the folder of a lesson, such as `tlcourse.lessons.nb00_start_here.lab`."""
    return f"tlcourse.lessons.nb{notebook}_{MODULES[notebook]}.{part}"


def solution_modules() -> list[str]:
    """Return the names of all modules that know solutions: who answers must not import them."""
    return [lesson_module(notebook, "checks") for notebook in MODULES]


def exercises_of(notebook: str) -> tuple[Exercise, ...]:
    """Return the exercises of a notebook such as `"02"` in order; none for a notebook that has none."""
    return tuple(item for item in _checked_in(notebook) if isinstance(item, Exercise))


def quiz_of(notebook: str) -> Quiz | None:
    """Return the quiz of a notebook, None for one that has no exercises."""
    return next((item for item in _checked_in(notebook) if isinstance(item, Quiz)), None)


def find(name: str) -> Exercise | Quiz | None:
    """Return the exercise or quiz with an id such as `"02.q1"` or `"02.quiz"`, or None."""
    return next((item for item in items_of(name.partition(".")[0]) if item.id == name), None)


def items_of(notebook: str) -> list[Exercise | Quiz]:
    """Return everything in a notebook that is checked: its exercises and, behind them, its quiz."""
    return [*exercises_of(notebook), quiz_of(notebook)] if notebook in MODULES else []


def _checked_in(notebook: str) -> Iterable[object]:
    return vars(importlib.import_module(lesson_module(notebook, "checks"))).values() if notebook in MODULES else ()
