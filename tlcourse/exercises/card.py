"""What an exercise says: a card that is a coloured box in a notebook and the same words as plain text elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tlcourse.pages.fill import fill


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
        return fill("card.html", shown=self)

    @property
    def colour(self) -> str:
        """The colour of its edge, as CSS writes it."""
        return COLOURS.get(self.title, QUIET)

    def reads(self, name: str) -> bool:
        """Whether a detail is written for reading; a value stays as it is."""
        return PROSE.fullmatch(name) is not None


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
