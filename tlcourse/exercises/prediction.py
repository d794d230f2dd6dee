"""A prediction is written down before an experiment, kept on this machine, and compared with what was measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tlcourse.evaluation.intervals import Interval
from tlcourse.exercises.progress import Record, keep, read_records

Guess = float | tuple[float, float] | None
SURE = 80  # percent: how sure a range is meant to be


class Prediction:
    """A guess for every thing that will be measured; a guess of None was not made.

    Args:
        name: of the prediction, notebook first, such as `"01.leakage"`; under it the guesses are kept.
        guesses: for every name a number, a range (low, high) that you would bet on at four to one, or None.
        unit: unit of all numbers, such as `"%"`.

    Raises:
        TypeError: a guess is neither a number nor a range nor None.
        ValueError: a range ends before it begins.
    """

    def __init__(self, name: str, guesses: Mapping[str, Guess], unit: str = "%") -> None:
        for thing, guess in guesses.items():
            _check(thing, guess, unit)
        self.name, self.guesses, self.unit = name, dict(guesses), unit
        made = {thing: guess for thing, guess in self.guesses.items() if guess is not None}
        self.complaint = keep("prediction", name, guesses=made, unit=unit) if made else ""

    def __repr__(self) -> str:
        """Say what was guessed."""
        made = [f"{name} {_shown(g)} {self.unit}" for name, g in self.guesses.items() if g is not None]
        said = f"You predict: {', '.join(made)}." if made else "No prediction yet: put numbers in place of None."
        small = self.unit == "%" and any(isinstance(g, float) and 0 < g <= 1 for g in self.guesses.values())
        doubt = "Numbers here are percent: write 50 for one half, not 0.5." if small else ""
        return " ".join(part for part in (said, doubt, self.complaint) if part)

    def compare(self, measured: Mapping[str, Interval]) -> str:
        """Compare with what was measured, and keep that beside the prediction.

        Args:
            measured: mean and interval for every name that was guessed.

        Returns:
            One line a guess, in plain text.

        Raises:
            KeyError: something that was guessed was not measured.
        """
        lost = [name for name in self.guesses if name not in measured]
        if lost:
            raise KeyError(f"{lost} was predicted, but only {list(measured)} was measured. Use the same names.")
        if any(guess is not None for guess in self.guesses.values()):
            found = {name: [measured[name].mean, measured[name].low, measured[name].high] for name in self.guesses}
            keep("measured", self.name, measured=found)
        return "\n".join(self._line(name, guess, measured[name]) for name, guess in self.guesses.items())

    def _line(self, name: str, guess: Guess, interval: Interval) -> str:
        line = f"{name:12s} measured {interval} {self.unit}"
        if guess is None:
            return f"{line}; no prediction"
        if isinstance(guess, tuple | list):
            inside = guess[0] <= interval.mean <= guess[1]
            return f"{line}; you said {_shown(guess)}, which {'holds' if inside else 'misses'} it"
        if interval.low <= guess <= interval.high:
            return f"{line}; you said {guess:g}, which is inside the interval"
        side = "low" if guess < interval.mean else "high"
        return f"{line}; you said {guess:g}, {abs(guess - interval.mean):.0f} too {side}"


def predict(name: str, guesses: Mapping[str, Guess], unit: str = "%") -> Prediction:
    """Write down what you expect before you measure it; everything runs without a guess too.

    Args:
        name: of the prediction, notebook first, such as `"01.leakage"`.
        guesses: for every name a number, a range (low, high) that you would bet on at four to one, or None.
        unit: unit of all numbers.

    Returns:
        The prediction, to be compared with what is measured.

    Raises:
        TypeError: a guess is neither a number nor a range nor None.
        ValueError: a range ends before it begins.
    """
    return Prediction(name, guesses, unit)


@dataclass(frozen=True)
class Guessed:
    """One guess beside what was measured.

    Attributes:
        prediction: name of the prediction.
        thing: what was guessed.
        low: lower end of the guess; equal to `high` when it was a number.
        high: upper end.
        measured: the mean that was measured.
        unit: of all three.
    """

    prediction: str
    thing: str
    low: float
    high: float
    measured: float
    unit: str

    @property
    def is_range(self) -> bool:
        """Whether a range was given, and not a number."""
        return self.high > self.low

    @property
    def holds(self) -> bool:
        """Whether what was measured lies in the range."""
        return self.low <= self.measured <= self.high

    @property
    def off(self) -> float:
        """How far the middle of the guess lies above what was measured."""
        return (self.low + self.high) / 2 - self.measured


def guesses_so_far(records: Iterable[Record] | None = None) -> list[Guessed]:
    """Return the first guess at every thing that was measured after it: later ones knew the answer.

    Args:
        records: of the progress file; by default the learner's own.

    Returns:
        The guesses, oldest first.
    """
    first: dict[tuple[str, str], tuple[Guess, str]] = {}
    found: dict[tuple[str, str], Guessed] = {}
    for record in read_records() if records is None else records:
        if record["kind"] == "prediction":
            for thing, guess in record["guesses"].items():
                first.setdefault((record["name"], thing), (guess, record["unit"]))
        elif record["kind"] == "measured":
            for thing, (mean, _low, _high) in record["measured"].items():
                key = (record["name"], thing)
                if key in first and key not in found:
                    guess, unit = first[key]
                    low, high = guess if isinstance(guess, tuple | list) else (guess, guess)
                    found[key] = Guessed(*key, low, high, mean, unit)
    return list(found.values())


def _check(thing: str, guess: Guess, unit: str) -> None:
    numbers = guess if isinstance(guess, tuple | list) and len(guess) == 2 else (guess,)
    if guess is not None and not all(isinstance(g, int | float) and not isinstance(g, bool) for g in numbers):
        raise TypeError(
            f"the guess for {thing!r} is {guess!r}. Expected a number in {unit}, a range such as (60, 80), or None for "
            "no guess."
        )
    if guess is not None and unit == "%" and not all(0 <= g <= 100 for g in numbers):
        raise ValueError(f"the guess for {thing!r} is {guess!r} %. Expected a share, from 0 to 100.")
    if len(numbers) == 2 and numbers[0] > numbers[1]:
        raise ValueError(f"the guess for {thing!r} is the range {guess!r}. Expected the lower end first.")


def _shown(guess: Guess) -> str:
    return f"{guess[0]:g} to {guess[1]:g}" if isinstance(guess, tuple | list) else f"{guess:g}"
