"""The student's edition of a notebook: every exercise as its starter, no output, and no solution anywhere in it."""

import copy
import json
import re
from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode

from tlcourse.exercises.cells import cells_for
from tlcourse.lessons.registry import exercises_of, items_of, quiz_of

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
TELLING = 20  # a line of a solution with more characters than this is not found by chance
LESSONS = (  # lines that a lesson shows and a solution uses again
    "optimizer.zero_grad()",
    'part, rest = name.removeprefix("module.").split(".", 1)',
)
KEPT = ("nbgrader", "tags")  # of a cell's metadata


def student_notebook(notebook: NotebookNode, number: str) -> NotebookNode:
    """Return a notebook as a student gets it, whatever was typed into its exercises and whatever it shows.

    Prompts, starters and checks are word for word those of the package. Raises ValueError when a cell of an exercise is
    missing, or a line of a solution stands somewhere else in the notebook.
    """
    new = with_exercises(notebook, number)
    for cell in new.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    found = next(solution_lines_in(new, number), None)
    if found:
        raise ValueError(
            f"notebook {number} holds a line of a solution: {found!r}. Expected the course's own notebook, in which "
            "solutions stand nowhere. Take the line out, or get the notebook again."
        )
    return new


def with_exercises(notebook: NotebookNode, number: str) -> NotebookNode:
    """Return a copy with the package's own cells of exercises; raises ValueError when one of them is missing."""
    new, wanted = copy.deepcopy(notebook), cells_of(number)
    lost = wanted.keys() - {cell.get("id") for cell in new.cells}
    if lost:
        lacks = f"notebook {number} lacks {len(lost)} cells of its exercises, among them {min(lost)!r}"
        raise ValueError(f"{lacks}. Expected the course's own notebook; get it again.")
    new.metadata = nbformat.from_dict(METADATA)
    new.cells = [wanted.get(cell.get("id"), cell) for cell in new.cells]
    for cell in new.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in KEPT if key in cell.metadata})
    return new


def cells_of(number: str) -> dict[str, NotebookNode]:
    """Return the cells of a notebook's exercises and of its quiz by id, as a student finds them."""
    return {cell.id: cell for item in items_of(number) for cell in cells_for(item)}


def telling_lines(number: str) -> list[str]:
    """Return the lines that give a solution away: of references and alternatives, but of no starter and no prompt."""
    exercises = exercises_of(number)
    given = {line.strip() for e in exercises for line in (e.starter + "\n" + e.prompt).split("\n")} | set(LESSONS)
    solved = [line.strip() for e in exercises for line in (e.reference + "\n" + e.alternative).split("\n")]
    return [line for line in solved if len(line) > TELLING and line not in given]


def solution_lines_in(notebook: NotebookNode, number: str) -> Iterator[str]:
    """Find telling lines of its solutions in a notebook's texts, metadata and outputs, and the quiz's letters."""
    everything = json.dumps(notebook, ensure_ascii=False)
    for line in telling_lines(number):
        if json.dumps(line, ensure_ascii=False)[1:-1] in everything:
            yield line
    quiz = quiz_of(number)
    told = r"\W+".join(rf"q{i}\W{{1,6}}{question.right()}" for i, question in enumerate(quiz.questions, 1))
    if re.search(rf"\b{told}\b", everything):
        yield quiz.reference
