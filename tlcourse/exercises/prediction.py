"""A prediction is written down before an experiment and compared with it afterwards."""

from collections.abc import Mapping

from tlcourse.stats import Interval


class Prediction:
    """A guess for every thing that will be measured; a guess of None was not made.

    Args:
        guesses: a number, or None, for every name.
        unit: unit of all numbers, such as `"%"`.

    Raises:
        TypeError: a guess is neither a number nor None.
    """

    def __init__(self, guesses: Mapping[str, float | None], unit: str = "%") -> None:
        for name, guess in guesses.items():
            if guess is not None and (isinstance(guess, bool) or not isinstance(guess, int | float)):
                raise TypeError(
                    f"the guess for {name!r} is {guess!r}. Expected a number in {unit}, or None for no guess."
                )
        self.guesses, self.unit = dict(guesses), unit

    def __repr__(self) -> str:
        """Say what was guessed."""
        made = [f"{name} {guess:g} {self.unit}" for name, guess in self.guesses.items() if guess is not None]
        return f"You predict: {', '.join(made)}." if made else "No prediction yet: put numbers in place of None."

    def compare(self, measured: Mapping[str, Interval]) -> str:
        """Compare with what was measured.

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
        return "\n".join(self._line(name, guess, measured[name]) for name, guess in self.guesses.items())

    def _line(self, name: str, guess: float | None, interval: Interval) -> str:
        line = f"{name:12s} measured {interval} {self.unit}"
        if guess is None:
            return f"{line}; no prediction"
        if interval.low <= guess <= interval.high:
            return f"{line}; you said {guess:g}, which is inside the interval"
        side = "low" if guess < interval.mean else "high"
        return f"{line}; you said {guess:g}, {abs(guess - interval.mean):.0f} too {side}"
