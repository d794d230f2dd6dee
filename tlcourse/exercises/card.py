"""What an exercise says: a card that is a coloured box in a notebook and the same words as plain text elsewhere."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(Enum):
    """How a check ends."""

    NOT_ATTEMPTED = "NOT ATTEMPTED"
    WRONG = "WRONG"
    ERROR = "ERROR"
    CORRECT = "CORRECT"


# Okabe and Ito, "Color Universal Design", 2008: told apart by colour-blind people too; the word says the same.
COLOURS = {
    Outcome.NOT_ATTEMPTED.value: "#999999",
    Outcome.WRONG.value: "#E69F00",
    Outcome.ERROR.value: "#D55E00",
    Outcome.CORRECT.value: "#009E73",
}
QUIET = "#56B4E9"  # hints and solutions
PROSE = re.compile(r"look at|q\d+")  # names of details that are written for reading; all others hold values and code


@dataclass(frozen=True, repr=False)
class Card:
    """A title in bold, a sentence, and below it pairs of a name and a text, in which line breaks are kept, and code.

    In a notebook, `code`, *emphasis* and **strong emphasis** in what is written for reading look like that.
    """

    title: str
    message: str
    details: Sequence[tuple[str, str]] = ()
    code: str = ""

    def __repr__(self) -> str:
        width = max((len(name) for name, _ in self.details), default=0)
        lines = [f"{self.title}: {self.message}"]
        for name, text in self.details:
            lines.append(f"  {name:{width}}  " + text.replace("\n", "\n" + " " * (width + 4)))
        return "\n".join([*lines, *([self.code] if self.code else [])])

    def _repr_html_(self) -> str:
        colour = COLOURS.get(self.title, QUIET)
        rows = "".join(
            f'<tr><td style="text-align: left; vertical-align: top; padding-right: 1em">{html.escape(name)}</td>'
            f"{_cell(name, text)}</tr>"
            for name, text in self.details
        )
        table = f'<table style="margin: 0.4em 0 0 0">{rows}</table>' if rows else ""
        code = f'<pre style="margin: 0.4em 0 0 0">{html.escape(self.code)}</pre>' if self.code else ""
        return (
            f'<div style="border-left: 6px solid {colour}; padding: 0.4em 0.8em">'
            f"<b>{html.escape(self.title)}</b> &nbsp; {_in_html(self.message)}{table}{code}</div>"
        )


def _cell(name: str, text: str) -> str:
    """Return the cell of a detail: a text as it reads, a value as it is."""
    if PROSE.fullmatch(name):
        return f'<td style="text-align: left">{_in_html(text)}</td>'
    return f'<td style="text-align: left; white-space: pre-wrap; font-family: monospace">{html.escape(text)}</td>'


def _in_html(text: str) -> str:
    """Render the little Markdown that texts of exercises use; what stands in backticks stays as it is."""
    parts = re.split(r"`([^`]+)`", html.escape(text))
    parts[1::2] = [f"<code>{code}</code>" for code in parts[1::2]]
    for place in range(0, len(parts), 2):
        strong = re.sub(r"\*\*(?=\S)([^*]+)(?<=\S)\*\*", r"<strong>\1</strong>", parts[place])
        parts[place] = re.sub(r"(?<!\w)\*(?=\S)([^*]+)(?<=\S)\*(?!\w)", r"<em>\1</em>", strong)
    return "".join(parts).replace("\n", "<br>")


@dataclass(frozen=True, repr=False)
class Verdict(Card):
    """What a check found.

    `share` of the points is from 0 to 1, `score` what a challenge reached, `mistake` the name of a recognised one,
    `worth` the points where nbgrader runs the check, None elsewhere.
    """

    outcome: Outcome = Outcome.WRONG
    share: float = 0.0
    score: float | None = None
    mistake: str = ""
    seconds: float = field(default=0.0, compare=False)
    worth: float | None = None

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ANN401 - IPython's pretty printer
        """What IPython shows as text: the card, but a bare number to nbgrader, which takes it for the points."""
        printer.text(repr(self) if self.worth is None else f"{self.worth:g}")


def verdict(
    outcome: Outcome,
    message: str,
    details: Sequence[tuple[str, str]] = (),
    *,
    share: float | None = None,
    score: float | None = None,
    mistake: str = "",
) -> Verdict:
    """Make the card of a verdict; its title is the outcome, and all points go with CORRECT unless `share` says else."""
    points = float(outcome is Outcome.CORRECT) if share is None else share
    title = outcome.value
    return Verdict(title, message, tuple(details), outcome=outcome, share=points, score=score, mistake=mistake)
