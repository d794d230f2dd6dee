"""Pictures of notebook 04; each comes with the sentence that says what it shows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.calibration import reliability
from tlcourse.evaluation.intervals import Interval
from tlcourse.evaluation.predict import confident_mistakes
from tlcourse.exercises.prediction import Guessed
from tlcourse.lessons.nb04_evaluation.saliency_check import importance_maps
from tlcourse.notebook.evaluation_figures import draw_confusion, draw_reliability
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
    styles_of,
)

if TYPE_CHECKING:
    import pandas as pd

# the letters network is the fine-tuned one of the other notebooks
STYLES = {"letters": {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"]}}
NONE_YET = "No guess was compared with a measurement yet. Put numbers into a guess(...), and run that notebook."

Shown = tuple[Figure, str]  # a figure and its alt text


def confusion_figure(confusion: torch.Tensor, classes: Sequence[str], title: str) -> Shown:
    """Draw a confusion matrix."""
    figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
    said = draw_confusion(ax, confusion, classes)
    ax.set_title(title)
    return figure, said


def threshold_figure(positive: torch.Tensor, sure: Mapping[str, torch.Tensor]) -> Shown:
    """Draw ROC curves over the diagonal of guessing, and precision against recall; `sure` is `[N]` by network."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1, label="guessing")
    right.axhline(100 * positive.double().mean(), color=GREY, linestyle=":", linewidth=1, label="guessing")
    for name, style in styles_of(list(sure), STYLES).items():
        false, found, _ = roc_curve(positive, sure[name], drop_intermediate=False)
        precision, recall, _ = precision_recall_curve(positive, sure[name])
        drawn = {"color": style["color"], "linestyle": "--" if name == "scratch" else "-", "linewidth": 2}
        left.plot(100 * false, 100 * found, label=name, **drawn)
        right.plot(100 * recall, 100 * precision, label=name, **drawn)
    left.set(xlabel="false-positive rate (% of the others)", ylabel="true-positive rate (%)", title="ROC")
    right.set(xlabel="recall (%)", ylabel="precision (%)", title="precision and recall")
    for ax, place in ((left, "lower right"), (right, "lower left")):
        ax.set_ylim(0, 103)
        plain(ax).legend(frameon=False, loc=place)
    return figure, f"ROC curves, and curves of precision and recall, of {' and '.join(sure)}."


def line_figure(
    rows: "pd.DataFrame | list[dict[str, Any]]",
    x: str,
    y: str,
    by: str,
    *,
    title: str,
    level: tuple[float, str] | None = None,
    limits: tuple[float, float] | None = None,
    markers: bool = True,
    ticks: Sequence[float] = (),
) -> Shown:
    """Draw `y` against `x`, one line for each value of `by`; `level` is a line to compare with, and its name.

    With `ticks`, the axis of `x` is logarithmic, with these numbers on it.
    """
    figure, ax = plt.subplots(figsize=(9.5, 4), layout="constrained")
    if level:
        ax.axhline(level[0], color="black", linewidth=1, linestyle="--", label=level[1])
    names = list(dict.fromkeys(row[by] for row in rows)) if isinstance(rows, list) else list(rows[by].unique())
    styles = {name: STYLES.get(name, {}) | ({} if markers else {"marker": ""}) for name in names}
    said = lines(ax, rows, x, y, by, styles=styles)
    if ticks:
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    if limits:
        ax.set_ylim(limits)
    ax.set_title(title)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))  # beside the lines, never on them
    return figure, said


