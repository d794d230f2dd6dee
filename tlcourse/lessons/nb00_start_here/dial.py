"""The grid behind the lab of notebook 00: source, start, labels per class and shift of the world, all against all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import Interval, bootstrap_mean
from tlcourse.evaluation.predict import predict
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import train
from tlcourse.training.starts import STARTS, starting_model
from tlcourse.training.trials import LABELS_PER_CLASS

SHIFTS = tuple(step / 10 for step in range(11))
SOURCES = ("letters", "digits")
SHOWN = 15  # test images whose answers are kept


@dataclass(frozen=True)
class Dialled:
    """What one trained network makes of the test half at one shift.

    Attributes:
        source: what it was pretrained on; `"none"` for scratch.
        start: one of `STARTS`.
        per_class: labels per class.
        seed: seed of everything random.
        shift: how far the world was moved, from 0 to 1.
        accuracy: on the test half, in percent.
        answers: its answers to the first 15 test images, one digit each.
    """

    source: str
    start: str
    per_class: int
    seed: int
    shift: float
    accuracy: float
    answers: str


def turn_dial(source: str, start: str, per_class: int, seed: int, shifts: Sequence[float] = SHIFTS) -> list[Dialled]:
    """Train one network on the unshifted target, and ask it about the test half at every shift.

    Args:
        source: what it was pretrained on; `"none"` for scratch.
        start: one of `STARTS`.
        per_class: labels per class.
        seed: seed of everything random; the same labelled images for all sources and starts.
        shifts: how far to move the world.

    Returns:
        One row a shift.
    """
    model = starting_model(start, seed, source="letters" if source == "none" else source)
    train(model, load("handwritten-photo").few(per_class, seed), seed=seed)
    rows = []
    for shift in shifts:
        test = load("handwritten-photo", split="test", shift=shift)
        answers = predict(model, test).argmax(1)
        percent = 100 * (answers == test.labels).double().mean().item()
        shown = "".join(map(str, answers[:SHOWN].tolist()))
        rows.append(Dialled(source, start, per_class, seed, shift, percent, shown))
    return rows


def dial_grid(seeds: Sequence[int], labels: Sequence[int] = LABELS_PER_CLASS) -> list[Dialled]:
    """Turn the dial for every source, start and number of labels.

    Args:
        seeds: seeds.
        labels: labels per class.

    Returns:
        One row a network and shift.
    """
    transfers = [(source, start) for source in SOURCES for start in STARTS if start != "scratch"]
    ways = [("none", "scratch"), *transfers]
    plan = [(*way, per_class, seed) for seed in seeds for per_class in labels for way in ways]
    return [row for rows in side_by_side(turn_dial, plan) for row in rows]


def read_dial() -> list[Dialled]:
    """Read the grid that came with the course."""
    return read_rows(shipped_table("dial"), Dialled)


def dial_summary(rows: Iterable[Dialled]) -> dict[tuple[str, str, int, float], Interval]:
    """Return mean and interval over seeds by source, start, labels per class and shift."""
    cells: dict[tuple[str, str, int, float], list[float]] = {}
    for row in rows:
        cells.setdefault((row.source, row.start, row.per_class, row.shift), []).append(row.accuracy)
    return {key: bootstrap_mean(values) for key, values in cells.items()}
