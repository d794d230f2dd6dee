"""An exercise as cells of a notebook: the prompt, the answer cell and the check, with metadata for nbgrader."""

import nbformat
from nbformat import NotebookNode

from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.quiz import Quiz


def cells_for(item: Exercise | Quiz) -> list[NotebookNode]:
    """Return the three cells of an exercise as a student finds them: what is asked, the starter, and the check."""
    short = item.id.partition(".")[2]
    check = f"ex.{short}.check({item.answer})"
    if isinstance(item, Exercise):
        check += f"  # stuck? ex.{short}.hint()"
    return [_prompt(item), _answer(item), _check(item, check)]


def grade_id(name: str, part: str) -> str:
    """Return the id that a cell of an exercise has for Jupyter and for nbgrader, such as `"02-q1-answer"`."""
    return f"{name.replace('.', '-')}-{part}"


def _prompt(item: Exercise | Quiz) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(item.markdown(), id=grade_id(item.id, "prompt"))
    cell.metadata["nbgrader"] = _for_nbgrader(item, "prompt", "markdown", locked=True)
    return cell


def _answer(item: Exercise | Quiz) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(item.starter.strip("\n"), id=grade_id(item.id, "answer"))
    cell.metadata["nbgrader"] = _for_nbgrader(item, "answer", "code", solution=True)
    return cell


def _check(item: Exercise | Quiz, source: str) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source, id=grade_id(item.id, "check"))
    cell.metadata["nbgrader"] = _for_nbgrader(item, "check", "code", grade=True, locked=True) | {"points": item.points}
    return cell


def _for_nbgrader(item: Exercise | Quiz, part: str, kind: str, **told: bool) -> dict[str, object]:
    parts = {"cell_type": kind, "grade": False, "grade_id": grade_id(item.id, part), "locked": False}
    return parts | {"schema_version": 3, "solution": False, "task": False} | told
