"""An exercise as cells of a notebook: the prompt, the answer cell and the check, with metadata for nbgrader."""

import nbformat
from nbformat import NotebookNode

from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.quiz import Quiz


def exercise_cells(exercise: Exercise) -> list[NotebookNode]:
    """Return the three cells of an exercise as a student finds them: the prompt, the starter, and the check."""
    number = exercise.id.partition(".q")[2]
    name = f"q{number}"
    title = exercise.title if exercise.title.endswith("?") else f"{exercise.title}."
    prompt = f"**{number}. {exercise.level}: {title}** {exercise.prompt}"
    check = f"ex.{name}.check({exercise.answer})  # stuck? ex.{name}.hint()"
    return [
        _prompt(exercise.id, prompt),
        _answer(exercise.id, exercise.starter),
        _check(exercise.id, check, exercise.points),
    ]


def quiz_cells(quiz: Quiz) -> list[NotebookNode]:
    """Return the three cells of a quiz as a student finds them: the questions, the letters, and the check."""
    return [
        _prompt(quiz.id, quiz.markdown()),
        _answer(quiz.id, quiz.starter),
        _check(quiz.id, f"ex.quiz.check({quiz.answer})", quiz.points),
    ]


def grade_id(name: str, part: str) -> str:
    """Return the id that a cell of an exercise has for Jupyter and for nbgrader, such as `"02-q1-answer"`."""
    return f"{name.replace('.', '-')}-{part}"


def _prompt(name: str, text: str) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(text, id=grade_id(name, "prompt"))
    cell.metadata["nbgrader"] = _for_nbgrader(name, "prompt", "markdown", locked=True)
    return cell


def _answer(name: str, source: str) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source.strip("\n"), id=grade_id(name, "answer"))
    cell.metadata["nbgrader"] = _for_nbgrader(name, "answer", "code", solution=True)
    return cell


def _check(name: str, source: str, points: int) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, id=grade_id(name, "check"))
    cell.metadata["nbgrader"] = _for_nbgrader(name, "check", "code", grade=True, locked=True) | {"points": points}
    return cell


def _for_nbgrader(
    name: str, part: str, kind: str, *, grade: bool = False, locked: bool = False, solution: bool = False
) -> dict[str, object]:
    """Metadata of nbgrader's format, version 3."""
    return {
        "cell_type": kind,
        "grade": grade,
        "grade_id": grade_id(name, part),
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
