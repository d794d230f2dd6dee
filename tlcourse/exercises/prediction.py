"""A guess is written down before an experiment, kept on this machine, and compared with what was measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tlcourse.evaluation.intervals import Interval
from tlcourse.exercises.progress import Record, keep, read_records

Guess = float | tuple[float, float] | None
SURE = 80  # percent: how sure a range is meant to be


class Prediction:
    """What you expect, written down before you measure it; everything runs without a guess too.

    `name` is the notebook's number and a word, such as `"01.leakage"`. A guess is a number, a range (low, high) that
    you would bet on at four to one, or None. Raises TypeError for anything else, and ValueError for a range that ends
    before it begins or a share outside of 0 to 100 %.
    """

    def __init__(self, name: str, guesses: Mapping[str, Guess], unit: str = "%") -> None:
        for thing, value in guesses.items():
            _check(thing, value, unit)
        self.name, self.guesses, self.unit = name, dict(guesses), unit
        made = {thing: value for thing, value in self.guesses.items() if value is not None}
        self.complaint = keep("prediction", name, guesses=made, unit=unit) if made else ""

    def __repr__(self) -> str:
        known = {name: value for name, value in self.guesses.items() if value is not None}
        made = [f"{name} {_shown(value)} {self.unit}".rstrip() for name, value in known.items()]
        said = f"You predict: {', '.join(made)}." if made else "No prediction yet: put numbers in place of None."
        small = self.unit == "%" and any(isinstance(g, float) and 0 < g <= 1 for g in self.guesses.values())
        doubt = "Numbers here are percent: write 50 for one half, not 0.5." if small else ""
        return " ".join(part for part in (said, doubt, self.complaint) if part)

    def compare(self, measured: Mapping[str, Interval]) -> str:
        """Say in a line each how near the guesses were, and keep what was measured; raises KeyError if it lacks one."""
        lost = [name for name in self.guesses if name not in measured]
        if lost:
            raise KeyError(f"{lost} was predicted, but only {list(measured)} was measured. Use the same names.")
        if any(value is not None for value in self.guesses.values()):
            found = {name: [measured[name].mean, measured[name].low, measured[name].high] for name in self.guesses}
            keep("measured", self.name, measured=found)
        return "\n".join(self._line(name, value, measured[name]) for name, value in self.guesses.items())

    def _line(self, name: str, value: Guess, interval: Interval) -> str:
        line = f"{name:12s} measured {interval} {self.unit}".rstrip()
        if value is None:
            return f"{line}; no prediction"
        if isinstance(value, tuple | list):
            inside = value[0] <= interval.mean <= value[1]
            return f"{line}; you said {_shown(value)}, which {'holds' if inside else 'misses'} it"
        if interval.low <= value <= interval.high:
            return f"{line}; you said {value:g}, which is inside the interval"
        side = "low" if value < interval.mean else "high"
        return f"{line}; you said {value:g}, {abs(value - interval.mean):.0f} too {side}"


guess = Prediction  # what a notebook calls it


@dataclass(frozen=True)
class Guessed:
    """One guess beside the mean that was measured; `low` equals `high` where it was a number and no range."""

    prediction: str
    thing: str
    low: float
    high: float
    measured: float
    unit: str

    @property
    def is_range(self) -> bool:
        return self.high > self.low

    @property
    def holds(self) -> bool:
        return self.low <= self.measured <= self.high

    @property
    def off(self) -> float:
        """How far the middle of the guess lies above what was measured."""
        return (self.low + self.high) / 2 - self.measured


def guesses_so_far(records: Iterable[Record] | None = None) -> list[Guessed]:
    """Return the first guess at every thing that was measured after it, oldest first: later ones knew the answer."""
    first: dict[tuple[str, str], tuple[Guess, str]] = {}
    found: dict[tuple[str, str], Guessed] = {}
    for record in read_records() if records is None else records:
        if record["kind"] == "prediction":
            for thing, value in record["guesses"].items():
                first.setdefault((record["name"], thing), (value, record["unit"]))
        elif record["kind"] == "measured":
            for thing, (mean, _low, _high) in record["measured"].items():
                key = (record["name"], thing)
                if key in first and key not in found:
                    value, unit = first[key]
                    low, high = value if _is_range(value) else (value, value)
                    found[key] = Guessed(*key, low, high, mean, unit)
    return list(found.values())


def _check(thing: str, value: Guess, unit: str) -> None:
    numbers = value if _is_range(value) and len(value) == 2 else (value,)
    if value is not None and not all(isinstance(g, int | float) and not isinstance(g, bool) for g in numbers):
        raise TypeError(
            f"the guess for {thing!r} is {value!r}. Expected a number in {unit}, a range such as (60, 80), or None for "
            "no guess."
        )
    if value is not None and unit == "%" and not all(0 <= g <= 100 for g in numbers):
        raise ValueError(f"the guess for {thing!r} is {value!r} %. Expected a share, from 0 to 100.")
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise ValueError(f"the guess for {thing!r} is the range {value!r}. Expected the lower end first.")


def _shown(value: Guess) -> str:
    return f"{value[0]:g} to {value[1]:g}" if _is_range(value) else f"{value:g}"


def _is_range(value: Guess) -> bool:
    return isinstance(value, tuple | list)
