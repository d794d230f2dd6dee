"""What trials say together: means with intervals, and gains over scratch."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.starts import STARTS
from tlcourse.training.trials import Trial

SCORE_HEADER = ("start", "labels per class", "accuracy in % [95 % interval]", "seconds", "weights trained")
GAIN_HEADER = ("labels per class", "linear probe [95 % interval]", "fine-tuned [95 % interval]")
CURVE = shipped_table("labels_curve")


def scores(trials: Iterable[Trial], start: str, per_class: int) -> list[float]:
    """Return the accuracies of one start with so many labels, in percent, ordered by seed."""
    chosen = [trial for trial in trials if (trial.start, trial.per_class) == (start, per_class)]
    return [trial.accuracy for trial in sorted(chosen, key=lambda trial: trial.seed)]


def summarise(trials: Sequence[Trial]) -> dict[tuple[str, int], Interval]:
    """Return mean and 95 % interval of the accuracy for every start and number of labels, in percent."""
    cells = dict.fromkeys((trial.start, trial.per_class) for trial in trials)
    return {cell: bootstrap_mean(scores(trials, *cell)) for cell in cells}


def score_table(trials: Sequence[Trial]) -> list[list[str]]:
    """Return a row of text for every start and number of labels, to be shown under `SCORE_HEADER`."""
    rows = []
    for (start, per_class), interval in summarise(trials).items():
        members = [trial for trial in trials if (trial.start, trial.per_class) == (start, per_class)]
        seconds = sum(trial.seconds for trial in members) / len(members)
        rows.append([start, str(per_class), str(interval), f"{seconds:.1f}", f"{members[0].trained:,}"])
    return rows


def gain_table(trials: Sequence[Trial]) -> list[list[str]]:
    """Return a row of text for every number of labels: what the transfers gain over scratch, under `GAIN_HEADER`."""
    rows = []
    for per_class in sorted({trial.per_class for trial in trials}):
        baseline = scores(trials, "scratch", per_class)
        gains = [paired_difference(scores(trials, start, per_class), baseline) for start in STARTS[1:]]
        rows.append([str(per_class), *map(str, gains)])
    return rows


def read_trials(path: Path | str = CURVE) -> list[Trial]:
    """Read trials from a file; by default those that came with the course."""
    return read_rows(path, Trial)
