"""Pictures of notebook 04; each returns the sentence that says what it shows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.intervals import Interval
from tlcourse.evaluation.metrics import ThresholdCurve
from tlcourse.evaluation.transfer_measures import LabelCount
from tlcourse.exercises.prediction import Guessed
from tlcourse.notebook.figures import (
    COLOURS,
    GREY,
    MARKERS,
    PALETTE,
    RIGHT,
    SHAPES,
    WRONG,
    draw_images,
    lines,
    plain,
)
from tlcourse.training.checkpoint import History

if TYPE_CHECKING:
    import pandas as pd

# scratch as everywhere in the course; the letters network is the fine-tuned one of the other notebooks
STYLES = {
    "scratch": {"color": COLOURS["scratch"], "marker": MARKERS["scratch"]},
    "letters": {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"]},
    "digits": {"color": "#009E73", "marker": "D"},
}
DASHES = ("-", "--", "-.", ":")
NONE_YET = "No guess was compared with a measurement yet. Put numbers into a guess(...), and run that notebook."

Lines = Mapping[str, Mapping[int, float]]  # name of a line: y by x


def draw_thresholds(axes: Sequence[Axes], roc: Mapping[str, ThresholdCurve], pr: Mapping[str, ThresholdCurve]) -> str:
    """Draw ROC curves over the diagonal of guessing, and precision against recall, one line a network."""
    left, right = axes
    left.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1)
    left.annotate("guessing", (60, 54), fontsize=10, color=GREY)
    _draw_curves(left, roc, "false-positive rate (% of the others)", "true-positive rate (%)", "ROC")
    _draw_curves(right, pr, "recall (%)", "precision (%)", "precision and recall")
    left.legend(frameon=False, loc="lower right")
    right.legend(frameon=False, loc="lower left")
    return f"ROC curves, and curves of precision and recall, of {' and '.join(roc)}."


def _draw_curves(ax: Axes, curves: Mapping[str, ThresholdCurve], x: str, y: str, title: str) -> None:
    for name, curve in curves.items():
        style = {"color": STYLES[name]["color"], "linestyle": "--" if name == "scratch" else "-"}
        ax.plot(100 * curve.x, 100 * curve.y, linewidth=2, label=name, **style)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)
    ax.set_ylim(0, 103)
    plain(ax)


def draw_maps(axes: Sequence[Axes], data: ImageSet, logits: torch.Tensor, maps: Mapping[str, torch.Tensor]) -> str:
    """Draw images in one row, and below them each kind of map `[N, H, W]`, bright where it matters.

    Below each image stands what it was taken for, what it is, and how sure the network was: `9, not 7: 98 %`.
    """
    captions = caption_mistakes(logits, data)
    draw_images(axes[0], data.images, len(data), captions)
    axes[0].set_title("confident mistakes: answer, right class", loc="left")
    for ax, (kind, values) in zip(axes[1:], maps.items(), strict=True):
        lowest, highest = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
        bright = (255 * (values - lowest) / (highest - lowest).clamp(min=1e-12)).to(torch.uint8)
        colours = 255 * colormaps["cividis"](bright.numpy())[..., :3]  # [N, H, W, 3]; its brightness rises evenly
        draw_images(ax, torch.from_numpy(colours.astype(np.uint8)).permute(0, 3, 1, 2), len(data))
        ax.set_title(kind, loc="left")
    return f"Confident mistakes ({'; '.join(captions)}), and two maps of each."


def caption_mistakes(logits: torch.Tensor, data: ImageSet) -> list[str]:
    """Say of each image what it was taken for, what it is, and how sure the network was."""
    answered = zip(*(values.tolist() for values in logits.softmax(1).max(1)), data.labels.tolist(), strict=True)
    return [
        f"{data.classes[answer]}, not {data.classes[label]}: {100 * sure:.0f} %" for sure, answer, label in answered
    ]


def draw_intervals(ax: Axes, intervals: Mapping[str, Interval], unit: str, zero: bool = False) -> str:
    """Draw intervals below each other, first on top, each with its numbers; `zero` marks where nothing differs."""
    for row, interval in enumerate(intervals.values()):
        spread = [[interval.mean - interval.low], [interval.high - interval.mean]]
        style = {"color": PALETTE[row % len(PALETTE)], "marker": SHAPES[row % len(SHAPES)], "markersize": 8}
        ax.errorbar(interval.mean, row, xerr=spread, capsize=6, linewidth=2.5, **style)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        offset = {"xytext": (10, 0), "textcoords": "offset points", "bbox": box}
        ax.annotate(str(interval), (interval.high, row), va="center", fontsize=11, **offset)
    if zero:
        ax.axvline(0, color=GREY, linewidth=1, linestyle="--")
    ax.set_yticks(range(len(intervals)), intervals)
    ax.set_ylim(len(intervals) - 0.5, -0.5)
    low, high = ax.get_xlim()
    ax.set_xlim(low, high + 0.35 * (high - low))  # room for the numbers
    ax.set_xlabel(unit)
    plain(ax).grid(visible=False, axis="y")
    ax.grid(axis="x", color="#E5E5E5")
    text = ", ".join(f"{name} {interval}" for name, interval in intervals.items())
    return f"95 % intervals of {unit}: {text}."


def draw_coverage(ax: Axes, coverage: Lines, level: float = 95) -> str:
    """Draw how often intervals hold the truth, in percent, against the number of seeds, one line a kind of interval."""
    ax.axhline(level, color="black", linewidth=1, linestyle="--")
    said = _draw_lines(ax, coverage, "seeds", "intervals that hold the truth (%)")
    ax.annotate("as promised", (0.02, level + 0.8), xycoords=("axes fraction", "data"), fontsize=10)
    ax.set_xticks(sorted({seeds for points in coverage.values() for seeds in points}))
    ax.set_ylim(60, 100)
    return said


def draw_power(ax: Axes, power: Lines, wanted: float = 80) -> str:
    """Draw how often a difference is seen, in percent, against the number of seeds, one line a situation."""
    ax.axhline(wanted, color="black", linewidth=1, linestyle="--")
    said = _draw_lines(ax, power, "seeds", "experiments that see it (%)", markers=False)
    ax.set_ylim(0, 102)
    return said


def draw_optimism(ax: Axes, optimism: Lines, untouched: Mapping[int, float]) -> str:
    """Draw by how many points the best score is too high against the number of images it was chosen with.

    `untouched` is the same for winners on images that had no part in the choice.
    """
    shown = {**optimism, "winner on untouched images": untouched}
    said = _draw_lines(ax, shown, "images used to choose", "score minus truth (points)")
    ax.axhline(0, color="black", linewidth=1)
    ticks = sorted({n for points in optimism.values() for n in points})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(n) for n in ticks])
    ax.minorticks_off()
    ax.legend(frameon=False, loc="upper right", fontsize=10)
    return said


def _draw_lines(ax: Axes, shown: Lines, x: str, y: str, markers: bool = True) -> str:
    """Draw lines without intervals, and say where each begins and ends."""
    said = []
    for i, (name, points) in enumerate(shown.items()):
        style = {"marker": SHAPES[i]} if markers else {"linestyle": DASHES[i % len(DASHES)]}
        ax.plot(list(points), list(points.values()), color=PALETTE[i], linewidth=2.5, label=name, **style)
        (first, a), *_, (last, b) = points.items()
        said.append(f"{name} from {a:.1f} at {first} to {b:.1f} at {last}")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.legend(frameon=False, loc="lower right", fontsize=10)
    plain(ax)
    return f"{y[0].upper()}{y[1:]} against {x}: {'; '.join(said)}."


def draw_paired_seeds(ax: Axes, differences: Sequence[float], clear: Sequence[bool], interval: Interval) -> str:
    """Draw the difference of two methods in points for every seed, in order of size, and the interval of the mean.

    `clear` says for every seed whether this one pair of networks would have counted as different.
    """
    order = np.argsort(differences, kind="stable")
    values, loud = np.asarray(differences)[order], np.asarray(clear)[order]
    places = np.arange(len(values))
    ax.axhline(0, color="black", linewidth=1)
    ax.axhspan(interval.low, interval.high, color=COLOURS["fine-tuned"], alpha=0.2, linewidth=0)
    ax.axhline(interval.mean, color=COLOURS["fine-tuned"], linewidth=2, label=f"mean {interval}")
    ax.plot(places[~loud], values[~loud], "o", color=GREY, markersize=8, label="McNemar: could be chance")
    ax.plot(places[loud], values[loud], "s", color=COLOURS["scratch"], markersize=9, label="McNemar: p < 0.05")
    ax.set_xticks([])
    ax.set_xlabel(f"{len(values)} seeds, in order of the difference")
    ax.set_ylabel("difference (points)")
    ax.legend(frameon=False, loc="lower right", fontsize=10)
    plain(ax)
    return (
        f"Difference of {len(values)} pairs, from {min(values):+.1f} to {max(values):+.1f} points; "
        f"{sum(values > 0)} are above 0, and {sum(clear)} would count as clear alone. Mean {interval}."
    )


def draw_progress(ax: Axes, histories: Mapping[str, History], goal: float) -> str:
    """Draw accuracy on validation after every epoch, one line a network, and a goal to reach, in percent."""
    for name, history in histories.items():
        percent = history.validation_accuracy
        ax.plot(range(1, len(percent) + 1), percent, linewidth=2, label=name, **STYLES[name])
    ax.axhline(goal, color=GREY, linestyle=":", linewidth=1.5)
    ax.annotate(f"goal: {goal:.0f} %", (1, goal + 2), fontsize=10, color=GREY)
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy on validation (%)")
    ax.set_ylim(0, 100)
    ax.legend(frameon=False, loc="lower right")
    plain(ax)
    ends = ", ".join(f"{name} {history.validation_accuracy[-1]:.0f} %" for name, history in histories.items())
    return f"Accuracy on validation after every epoch; in the end: {ends}."


def draw_saving(ax: Axes, trials: "pd.DataFrame", per_class: int, needed: LabelCount, accuracy: float) -> str:
    """Draw accuracy against labels per class, and an arrow from the labels of transfer to those that scratch needs."""
    lines(ax, trials[trials["start"] != "linear probe"], "per_class")
    ax.set_ylim(0, 102)
    ax.legend(frameon=False, loc="lower right")
    arrow = {"arrowstyle": "->", "color": "black", "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (needed.value, accuracy), (per_class, accuracy), arrowprops=arrow)
    text = f"{needed.value / per_class:.0f} times the labels"
    ax.annotate(text, (1.05 * per_class, accuracy - 7), fontsize=11)
    return f"Fine-tuned with {per_class} labels per class reaches what scratch reaches with {needed}."


def draw_guesses(ax: Axes, guesses: Sequence[Guessed]) -> str:
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
    return _describe_guesses(guesses)


def _marker(guess: Guessed) -> str:
    """A diamond for a number, a dot for a range that held, a cross for one that missed."""
    return "D" if not guess.is_range else "o" if guess.holds else "X"


def _describe_guesses(guesses: Sequence[Guessed]) -> str:
    ranges = [guess for guess in guesses if guess.is_range]
    high = sum(guess.off > 0 for guess in guesses)
    said = f"{len(guesses)} guesses beside what was measured: {high} too high, {len(guesses) - high} too low or exact."
    if not ranges:
        return said + " None of them was a range, so they do not say how sure you were."
    held = sum(guess.holds for guess in ranges)
    return f"{said} {held} of {len(ranges)} ranges held the value; ranges that are meant at 80 % should hold 8 in 10."
