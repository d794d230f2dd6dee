"""The marks of a class: a row for everything that was handed in, as a table that a spreadsheet opens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from tlcourse.exercises.card import Card
from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.quiz import Quiz
from tlcourse.lessons.registry import find, items_of
from tlcourse.storage import write_atomically
from tlcourse.teaching.submissions import Submission

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # what a spreadsheet runs, or strips


@dataclass(frozen=True)
class Mark:
    """What one answer got: a `share` of the points, from 0 to 1, and the `score` that a challenge reached.

    `outcome` is one of the four of a check, `"NO ANSWER CELL"`, or `"NOT MARKED"` where marking itself failed.
    """

    name: str
    outcome: str
    message: str
    details: Sequence[Sequence[str]] = ()
    share: float = 0.0
    mistake: str = ""
    score: float | None = None
    notes: Sequence[str] = ()
    source: str = ""
    seconds: float = 0.0

    @property
    def short(self) -> str:
        """The name within the notebook, such as `"q1"`."""
        return self.name.partition(".")[2]

    @property
    def item(self) -> Exercise | Quiz:
        """The exercise or the quiz that was answered."""
        return find(self.name)

    @property
    def is_quiz(self) -> bool:
        return self.short == "quiz"

    @property
    def title(self) -> str:
        """What stands above it on a page."""
        return "Quiz" if self.is_quiz else f"{self.short.removeprefix('q')}. {self.item.title}"

    @property
    def card(self) -> Card:
        """What the check said, as a notebook shows it."""
        return Card(self.outcome, self.message, self.details)

    @property
    def points(self) -> float:
        return self.share * self.item.points


@dataclass(frozen=True)
class Row:
    """What one notebook got; without marks where it could not be marked, which `note` explains."""

    submission: Submission
    number: str = ""
    marks: Sequence[Mark] = field(default=())
    note: str = ""
    name: str = ""

    @property
    def points(self) -> float | None:
        return sum(mark.points for mark in self.marks) if self.marks else None

    @property
    def possible(self) -> int | None:
        return sum(mark.item.points for mark in self.marks) if self.marks else None

    @property
    def notes(self) -> list[str]:
        return [*([self.note] if self.note else []), *(f"{m.short}: {note}" for m in self.marks for note in m.notes)]


def names_in(number: str) -> list[str]:
    """Return the names of everything in a notebook that gets points, in order."""
    return [item.id for item in items_of(number)]


def write_marks(path: Path, rows: Sequence[Row], sandbox: str) -> None:
    """Write the table, whole or not at all; raises StorageError, and an older one is as it was.

    `sandbox` says what fenced the answers in. The text begins with the mark by which Excel knows UTF-8.
    """
    columns = sorted({mark.short for row in rows for mark in row.marks}, key=lambda short: (short == "quiz", short))
    names = ["submission", "notebook", "points", "of", *columns, "sandbox", "note"]
    table = pd.DataFrame([_line(row, sandbox) for row in rows], columns=names)
    text = table.to_csv(index=False, float_format="%.4g", lineterminator="\r\n")
    write_atomically(path, text.encode("utf-8-sig", "replace"))


def _line(row: Row, sandbox: str) -> dict[str, object]:
    told = {"submission": guarded(row.name), "notebook": row.number, "points": row.points, "of": row.possible}
    outcomes = {mark.short: mark.outcome for mark in row.marks}
    return told | outcomes | {"sandbox": sandbox if row.marks else "", "note": guarded("; ".join(row.notes))}


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, on one line."""
    line = " ".join(text.split("\n"))
    return f"'{line}" if line.startswith(FORMULA) else line
