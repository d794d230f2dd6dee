"""Pictures of notebook 09; each comes with the sentence that says what it shows."""

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb09_many_tasks.directions import directions, draw_arrows, draw_gains, in_words
from tlcourse.lessons.nb09_many_tasks.handwriting import ALONE
from tlcourse.lessons.nb09_many_tasks.handwriting import BESIDE as BESIDE_LETTERS
from tlcourse.lessons.nb09_many_tasks.ways import EQUAL, SEPARATE, TASKS, WAYS
from tlcourse.multitask.disagreement import WHOLE
from tlcourse.notebook.figures import GREY, PALETTE, dots, draw_images, lines

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture
CHANGE = "change of the error, in % of that of guessing (below 0: sharing helps)"
SHARE = "error, in % of that of separate networks"
NAMES = {"weight": ("regular", "bold"), "slant": ("upright", "slanted"), "serif": ("sans", "serif")}

Shown = tuple[Figure, str]  # a figure and its alt text


def tasks_figure(data: ImageSet, columns: int = 8) -> Shown:
    """Draw images over their answers to the five tasks."""
    captions = []
    for place in range(columns):
        kinds = [NAMES[name][int(data.attributes[name][place])] for name in NAMES]
        label, angle = data.classes[data.labels[place]], data.attributes["angle"][place].item()
        captions.append("\n".join([label, *kinds, f"{angle:.0f}°"]))
    figure, ax = plt.subplots(figsize=(9, 2.1), layout="constrained")
    draw_images(ax, data.images[:columns], columns, captions, room=28)
    said = "; ".join(caption.replace("\n", ", ") for caption in captions)
    return figure, f"{columns} printed digits with class, weight, slant, serif and angle: {said}."


def directions_figure(rows: torch.Tensor) -> Shown:
    """Draw two gradients `[2, 2]`, where each rule goes, and what that does for either task."""
    figure, (arrows, bars) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
    found = directions(rows)
    draw_arrows(arrows, rows, found)
    draw_gains(bars, rows, found)
    return figure, in_words(rows, found)


def by_task(rows: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Turn rows of trials into one for each task, with `share`: its error in % of the reference's mean error."""
    long = rows.melt(["way", "seed"], TASKS, "task", "error")
    return long.assign(share=100 * long["error"] / long["task"].map(reference[list(TASKS)].mean()))


def trunk_figure(rows: pd.DataFrame, live: pd.DataFrame | None = None) -> Shown:
    """Draw the errors of one trunk and of five networks, task by task."""
    reference = rows[rows["way"] == SEPARATE]
    both = by_task(rows[rows["way"].isin([SEPARATE, EQUAL])], reference)
    figure, ax = plt.subplots(figsize=(8.5, 3.6), layout="constrained")
    styles = {SEPARATE: {"color": GREY, "marker": "o"}, EQUAL: {"color": BLUE, "marker": "s"}}
    mine = None if live is None else by_task(live, reference)
    said = dots(ax, both, "share", "task", "way", order=TASKS, styles=styles, live=mine)
    ax.axvline(100, color=GREY, linestyle=":")
    ax.set(xlabel=SHARE, title="one trunk and five networks, test pool (lower is better)")
    ax.legend(**BESIDE)
    return figure, said


def ways_figure(rows: pd.DataFrame) -> Shown:
    """Draw what every way of weighing reaches, as the mean over tasks of the error in % of guessing."""
    figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
    order = [name for name in WAYS if name in set(rows["way"])]
    said = dots(ax, rows, "normalised", "way", seeds=True, order=order)
    ax.set(xlabel="mean over tasks of the error, in % of that of guessing")
    ax.set_title("six ways to serve five tasks (lower is better)")
    return figure, said


def cosines_figure(rows: pd.DataFrame) -> Shown:
    """Draw the mean cosine of all pairs over time, for three stages; and that of every pair at the last look."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    means = rows.groupby(["seed", "updates", "stage"], sort=False)["cosine"].mean().reset_index()
    shown = means[means["stage"].isin(["stem", "block4", WHOLE])]  # six would hide each other
    said = lines(left, shown, "updates", "cosine", "stage")
    left.axhline(0, color="black", linewidth=1)
    left.set(ylabel="cosine, mean of all pairs of tasks", title="on the way")
    last = rows[(rows["updates"] == rows["updates"].max()) & (rows["stage"] == WHOLE)]
    order = last.groupby("pair")["cosine"].mean().sort_values(ascending=False).index
    drawn = dots(right, last.assign(hundredths=100 * last["cosine"]), "hundredths", "pair", seeds=True, order=order)
    right.axvline(0, color="black", linewidth=1)
    right.set(xlabel="cosine in hundredths, whole trunk", title=f"after {rows['updates'].max()} updates")
    return figure, f"{said} {drawn}"


def few_figure(rows: pd.DataFrame) -> Shown:
    """Draw by how much the error of each task with few answers changes beside all others; rows are `changes`."""
    figure, ax = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
    named = rows.assign(answers=[f"{labels} answers" for labels in rows["labels"]])
    styles = {"50 answers": {"color": ORANGE, "marker": "s"}, "200 answers": {"color": BLUE, "marker": "o"}}
    said = dots(ax, named, "change", "main", "answers", order=TASKS, styles=styles)
    ax.axvline(0, color="black", linewidth=1)
    ax.set(xlabel=CHANGE, ylabel="task with few answers", title="beside all four others")
    ax.legend(**BESIDE)
    return figure, said


def letters_figure(rows: pd.DataFrame) -> Shown:
    """Draw what a few handwritten digits teach from random weights, alone and beside printed letters."""
    figure, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
    named = rows.assign(labels=[f"{count} labels per class" for count in rows["per_class"]])
    styles = {ALONE: {"color": GREY, "marker": "o"}, BESIDE_LETTERS: {"color": BLUE, "marker": "s"}}
    said = dots(ax, named, "accuracy", "labels", "beside", styles=styles)
    ax.set(title="handwritten digits from random weights")
    ax.legend(**BESIDE)
    return figure, said


def sources_figure(rows: pd.DataFrame) -> Shown:
    """Draw what trunks that learned one task or five make of a few handwritten digits, the head alone learning."""
    figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
    drawn = {"the class alone": (GREY, "o"), "all five tasks": (BLUE, "s"), "all but the class": (ORANGE, "^")}
    styles = {name: {"color": colour, "marker": marker} for name, (colour, marker) in drawn.items()}
    said = lines(ax, rows, "per_class", by="source", styles=styles)
    ax.set(title="a linear probe of trunks that learned printed letters", ylim=(0, 101))
    ax.legend(title="learned before", frameon=False)
    return figure, said
