"""A notebook that was handed in: its cells, its number, and where the answers are, whatever happened to it."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tlcourse.exercises.cells import grade_id
from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.quiz import Quiz
from tlcourse.lessons.registry import MODULES
from tlcourse.teaching.cell_code import (
    LONGEST_CELL,
    NotPythonError,
    as_python,
    defined_names,
    is_empty,
    is_python,
    same_program,
)

LARGEST = 2**28  # bytes of a notebook; most of it may be outputs, which nobody reads
MOST_CELLS = 5_000
PART = re.compile(r"(\d\d)-(?:q\d+|quiz)-(?:prompt|answer|check)")


class SubmissionError(ValueError):
    """A file is no notebook that can be marked; the message says why."""


@dataclass(frozen=True)
class Cell:
    """What is needed of a cell: `"code"`, `"markdown"` or `"raw"`, what nbgrader and Jupyter call it, and its text."""

    kind: str
    names: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class FoundAnswer:
    """The cell with an answer, or None; `note` says what is unusual about it, or why there is none."""

    cell: Cell | None
    note: str = ""


def read_cells(path: Path) -> list[Cell]:
    """Read a notebook that a stranger wrote; whatever in it has an unexpected form is left out.

    Raises SubmissionError when it is too large, cannot be read, or is no notebook.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise SubmissionError(f"it has {size / 2**20:.0f} MiB, and at most {LARGEST / 2**20:.0f} are read")
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SubmissionError(f"it cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, SubmissionError):
            raise
        reason = str(error)[:100] if isinstance(error, ValueError) else "too many brackets"
        raise SubmissionError(f"it is no notebook: its text is not JSON ({reason})") from error
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        old = isinstance(content, dict) and "worksheets" in content
        what = "it is in the format of 2014; open it in JupyterLab and save it" if old else "it has no cells"
        raise SubmissionError(what if old else f"it is no notebook: {what}")
    return [_cell(cell) for cell in cells[:MOST_CELLS] if isinstance(cell, dict)]


def notebook_number(cells: Sequence[Cell], path: Path) -> str:
    """Say which notebook of the course it is, such as `"02"`: by the names of its cells, or of the file.

    Raises SubmissionError when it is none whose exercises can be marked.
    """
    parts = [match[1] for cell in cells for name in cell.names if (match := PART.fullmatch(name))]
    named = re.findall(r"(?<!\d)(\d\d)(?=_)", path.name) or [n for n, topic in MODULES.items() if topic in path.name]
    number = Counter(parts).most_common(1)[0][0] if parts else named[-1] if named else ""
    if number not in MODULES:
        what = f"it seems to be notebook {number}" if number else "neither its cells nor its name say which one it is"
        raise SubmissionError(f"{what}; exercises that can be marked are in {', '.join(MODULES)}")
    return number


def find_answer(cells: Sequence[Cell], item: Exercise | Quiz) -> FoundAnswer:
    """Find the cell with the answer: by its name, and if that was lost or left as it was, by what it defines."""
    wanted = grade_id(item.id, "answer")
    here = [cell for cell in cells if wanted in cell.names]
    written = [cell for cell in here if cell.kind == "code" and not _is_untouched(cell, item)]
    if written:
        return _one_of(written, item)
    elsewhere = [cell for cell in cells if _may_hold(cell, wanted) and _defines(cell, item)]
    if elsewhere:
        lost = "was left as it was" if here else "is gone"
        return FoundAnswer(
            elsewhere[-1], f"the cell for the answer {lost}; `{item.answer}` was taken from another cell"
        )
    if not here:
        return FoundAnswer(None, f"the cell for this answer is gone, and no other one defines `{item.answer}`")
    code = next((cell for cell in here if cell.kind == "code"), None)
    kind = "" if code else f"the cell for this answer is a {here[0].kind} cell; its text was not run"
    return FoundAnswer(code, kind)


def _one_of(written: Sequence[Cell], item: Exercise | Quiz) -> FoundAnswer:
    """Choose among cells for one answer: a copied one is there twice, and a divided one is whole only when joined."""
    if len(written) == 1:
        return FoundAnswer(written[0])
    defining = [cell for cell in written if _defines(cell, item)]
    joined = replace(written[0], source="\n".join(cell.source for cell in written))
    divided = not all(is_python(cell.source) for cell in written) and is_python(joined.source)
    if defining and not divided:
        return FoundAnswer(defining[-1], f"there are {len(written)} cells for this answer; the last one counts")
    return FoundAnswer(joined, f"there are {len(written)} cells for this answer; they were joined")


def _is_untouched(cell: Cell, item: Exercise | Quiz) -> bool:
    return is_empty(cell.source) or same_program(cell.source, item.starter)


def _may_hold(cell: Cell, wanted: str) -> bool:
    """Say whether an answer can be in a cell: not in a check, nor in the cell for the answer to something else."""
    parts = [name for name in cell.names if PART.fullmatch(name)]
    return cell.kind == "code" and (not parts or wanted in parts)


def _defines(cell: Cell, item: Exercise | Quiz) -> bool:
    if len(cell.source) > LONGEST_CELL or item.answer not in cell.source or same_program(cell.source, item.starter):
        return False
    try:
        return item.answer in defined_names(as_python(cell.source)[0])
    except (NotPythonError, SyntaxError):
        return False


def _cell(cell: dict) -> Cell:
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    names = (nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None, cell.get("id"))
    return Cell(
        cell.get("cell_type") if cell.get("cell_type") in ("code", "markdown") else "raw",
        tuple(dict.fromkeys(name for name in names if isinstance(name, str))),
        source if isinstance(source, str) else "",
    )
