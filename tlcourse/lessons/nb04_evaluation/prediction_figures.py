"""How good the learner's predictions were: each guess beside what was measured."""

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes

from tlcourse.notebook.figures import GREY, RIGHT, WRONG

NONE_YET = "No guess was compared with a measurement yet. Put numbers into a guess(...), and run that notebook."


class Guess(Protocol):
    """A guess that was compared with a measurement; see `exercises.prediction.Guessed`."""

    prediction: str
    thing: str
    low: float
    high: float
    measured: float
    unit: str
    is_range: bool
    holds: bool
    off: float


def draw_guesses(ax: Axes, guesses: Sequence[Guess]) -> str:
    """Draw how far every guess was off: a dot for a number, a bar for a range, measured values on the line at 0.

    Returns two sentences that say which way the guesses lean, and whether the ranges were wide enough.
    """
    if not guesses:
        ax.text(0.5, 0.5, NONE_YET, ha="center", va="center", transform=ax.transAxes, wrap=True, fontsize=11)
        ax.set_axis_off()
        return NONE_YET
    for row, guess in enumerate(guesses):
        colour = GREY if not guess.is_range else RIGHT if guess.holds else WRONG
        ends = [guess.low - guess.measured, guess.high - guess.measured]
        ax.plot(ends, [row, row], color=colour, linewidth=7, solid_capstyle="butt")
        ax.plot(guess.off, row, _marker(guess), color=colour, markeredgecolor="black", markersize=8)
    ax.axvline(0, color="black", linewidth=1)
    names = [f"{guess.prediction.partition('.')[0]} · {guess.thing}, {guess.unit}" for guess in guesses]
    ax.set_yticks(range(len(guesses)), names, fontsize=10)
    ax.invert_yaxis()
    ax.set_xlabel("guess minus measured, in the unit of the row")
    ax.set_title("◄ too low      exactly right at 0      too high ►", fontsize=11)
    return _describe(guesses)


def _marker(guess: Guess) -> str:
    """A diamond for a number, a dot for a range that held, a cross for one that missed."""
    return "D" if not guess.is_range else "o" if guess.holds else "X"


def _describe(guesses: Sequence[Guess]) -> str:
    ranges = [guess for guess in guesses if guess.is_range]
    high = sum(guess.off > 0 for guess in guesses)
    said = f"{len(guesses)} guesses beside what was measured: {high} too high, {len(guesses) - high} too low or exact."
    if not ranges:
        return said + " None of them was a range, so they do not say how sure you were."
    held = sum(guess.holds for guess in ranges)
    return f"{said} {held} of {len(ranges)} ranges held the value; ranges that are meant at 80 % should hold 8 in 10."