def interval_figure(intervals: Mapping[str, Interval], unit: str, zero: bool = False) -> Shown:
    """Draw intervals below each other, the first on top, with their numbers at the side; `zero` marks no difference."""
    figure, ax = plt.subplots(figsize=(9, 0.9 + 0.45 * len(intervals)), layout="constrained")
    for row, interval in enumerate(intervals.values()):
        spread = [[interval.mean - interval.low], [interval.high - interval.mean]]
        style = {"color": PALETTE[row % len(PALETTE)], "marker": SHAPES[row % len(SHAPES)], "markersize": 8}
        ax.errorbar(interval.mean, row, xerr=spread, capsize=6, linewidth=2.5, **style)
        beside = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 11, "annotation_clip": False}
        ax.annotate(str(interval), (1.02, row), **beside)
    if zero:
        ax.axvline(0, color=GREY, linewidth=1, linestyle="--")
    ax.set_yticks(range(len(intervals)), intervals)
    ax.set_ylim(len(intervals) - 0.5, -0.5)
    ax.set_xlabel(unit)
    plain(ax).grid(visible=False, axis="y")
    ax.grid(axis="x", color="#E5E5E5")
    text = ", ".join(f"{name} {interval}" for name, interval in intervals.items())
    return figure, f"95 % intervals of {unit}: {text}."


def seeds_figure(differences: Sequence[float], clear: Sequence[bool], interval: Interval, title: str) -> Shown:
    """Draw the difference of two methods in points for every seed, in order of size, and the interval of the mean.

    `clear` says for every seed whether this one pair of networks would have counted as different.
    """
    figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
    order = np.argsort(differences, kind="stable")
    values, loud = np.asarray(differences)[order], np.asarray(clear)[order]
    places = np.arange(len(values))
    ax.axhline(0, color="black", linewidth=1)
    ax.axhspan(interval.low, interval.high, color=COLOURS["fine-tuned"], alpha=0.2, linewidth=0)
    ax.axhline(interval.mean, color=COLOURS["fine-tuned"], linewidth=2, label=f"mean {interval}")
    ax.plot(places[~loud], values[~loud], "o", color=GREY, markersize=8, label="McNemar: could be chance")
    ax.plot(places[loud], values[loud], "s", color=COLOURS["scratch"], markersize=9, label="McNemar: p < 0.05")
    ax.set_xticks([])
    ax.set(xlabel=f"{len(values)} seeds, in order of the difference", ylabel="difference (points)", title=title)
    plain(ax).legend(frameon=False, loc="lower right", fontsize=10)
    return figure, (
        f"Difference of {len(values)} pairs, from {min(values):+.1f} to {max(values):+.1f} points; "
        f"{sum(values > 0)} are above 0, and {sum(clear)} would count as clear alone. Mean {interval}."
    )


def reliability_figure(logits: Mapping[str, torch.Tensor], labels: torch.Tensor) -> Shown:
    """Draw for each network how often it is right at each confidence."""
    figure, axes = plt.subplots(1, len(logits), figsize=(5 * len(logits), 4.2), layout="constrained")
    said = []
    for ax, (name, values) in zip(axes, logits.items(), strict=True):
        bins = reliability(values, labels)
        said.append(draw_reliability(ax, bins, name))
        ax.set_title(f"{name}: error {bins.error:.1f} points")
    return figure, " ".join(said)


def maps_figure(network: nn.Module, logits: torch.Tensor, data: ImageSet, count: int = 8) -> Shown:
    """Draw the mistakes of which a network is surest, and below them three maps of what matters, bright where it does.

    Below each image stands what it was taken for, what it is, and how sure the network was: `9, not 7: 98 %`.
    """
    worst = confident_mistakes(logits, data.labels, count)
    data, (sure, taken_for) = data.subset(worst), logits[worst].softmax(1).max(1)
    maps = importance_maps(network, data.images, taken_for)
    captions = [
        f"{data.classes[answer]}, not {data.classes[label]}: {share:.0f} %"
        for answer, label, share in zip(taken_for.tolist(), data.labels.tolist(), (100 * sure).tolist(), strict=True)
    ]
    rows = {"confident mistakes: answer, right class": data.images}
    rows |= {f"{kind} (yellow: much)": as_pictures(values) for kind, values in maps.items()}
    figure, axes = plt.subplots(len(rows), 1, figsize=(10, 7), layout="constrained")
    for ax, (title, images) in zip(axes, rows.items(), strict=True):
        draw_images(ax, images, len(data), captions if images is data.images else [""] * len(data))
        ax.set_title(title, loc="left")
    return figure, f"Confident mistakes ({'; '.join(captions)}), and maps of each by {', '.join(maps)}."


