"""What a student reads: one page for one notebook, in plain words, without solutions."""

import html
import re
from collections.abc import Sequence

from tlcourse.exercises.card import Card, Outcome
from tlcourse.exercises.quiz import Quiz
from tlcourse.lessons.registry import find
from tlcourse.teaching.marks import Mark, Row

HELPED = (Outcome.WRONG.value, Outcome.ERROR.value)  # outcomes with which a hint is of use

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  background: #ffffff; color: #1a1a1a; }}
table {{ border-collapse: collapse; }}
#sum td, #sum th {{ text-align: left; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #8888; }}
pre {{ overflow-x: auto; padding: 0.6rem; background: #8882; }}
code, td {{ overflow-wrap: anywhere; }}
footer {{ margin-top: 3rem; font-size: 0.9rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #1a1a1a; color: #eeeeee; }} }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
<footer><p>{footer}</p></footer>
</body>
</html>
"""


def report(row: Row, seed: int, date: str, fence: str) -> str:
    """Return the HTML page of one submission; `fence` is a sentence on how the answers were kept apart."""
    title = f"{row.name}: notebook {row.number}" if row.number else row.name
    footer = (
        f"Marked on {date}. The checks tried inputs that were drawn with the seed {seed}; "
        f"`tlcourse grade --seed {seed}` draws the same ones again. {fence}"
    )
    body = _marked(row) if row.marks else f"<p>This file could not be marked: {_text(row.note)}.</p>"
    return PAGE.format(title=_text(title), body=body, footer=_prose(footer))


def _marked(row: Row) -> str:
    note = f"<p>{_text(row.note)}</p>" if row.note else ""
    lines = "".join(
        f"<tr><td>{_text(_title(mark))}</td><td>{_text(mark.outcome)}</td>"
        f"<td>{mark.points:.4g} of {find(mark.name).points}</td></tr>"
        for mark in row.marks
    )
    table = f'<table id="sum"><tr><th>exercise</th><th>outcome</th><th>points</th></tr>{lines}</table>'
    summary = f"<p><b>{row.points:.4g} of {row.possible} points.</b> {_text(_in_words(row.marks))}</p>"
    return summary + note + table + "".join(_section(mark) for mark in row.marks)


def _in_words(marks: Sequence[Mark]) -> str:
    groups = {
        "Right": [m for m in marks if m.outcome == Outcome.CORRECT.value],
        "Not right yet": [m for m in marks if m.outcome == Outcome.WRONG.value],
        "Stopped by an error": [m for m in marks if m.outcome == Outcome.ERROR.value],
        "Not attempted": [m for m in marks if m.outcome == Outcome.NOT_ATTEMPTED.value],
        "Nothing to mark": [m for m in marks if m.outcome not in [outcome.value for outcome in Outcome]],
    }
    return " ".join(
        f"{name}: {'; '.join(_title(m).rstrip('?') for m in group)}." for name, group in groups.items() if group
    )


def _section(mark: Mark) -> str:
    card = Card(mark.outcome, mark.message, [(name, text) for name, text in mark.details])
    notes = "".join(f"<p>{_prose(note)}</p>" for note in mark.notes)
    source = f"<details><summary>your answer</summary><pre>{_text(mark.source)}</pre></details>" if mark.source else ""
    return f"<h2>{_text(_title(mark))}</h2>\n{card._repr_html_()}\n{_hint(mark)}{notes}{source}"


def _hint(mark: Mark) -> str:
    """The first hint, where there is something to find."""
    item = find(mark.name)
    if isinstance(item, Quiz) or mark.outcome not in HELPED:
        return ""
    return f"<p>A hint: {_prose(item.hints[0])}</p>"


def _title(mark: Mark) -> str:
    item = find(mark.name)
    return "Quiz" if isinstance(item, Quiz) else f"{mark.short.removeprefix('q')}. {item.title}"


def _text(text: str) -> str:
    return html.escape(text)


def _prose(text: str) -> str:
    """A sentence in which code stands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
