"""What a run on the bench of notebook 03 is: its settings, what was measured, and which run is the best."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcourse.training.recipe import Recipe

OFFERED = (
    *("fine-tuned", "LP-FT", "layer-wise rates", "discriminative rates", "gradual unfreezing", "L2-SP"),
    *("label smoothing", "scratch"),
)
LABELS = (1, 2, 5, 10, 20, 50)
RATES = (*(float(f"{figure}e{power}") for power in (-4, -3, -2) for figure in (1, 1.5, 2, 3, 5, 7)), 0.1)
STRENGTHS = (0.0, 0.001, 0.01, 0.1, 1.0, 10.0)
STAGES, MOST_EPOCHS = 5, 20
SHORT = Recipe(epochs=8, steps=6)  # by default half of the notebook's budget, so that a run takes a few seconds
WATCHED = 300  # images that are measured after every epoch but not learned from


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        strategy: one of `OFFERED`.
        per_class: labelled images per class, at most 50.
        rate: highest learning rate.
        depth: how many stages to freeze; gradual unfreezing decides for itself.
        strength: pull towards the start, for L2-SP alone.
        epochs: how many.

    Raises:
        ValueError: there is no such strategy, or a number is out of range.
    """

    strategy: str = "fine-tuned"
    per_class: int = 5
    rate: float = 0.003
    depth: int = 0
    strength: float = 0.1
    epochs: int = SHORT.epochs

    def __post_init__(self) -> None:
        """Refuse what the bench does not have."""
        if self.strategy not in OFFERED:
            raise ValueError(f"the bench has no strategy {self.strategy!r}. Expected one of: {', '.join(OFFERED)}.")
        if not (0 < self.rate <= 1 and 1 <= self.per_class <= 50 and 0 <= self.depth <= STAGES and self.epochs >= 1):
            raise ValueError(
                f"got {self}. Expected a rate above 0 and at most 1, 1 to 50 labels, 0 to {STAGES} frozen stages, and "
                "at least 1 epoch."
            )

    @property
    def thaws(self) -> bool:
        """Whether the strategy decides by itself what is frozen."""
        return self.strategy == "gradual unfreezing"

    @property
    def pulls(self) -> bool:
        """Whether the strength means anything."""
        return self.strategy == "L2-SP"

    def __str__(self) -> str:
        """Say it in a few words."""
        labels = f"{self.per_class} label{'s' * (self.per_class > 1)} per class"
        frozen = "" if self.thaws or not self.depth else f", {self.depth} frozen"
        pull = f", pull {self.strength:g}" if self.pulls else ""
        epochs = f"{self.epochs} epoch{'s' * (self.epochs > 1)}"
        return f"{self.strategy}, {labels}, rate {self.rate:g}{frozen}{pull}, {epochs}"


@dataclass(frozen=True)
class Measured:
    """What a network does at the end of an epoch, without augmentation and with plain cross-entropy.

    Attributes:
        learned_loss: on images that it learns from, in nats.
        learned_accuracy: on the same, in percent.
        watched_loss: on the watched images, in nats.
        watched_accuracy: on the same, in percent.
    """

    learned_loss: float
    learned_accuracy: float
    watched_loss: float
    watched_accuracy: float


@dataclass(frozen=True)
class Run:
    """One training on the bench, finished or not.

    Attributes:
        number: the how-manieth, from 1.
        settings: how it was trained.
        measured: one entry an epoch, of those that are over.
        state: "training", "finished", "stopped", or "broke" when the loss was no longer finite.
        trained: how many weights could move at the end.
        seconds: how long it took; None for runs that came with the course.
    """

    number: int
    settings: Settings
    measured: tuple[Measured, ...] = ()
    state: str = "training"
    trained: int = 0
    seconds: float | None = None

    @property
    def accuracy(self) -> float:
        """Return the accuracy after the last epoch, in percent: not the best on the way, which would flatter."""
        return self.measured[-1].watched_accuracy

    @property
    def loss(self) -> float:
        """Return the loss on the watched images after the last epoch, in nats."""
        return self.measured[-1].watched_loss


def nearest_rate(rate: float) -> float:
    """Return the rate of the slider that is nearest, by ratio."""
    return min(RATES, key=lambda offered: max(offered / rate, rate / offered))


def best_of(runs: Sequence[Run]) -> Run | None:
    """Return the finished run that ended highest, the first of equals; None when no run is finished."""
    return max((run for run in runs if run.state == "finished"), key=lambda run: run.accuracy, default=None)


def make_room(shown: Sequence[int], best: int | None, places: int) -> int | None:
    """Return which run to take out of the picture before one more comes in, or None while there is a place.

    Args:
        shown: numbers of the runs in the picture.
        best: number of the best run, which stays.
        places: how many runs there is room for, at least 2.

    Returns:
        The oldest number apart from the best.
    """
    if len(shown) < places:
        return None
    return min(number for number in shown if number != best)
