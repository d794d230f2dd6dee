"""What a student reads: one page for one notebook, in plain words, without solutions."""

import functools
import re
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from tlcourse.exercises.card import Card, Outcome
from tlcourse.exercises.quiz import Quiz
from tlcourse.lessons.registry import find
from tlcourse.teaching.marks import Mark, Row

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
        groups[GROUPS.get(mark.outcome, OTHERS)].append(_title(mark).rstrip("?"))
    return _template().render(row=row, groups=groups, seed=seed, date=date, fence=fence)


@functools.cache
def _template() -> jinja2.Template:
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    page.filters |= {"title": _title, "code": _code}
    page.globals |= {"find": find, "card": Card}
    return page.from_string(files("tlcourse.teaching").joinpath("report.html").read_text(encoding="utf-8"))


def _title(mark: Mark) -> str:
    item = find(mark.name)
    return "Quiz" if isinstance(item, Quiz) else f"{mark.short.removeprefix('q')}. {item.title}"


def _code(text: str) -> Markup:
    """A sentence in which code stands between backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
