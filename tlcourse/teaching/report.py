"""What a student reads: one page for one notebook, in plain words, without solutions."""

from tlcourse.exercises.card import Outcome
from tlcourse.pages.fill import fill
from tlcourse.teaching.marks import Row

GROUPS = {
    Outcome.CORRECT.value: "Right",
    Outcome.WRONG.value: "Not right yet",
    Outcome.ERROR.value: "Stopped by an error",
    Outcome.NOT_ATTEMPTED.value: "Not attempted",
}
OTHERS = "Nothing to mark"


def report(row: Row, seed: int, date: str, fence: str) -> str:
    """Return the HTML page of one submission; `fence` is a sentence on how the answers were kept apart."""
    groups = {said: [] for said in (*GROUPS.values(), OTHERS)}
    for mark in row.marks:
        groups[GROUPS.get(mark.outcome, OTHERS)].append(mark.title.rstrip("?"))
    return fill("marks.html", row=row, groups=groups, seed=seed, date=date, fence=fence)
