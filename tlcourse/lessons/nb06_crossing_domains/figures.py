"""Pictures of notebook 06; each comes with the sentence that says what it shows."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from tlcourse.data.worlds import load
from tlcourse.lessons.nb06_crossing_domains.cases import SOURCE, TARGET
from tlcourse.lessons.nb06_crossing_domains.choosing import BY_LOT
from tlcourse.lessons.nb06_crossing_domains.experiment import ADABN, ALL, LABELLED, ON, SHIFTS, START
from tlcourse.notebook.figures import GREY, PALETTE, dots, draw_images, lines, plain
from tlcourse.notebook.results import as_dict, intervals

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
# the same colour for methods of one idea: grey for none, blue for aligned features, orange and green for the answers
STYLES = {
    START: {"color": GREY, "marker": "o"},
    ADABN: {"color": GREY, "marker": "s", "linestyle": "--"},
    ON: {"color": GREY, "marker": "^", "linestyle": ":"},
    "CORAL": {"color": BLUE, "marker": "D"},
    "MMD": {"color": SKY, "marker": "v"},
    "DANN": {"color": BLUE, "marker": "X", "linestyle": "--"},
    "CDAN": {"color": SKY, "marker": "<", "linestyle": "--"},
    "MCC": {"color": ORANGE, "marker": "P"},
    "self-training": {"color": GREEN, "marker": "h"},
    "consistency": {"color": YELLOW, "marker": ">"},
    "MCC + consistency": {"color": PINK, "marker": "*", "linestyle": "--", "markersize": 9},
    LABELLED: {"color": "black", "marker": "d"},
}
ON_THE_DIAL = (START, ADABN, "CORAL", "DANN", "MCC", "self-training", "MCC + consistency", LABELLED)
HALVES = {"shift 0": {"color": BLUE, "marker": "o"}, "shift 0.5": {"color": ORANGE, "marker": "s"}}
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture
LABELS = {"1 label per class": {"color": PINK, "marker": "v"}, "5 labels per class": {"color": BLUE, "marker": "o"}}
CASE_TITLES = {
    "plain": "no photograph",
    "two sources": "two sources",
    "letters too": "35 classes too many",
    "rare classes": "five classes are rare",
    "half the classes": "five classes are absent",
}

Shown = tuple[Figure, str]  # a figure and its alt text


def domains_figure(columns: int = 12) -> Shown:
    """Draw images of the source, and the target at five positions of the dial, a row each."""
    rows = {"source: printed, one photograph": load(SOURCE, count=columns).images}
    for shift in SHIFTS:
        title = "target: handwritten, another photograph" if shift == 0 else f"target, shift {shift:g}"
        rows[title] = load(TARGET, shift=shift, count=columns).images
    figure, axes = plt.subplots(len(rows), 1, figsize=(8, 0.95 * len(rows)), layout="constrained")
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        draw_images(ax, images, columns).set_title(name, loc="left", fontsize=10)
    return figure, f"{columns} images each of: {'; '.join(rows)}."


def dial_figure(rows: pd.DataFrame, methods: Sequence[str] = ON_THE_DIAL, live: pd.DataFrame | None = None) -> Shown:
    """Draw accuracy on the target against its shift, a line a method."""
    figure, ax = plt.subplots(figsize=(9.5, 5), layout="constrained")
    chosen = pd.concat([rows[rows["method"] == name] for name in methods])
    said = lines(ax, chosen, "shift", by="method", styles=STYLES, live=live)
    ax.set(xlabel="shift of the target (0 to 1)", title="no label of the target but for the black line", xticks=SHIFTS)
    ax.legend(**BESIDE)
    return figure, said


def headline_figure(rows: pd.DataFrame, live: pd.DataFrame | None = None) -> Shown:
    """Draw what every method reaches where the dial begins and half way along it."""
    figure, ax = plt.subplots(figsize=(9.5, 5.6), layout="constrained")
    mine = None if live is None else named_by_shift(live)
    said = dots(ax, named_by_shift(rows), "accuracy", "method", "place", order=ALL, styles=HALVES, live=mine)
    ax.set_title("one start, and 400 updates where there is training")
    ax.legend(**BESIDE)
    return figure, said


def named_by_shift(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the column `place`, which says in words where the dial stands."""
    return rows.assign(place=[f"shift {shift:g}" for shift in rows["shift"]])


def cases_figure(rows: pd.DataFrame) -> Shown:
    """Draw what every method reaches on the other pairs of domains, with a line for the source alone."""
    figure, axes = plt.subplots(1, len(CASE_TITLES), figsize=(11, 4.8), layout="constrained", sharey=True)
    said = []
    for ax, (case, title) in zip(axes, CASE_TITLES.items(), strict=True):
        found = as_dict(intervals(rows[rows["case"] == case], by="method"))
        for place, name in enumerate(ALL):
            mean, low, high = found[name].mean, found[name].low, found[name].high
            style = {"linestyle": "none", "color": STYLES[name]["color"], "marker": STYLES[name]["marker"]}
            ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], capsize=3, **style)
        ax.axvline(found[START].mean, color=GREY, linewidth=1, linestyle="--")
        ax.set(xlim=(20, 105), xlabel="accuracy (%)", xticks=(25, 50, 75))
        ax.set_title(title.replace(" are ", "\nare ").replace(" classes too", " classes\ntoo"), fontsize=11)
        plain(ax).grid(axis="x", color="#E5E5E5")
        means = ", ".join(f"{name} {found[name].mean:.1f}" for name in ALL)
        said.append(f"{title}: {means}")
    axes[0].set_yticks(range(len(ALL)), ALL)
    axes[0].set_ylim(len(ALL) - 0.4, -0.6)
    return figure, f"Mean accuracy on the test pool (%). {'. '.join(said)}."


def choices_figure(picked: pd.DataFrame) -> Shown:
    """Draw how many points each way to choose without target labels loses against the best candidate."""
    figure, ax = plt.subplots(figsize=(8.5, 3.6), layout="constrained")
    order = [name for name in picked["choice"].unique() if name != BY_LOT]
    said = dots(ax, picked, "lost", "choice", order=[*order, BY_LOT])
    ax.set(
        xlabel="points lost against the best of eleven", xlim=(0, None), title="choosing without a label of the target"
    )
    return figure, said.replace("Mean lost", "Mean points lost")


def few_labels_figure(rows: pd.DataFrame, without: float) -> Shown:
    """Draw what a few labels of the target bring, with a line for the best method without any."""
    figure, ax = plt.subplots(figsize=(9, 3.9), layout="constrained")
    named = rows.assign(labels=[f"{k} label{'s' * (k > 1)} per class" for k in rows["per_class"]])
    said = dots(ax, named, "accuracy", "way", "labels", styles=LABELS)
    ax.axvline(without, color=ORANGE, linestyle="--", linewidth=1.5, label="MCC, no label")
    ax.set_title("shift 0.5, with a few labels of the target")
    ax.legend(**BESIDE)
    return figure, f"{said} MCC without any label: {without:.1f}."
