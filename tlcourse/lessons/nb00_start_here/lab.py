"""The lab of notebook 00: move the world away, change source and labels, and see which start follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import Interval
from tlcourse.lessons.nb00_start_here.experiment import DIAL_LABELS, SHIFTS, SHOWN
from tlcourse.notebook.controls import Choice, Slider
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, RIGHT, WRONG, budget_of, draw_images, plain
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.results import as_dict, as_texts, intervals, paired, results
from tlcourse.training.starts import STARTS

# left, bottom, width and height in the picture, as shares of it
IMAGES, OVER_SHIFT, OVER_LABELS = (0.005, 0.01, 0.385, 0.9), (0.46, 0.17, 0.24, 0.66), (0.75, 0.17, 0.24, 0.66)
SOURCES = {"letters": "letters", "digits": "digits", "none (scratch only)": "none"}


class ShiftLab(Lab):
    """Shift, labels, source and start, with images, answers and accuracy below, all looked up in a measured grid."""

    shift = Slider(
        "world shift (0 to 1)",
        SHIFTS,
        0.0,
        "leans writing, fades ink, turns light to evening",
        form="{:.1f}",
    )
    per_class = Slider(
        "labels per class", DIAL_LABELS, 5, "labelled target images of every class that the networks learned from"
    )
    source = Choice(
        "source", SOURCES, tip=("pretrained on printed letters", "pretrained on printed digits", "no pretraining")
    )
    start = Choice("answers of", STARTS, "fine-tuned", "the network whose answers are shown")
    rows = (("shift", "per_class"), ("source",), ("start",))

    def __init__(self, measured: "Measured | None" = None) -> None:
        self.measured = measured or Measured(results("dial"))
        super().__init__()

    def adjust(self) -> None:
        """Without a source there is one start only."""
        self.controls["start"].disabled = self.source == "none"

    def look(self, source: str, per_class: int, shift: float, start: str) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        reading = self.measured.reading(source, per_class, shift, start)
        figure, (images, over_shift, over_labels) = page((9.3, 3.4), IMAGES, OVER_SHIFT, OVER_LABELS)
        draw_answers(images, reading)
        draw_over_shift(over_shift, reading)
        draw_over_labels(over_labels, reading).set_ylabel("")  # the same as its neighbour's
        handles = over_shift.get_legend_handles_labels()
        figure.legend(*handles, loc="upper center", bbox_to_anchor=(0.725, 1.0), ncols=3, frameon=False, fontsize=10)
        return figure, f"{describe_reading(reading)} Budget: {self.measured.budget}; a linear probe is solved."


@dataclass(frozen=True)
class Reading:
    """What there is to see at one position of all controls.

    `answers` are those of the network `start` to the first test images, int64 `[15]`; `curves` hold the accuracy in
    percent by start, labels per class and shift, `gains` what each transfer adds to scratch here, as tables show it.
    """

    source: str
    per_class: int
    shift: float
    start: str
    answers: torch.Tensor
    curves: Mapping[tuple[str, int, float], Interval]
    gains: Mapping[str, str]

    def starts(self) -> list[str]:
        """Return the starts that there are with this source."""
        return [start for start in STARTS if (start, self.per_class, self.shift) in self.curves]

    def accuracy(self, start: str) -> Interval:
        """Return the accuracy of a start at this position, in percent."""
        return self.curves[start, self.per_class, self.shift]


class Measured:
    """The grid of source, start, labels and shift, with means and intervals over its seeds, and its budget in words."""

    def __init__(self, rows: pd.DataFrame) -> None:
        cell = ["source", "start", "per_class", "shift"]
        self.rows, self.budget = rows, budget_of(rows)
        self.summary = as_dict(intervals(rows, by=cell))
        self.answers = rows[rows["seed"] == 0].set_index(cell)["answers"].to_dict()

    def reading(self, source: str, per_class: int, shift: float, start: str) -> Reading:
        """Look up one position of the controls; where there is no source, the start is scratch."""
        start = "scratch" if source == "none" else start
        curves = {key[1:]: interval for key, interval in self.summary.items() if key[0] in (source, "none")}
        answers = self.answers["none" if start == "scratch" else source, start, per_class, shift]
        digits = torch.tensor([int(digit) for digit in answers])
        return Reading(source, per_class, shift, start, digits, curves, self.gains(source, per_class, shift))

    def gains(self, source: str, per_class: int, shift: float) -> dict[str, str]:
        """Compare each transfer from a source with scratch, seed by seed."""
        rows = self.rows
        here = rows[rows["source"].isin([source, "none"]) & (rows["per_class"] == per_class) & (rows["shift"] == shift)]
        transfers = () if source == "none" else STARTS[1:]
        return {start: as_texts(paired(here, "accuracy", "start", start, "scratch"))[0] for start in transfers}


def describe_reading(reading: Reading) -> str:
    """Say in two sentences what a reading shows."""
    said = ", ".join(f"{start} {reading.accuracy(start).mean:.0f} %" for start in reading.starts())
    labels = "1 label" if reading.per_class == 1 else f"{reading.per_class} labels"
    first = f"{labels} per class, shift {reading.shift:.1f}: {said} of the test pool right."
    if reading.source == "none":
        return f"{first} Without a source there is nothing to transfer."
    gains = ", ".join(f"{start} {gain}" for start, gain in reading.gains.items())
    return f"{first} Points above scratch, from {reading.source}: {gains}."


def draw_answers(ax: Axes, reading: Reading) -> Axes:
    """Draw the first test images with the answers of one network: a tick, or what would have been right."""
    test = load("handwritten-photo", split="test", count=SHOWN, shift=reading.shift)
    pairs = list(zip(reading.answers.tolist(), test.labels.tolist(), strict=True))
    captions = [f"{answer} ✓" if answer == label else f"{answer} ✗ is {label}" for answer, label in pairs]
    draw_images(ax, test.images, 5, captions, [RIGHT if answer == label else WRONG for answer, label in pairs])
    right = sum(answer == label for answer, label in pairs)
    ax.set_title(f"one {reading.start} network: {right} of {SHOWN} right", fontsize=12)
    return ax


def draw_over_shift(ax: Axes, reading: Reading) -> Axes:
    """Draw accuracy against the shift at the chosen number of labels, and mark the chosen shift."""
    for start in reading.starts():
        _line(ax, SHIFTS, [reading.curves[start, reading.per_class, shift] for shift in SHIFTS], start)
    ax.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
    ax.set_xlabel("shift (0: as trained, 1: far)")
    return _finish(ax, reading.shift)


def draw_over_labels(ax: Axes, reading: Reading) -> Axes:
    """Draw accuracy against labels per class at the chosen shift, and mark the chosen number."""
    for start in reading.starts():
        _line(ax, DIAL_LABELS, [reading.curves[start, k, reading.shift] for k in DIAL_LABELS], start)
    ax.set_xscale("log")
    ax.set_xticks(DIAL_LABELS, [str(k) for k in DIAL_LABELS])
    ax.minorticks_off()
    ax.set_xlabel("labelled images per class")
    return _finish(ax, reading.per_class)


def _line(ax: Axes, places: Sequence[float], intervals: Sequence[Interval], start: str) -> None:
    """Draw means with a marker and intervals as a band."""
    means = [interval.mean for interval in intervals]
    ax.plot(places, means, color=COLOURS[start], marker=MARKERS[start], markersize=5, linewidth=2, label=start)
    lows, highs = ([getattr(interval, end) for interval in intervals] for end in ("low", "high"))
    ax.fill_between(places, lows, highs, color=COLOURS[start], alpha=0.2, linewidth=0)


def _finish(ax: Axes, here: float) -> Axes:
    """Mark the chosen place and the accuracy of guessing; the legend names both."""
    ax.axvline(here, color="black", linewidth=1.5, linestyle="--", label="your setting")
    ax.axhline(10, color=GREY, linewidth=1.5, linestyle=":", label="guessing")
    ax.set_ylim(0, 100)
    ax.set_ylabel("accuracy (%)")
    return plain(ax)
