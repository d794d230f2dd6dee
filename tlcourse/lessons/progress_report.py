"""How far the learner is: a table for the terminal, the same as HTML for the notebook, and merging of two files."""

import argparse
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcourse.exercises.prediction import SURE, guesses_so_far
from tlcourse.exercises.progress import Record, Standing, merge, progress_file, read_records, standing
from tlcourse.lessons.registry import MODULES, exercises_of, quiz_of
from tlcourse.notebook.display import table_as_html, table_as_text

SIGNS = {"CORRECT": "●", "WRONG": "◐", "ERROR": "◐", "": "○"}
LEGEND = "● right   ◐ tried   ○ open"


@dataclass(frozen=True)
class NotebookProgress:
    """How far the learner is with one notebook; `quiz` is the best share, from 0 to 1, `best` a challenge's."""

    notebook: str
    exercises: Sequence[Standing]
    quiz: float | None
    best: str

    def signs(self) -> str:
        """Return one sign an exercise."""
        return " ".join(SIGNS[one.outcome] for one in self.exercises)

    def row(self) -> list[str]:
        """Return the cells of this notebook's row."""
        quiz = "open" if self.quiz is None else f"{100 * self.quiz:.0f} %"
        return [self.notebook, self.signs(), quiz, self.best or "–"]


ENOUGH = 5  # ranges below which a share says nothing
HEADER = ["notebook", "exercises", "quiz", "best challenge"]


def course_progress(records: Iterable[Record] | None = None) -> list[NotebookProgress]:
    """Return how far the learner is with every notebook that has exercises."""
    records = list(read_records() if records is None else records)
    return [_notebook_progress(number, topic, records) for number, topic in MODULES.items()]


def _notebook_progress(number: str, topic: str, records: list[Record]) -> NotebookProgress:
    exercises = exercises_of(number)
    standings = [standing(exercise.id, records) for exercise in exercises]
    quiz = standing(quiz_of(number).id, records)
    best, unit = standings[-1].best, getattr(exercises[-1], "unit", "")
    return NotebookProgress(
        notebook=f"{number} {topic.replace('_', ' ')}",
        exercises=standings,
        quiz=quiz.share if quiz.attempts else None,
        best="" if best is None else f"{best:.1f} {unit}",
    )


def predictions_sentence(records: Iterable[Record] | None = None) -> str:
    """Say in a sentence how good the learner's predictions were so far."""
    guesses = guesses_so_far(records)
    ranges = [guess for guess in guesses if guess.is_range]
    if not guesses:
        return "No prediction was compared with a measurement yet."
    said = f"{len(guesses)} predictions were compared with what was measured."
    if ranges:
        held = sum(guess.holds for guess in ranges)
        said += f" {held} of your {len(ranges)} ranges held the value"
        enough = len(ranges) >= ENOUGH
        said += f"; at {SURE} % it would be {SURE / 100 * len(ranges):.0f}." if enough else "."
    return said


class ProgressCard:
    """The learner's progress, as a table in a notebook and as text elsewhere."""

    def __init__(self, records: Iterable[Record] | None = None) -> None:
        records = list(read_records() if records is None else records)
        self.rows = [notebook.row() for notebook in course_progress(records)]
        self.sentence = predictions_sentence(records)

    def __repr__(self) -> str:
        """The table as aligned text."""
        return f"{table_as_text(HEADER, self.rows, LEGEND)}\n{self.sentence}"

    def _repr_html_(self) -> str:
        return f"{table_as_html(HEADER, self.rows, LEGEND)}<p>{html.escape(self.sentence)}</p>"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `tlcourse progress` understands."""
    parser.add_argument("--merge", type=Path, metavar="FILE", nargs="+", help="add the records of files from elsewhere")


def run(options: argparse.Namespace) -> int:
    """Merge what is asked for, and print how far the learner is; raises OSError for a file that is no progress file."""
    own = progress_file()
    for other in options.merge or []:
        if own is None:
            raise ValueError('progress is switched off by TLCOURSE_PROGRESS="off", so nothing can be merged into it.')
        if not other.exists():
            raise FileNotFoundError(f"{other} is not there. Expected the progress.json of another machine.")
        print(f"{other}: {merge(read_records(other), own)} new records")
    print(ProgressCard())
    print(f"kept in {own}" if own else "progress is not kept: TLCOURSE_PROGRESS is off")
    return 0
