"""Which exercises and which quiz belong to which notebook."""

import importlib

from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.quiz import Quiz

MODULES = {
    "00": "start_here",
    "01": "preprocessing",
    "02": "weight_transfer",
    "03": "fine_tuning",
    "04": "evaluation",
    "12": "your_own_images",
}


def lesson_module(notebook: str, part: str) -> str:
    """Return the full name of a module in the folder of a lesson, such as `tlcourse.lessons.nb00_start_here.lab`."""
    return f"tlcourse.lessons.nb{notebook}_{MODULES[notebook]}.{part}"


def solution_modules() -> list[str]:
    """Return the names of all modules that hold solutions: who answers must not import them."""
    return [lesson_module(notebook, part) for notebook in MODULES for part in ("exercises", "quiz")]


def exercises_of(notebook: str) -> tuple[Exercise, ...]:
    """Return the exercises of a notebook in order.

    Args:
        notebook: its number, such as `"02"`.

    Returns:
        Three or four exercises; none for a notebook that has none.
    """
    if notebook not in MODULES:
        return ()
    return importlib.import_module(lesson_module(notebook, "exercises")).EXERCISES


def quiz_of(notebook: str) -> Quiz | None:
    """Return the quiz of a notebook, or None."""
    if notebook not in MODULES:
        return None
    return importlib.import_module(lesson_module(notebook, "exercises")).quiz


def find(name: str) -> Exercise | Quiz | None:
    """Return the exercise or quiz with an id such as `"02.q1"` or `"02.quiz"`, or None."""
    notebook = name.partition(".")[0]
    everything = (*exercises_of(notebook), quiz_of(notebook))
    return next((item for item in everything if item is not None and item.id == name), None)
