"""The instructor's edition of a notebook: answers filled in, and what a teacher wants to know below every check."""

import re
import time
from collections.abc import Iterable, Mapping

import nbformat
from nbformat import NotebookNode

from tlcourse.exercises.answers import KernelAnswer, kernel_sandbox
from tlcourse.exercises.card import Outcome
from tlcourse.exercises.cells import grade_id
from tlcourse.exercises.exercise import Exercise, made_by
from tlcourse.exercises.quiz import Quiz
from tlcourse.lessons.registry import exercises_of, items_of
from tlcourse.teaching.student_edition import with_exercises
from tlcourse.teaching.teacher_notes import exercise_note, quiz_note

COMPARED = "NBVAL_CHECK_OUTPUT"  # cells whose outputs the course's tests compare


def instructor_notebook(notebook: NotebookNode, number: str, seconds: Mapping[str, float]) -> NotebookNode:
    """Return a copy of one of the course's notebooks that runs from top to bottom with every check right.

    `seconds` says how long checks took, by id of the exercise. Raises ValueError when a cell of an exercise is missing.
    """
    new = with_exercises(notebook, number)
    new.metadata["tlcourse"] = {"edition": "instructor"}
    for item in items_of(number):
        for cell in new.cells:
            if cell.get("id") == grade_id(item.id, "answer"):
                cell.source = item.reference
        place = next(i for i, cell in enumerate(new.cells) if cell.get("id") == grade_id(item.id, "check"))
        note = _note(item, notebook, seconds.get(item.id))
        new.cells.insert(place + 1, nbformat.v4.new_markdown_cell(note, id=grade_id(item.id, "teacher")))
    for cell in new.cells:
        if cell.cell_type == "code" and COMPARED not in cell.source:
            cell.outputs, cell.execution_count = [], None
    new.cells.insert(0, nbformat.v4.new_markdown_cell(_foreword(number, seconds), id=f"{number}-instructor"))
    return new


def _note(item: Exercise | Quiz, notebook: NotebookNode, seconds: float | None) -> str:
    if isinstance(item, Quiz):
        return quiz_note(item, seconds)
    listed = objectives_of(notebook)
    objective = listed[item.objective - 1] if item.objective <= len(listed) else "(this notebook does not list it)"
    return exercise_note(item, objective, seconds)


def objectives_of(notebook: NotebookNode) -> list[str]:
    """Return what a notebook says one can do after it: the numbered list below "Before you start"."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    section = re.search(r"^## Before you start.*?$(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\d\. (.+?)[;.]?$", section[1] if section else "", re.MULTILINE)


def seconds_of_checks(items: Iterable[Exercise | Quiz]) -> dict[str, float]:
    """Measure the check of each reference, in seconds by id; raises ValueError when one is not found right."""
    kernel_sandbox().ask("prepare", setup="")
    return {item.id: _seconds(item) for item in items}


def _seconds(item: Exercise | Quiz) -> float:
    answer = KernelAnswer(made_by(item.reference, item.setup, item.answer), item.limits)
    begin = time.perf_counter()
    found = item.judge(answer)
    if found.outcome is not Outcome.CORRECT:
        raise ValueError(f"the check of {item.id} does not find its own solution right:\n{found}")
    return time.perf_counter() - begin


def _foreword(number: str, seconds: Mapping[str, float]) -> str:
    minutes = sum(exercise.minutes for exercise in exercises_of(number))
    points = sum(item.points for item in items_of(number))
    measured = any(item.id in seconds for item in items_of(number))
    times = (
        "The seconds of the checks were measured once, on the machine that wrote this edition; the first check in a "
        "notebook takes some seconds more, since it starts the process in which answers run."
        if measured
        else "The seconds of the checks were not measured."
    )
    return (
        f"**Instructor's edition of notebook {number}.** It holds all solutions, so it is not for students; they get "
        "the same notebook from the folder `student`. The answers are filled in, and every check finds them right. "
        "Below each check, a cell *For the teacher* says what the exercise is for and what people get wrong.\n\n"
        f"The exercises take a learner about {minutes} minutes, and with the quiz they are worth {points} points. "
        + times
    )