def as_pictures(maps: torch.Tensor) -> torch.Tensor:
    """Turn maps `[N, H, W]` into uint8 images `[N, 3, H, W]`, each from its lowest to its highest value."""
    lowest, highest = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    bright = (255 * (maps - lowest) / (highest - lowest).clamp(min=1e-12)).to(torch.uint8)
    colours = 255 * colormaps["cividis"](bright.numpy())[..., :3]  # [N, H, W, 3]; its brightness rises evenly
    return torch.from_numpy(colours.astype(np.uint8)).permute(0, 3, 1, 2)


def saving_figure(trials: "pd.DataFrame", per_class: int, needed: float) -> Shown:
    """Draw accuracy against labels per class, and an arrow from the labels of transfer to those that scratch needs."""
    figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
    lines(ax, trials[trials["start"] != "linear probe"], "per_class")
    tuned = trials[(trials["start"] == "fine-tuned") & (trials["per_class"] == per_class)]["accuracy"].mean()
    arrow = {"arrowstyle": "->", "color": "black", "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (needed, tuned), (per_class, tuned), arrowprops=arrow)
    ax.annotate(f"{needed / per_class:.1f} times the labels", (1.05 * per_class, tuned - 7), fontsize=11)
    ax.legend(frameon=False, loc="lower right")
    said = f"Fine-tuned with {per_class} labels per class reaches what scratch reaches with about {needed:.0f}."
    ax.set_title(said, fontsize=11)
    return figure, said


def guesses_figure(guesses: Sequence[Guessed]) -> Shown:
    """Draw how far every guess was off."""
    figure, ax = plt.subplots(figsize=(9, 1.4 + 0.35 * len(guesses)), layout="constrained")
    return figure, draw_guesses(ax, guesses)


def draw_guesses(ax: Axes, guesses: Sequence[Guessed]) -> str:
    """Draw how far every guess was off; measured values are on the line at 0.

    A diamond is a number, a bar a range: with a dot where it holds the value, with a cross where it misses it.
    Returns two sentences that say which way the guesses lean, and whether the ranges were wide enough.
    """
    if not guesses:
        ax.text(0.5, 0.5, NONE_YET, ha="center", va="center", transform=ax.transAxes, wrap=True, fontsize=11)
        ax.set_axis_off()
        return NONE_YET
    for row, guess in enumerate(guesses):
        colour = GREY if not guess.is_range else RIGHT if guess.holds else WRONG
        marker = "D" if not guess.is_range else "o" if guess.holds else "X"
        ax.plot([guess.low - guess.measured, guess.high - guess.measured], [row, row], color=colour, linewidth=7)
        ax.plot(guess.off, row, marker, color=colour, markeredgecolor="black", markersize=8)
    ax.axvline(0, color="black", linewidth=1)
    names = [f"{guess.prediction.partition('.')[0]} · {guess.thing}, {guess.unit}" for guess in guesses]
    ax.set_yticks(range(len(guesses)), names, fontsize=10)
    ax.set_ylim(len(guesses) - 0.5, -0.5)
    ax.set_xlabel("guess minus measured, in the unit of the row")
    ax.set_title("◄ too low      exactly right at 0      too high ►", fontsize=11)
    return _describe_guesses(guesses)


def _describe_guesses(guesses: Sequence[Guessed]) -> str:
    ranges = [guess for guess in guesses if guess.is_range]
    high = sum(guess.off > 0 for guess in guesses)
    said = f"{len(guesses)} guesses beside what was measured: {high} too high, {len(guesses) - high} too low or exact."
    if not ranges:
        return said + " None of them was a range, so they do not say how sure you were."
    held = sum(guess.holds for guess in ranges)
    return f"{said} {held} of {len(ranges)} ranges held the value; ranges that are meant at 80 % should hold 8 in 10."
