"""Pictures of corruptions, ways to learn and answer, the line between networks, and stages; each with its sentence."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb11_robustness.alpha import ANEW, AVERAGED
from tlcourse.lessons.nb11_robustness.conditions import KINDS, MIDDLE, corrupted
from tlcourse.lessons.nb11_robustness.experiment import ADABN, FULL, STATISTICS, WISE
from tlcourse.lessons.nb11_robustness.learning import LORA, LP_FT, SOURCE, TUNED
from tlcourse.lessons.nb11_robustness.stages import PARTS
from tlcourse.notebook.figures import AXES, GREY, PALETTE, dots, draw_images, lines, plain

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture
DIAL = "shift, the position of the dial"
STYLES = {
    SOURCE: {"color": GREY, "marker": "P"},
    LP_FT: {"color": GREEN, "marker": "D"},
    LORA: {"color": PINK, "marker": "v"},
    ADABN: {"color": "black", "marker": "X", "linestyle": "--"},
    WISE: {"color": YELLOW, "marker": "*"},
    STATISTICS: {"color": "black", "marker": "X", "linestyle": "--"},
}
LEARNERS = FULL[:7]  # those that answer in the plain way
CLEAN, WORSE = "clean", f"severity {MIDDLE}"

Shown = tuple[Figure, str]  # a figure and its alt text


def corruptions_figure(data: ImageSet, image: int = 0) -> Shown:
    """Draw one image under every kind of corruption, clean on the left, the severities after it."""
    figure, axes = plt.subplots(len(KINDS), 1, figsize=(5.6, 6.4), layout="constrained")
    one = data.subset(torch.tensor([image]))
    for ax, kind in zip(axes, KINDS, strict=True):
        row = torch.cat([corrupted(one, kind, severity).images for severity in range(6)])
        draw_images(ax, row, 6)
        ax.text(-2, 16, kind, ha="right", va="center", fontsize=11)
    digit = data.classes[int(one.labels[0])]
    return figure, f"A handwritten {digit}: a row for each of {', '.join(KINDS)}; clean, then severities 1 to 5."


def severities_figure(rows: pd.DataFrame, dial: pd.DataFrame) -> Shown:
    """Draw how the ways to learn fall with the severity of corruptions, their mean, and along the dial."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained", sharey=True)
    said = lines(left, rows[rows["way"].isin(LEARNERS)], "severity", by="way", styles=STYLES)
    left.set(title="seven corruptions, the mean", ylim=(0, 101), xlabel="severity (0 is clean)")
    left.get_legend().remove()
    moved = dial[dial["way"].isin(LEARNERS)].rename(columns={"shift": DIAL})
    told = lines(right, moved, DIAL, by="way", styles=STYLES, apart=0.014)
    right.set(title="along the dial", ylabel="")
    right.legend(**BESIDE)
    return figure, f"Corruptions. {said} The dial. {told}"


def kinds_figure(rows: pd.DataFrame) -> Shown:
    """Draw the same along each kind of corruption, a panel each; bands would lie on each other, and are left out."""
    figure, axes = plt.subplots(2, 4, figsize=(10.5, 4.8), layout="constrained", sharex=True, sharey=True)
    means = rows[rows["way"].isin(LEARNERS)].groupby(["way", "severity"], sort=False)[list(KINDS)].mean().reset_index()
    said = []
    for ax, kind in zip(axes.flat, KINDS, strict=False):
        lines(ax, means, "severity", kind, "way", styles=STYLES)
        ax.get_legend().remove()
        ax.set(title=kind, xlabel="", ylabel="", ylim=(0, 101), xticks=range(6))
        last = means[means["severity"] == 5].set_index("way")[kind]
        said.append(f"{kind}: {', '.join(f'{way} {last[way]:.0f}' for way in LEARNERS)}")
    axes[1, 3].set_axis_off()
    axes[1, 3].legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="center")
    figure.supxlabel("severity (0 is clean)", fontsize=11)
    figure.supylabel(AXES["accuracy"], fontsize=11)
    return figure, f"Mean accuracy in percent under severity 5. {'; '.join(said)}."


def recipes_figure(rows: pd.DataFrame, ways: tuple[str, ...]) -> Shown:
    """Draw ways to learn and to answer, a row each: clean, and under corruptions of severity 3."""
    figure, ax = plt.subplots(figsize=(8.5, 0.42 * len(ways) + 1.2), layout="constrained")
    shown = rows[rows["severity"].isin([0, MIDDLE]) & rows["way"].isin(ways)]
    shown = shown.assign(images=shown["severity"].map({0: CLEAN, MIDDLE: WORSE}))
    styles = {CLEAN: {"color": BLUE, "marker": "o"}, WORSE: {"color": ORANGE, "marker": "s"}}
    said = dots(ax, shown, "accuracy", "way", "images", order=ways, styles=styles)
    ax.legend(**BESIDE)
    plainly = shown.loc[(shown["way"] == TUNED) & (shown["images"] == WORSE), "accuracy"].mean()
    ax.axvline(plainly, color=GREY, linestyle=":")
    ax.set(xlim=(60, 100))
    return figure, said


def line_figure(rows: pd.DataFrame) -> Shown:
    """Draw the line between two networks: left clean and corrupted, with either kind of statistics; right by kind."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained", sharey=True)
    whole = rows.drop(columns="half").groupby([*("source", "per_class", "seed", "alpha", "statistics")], sort=False)
    whole = whole.mean().reset_index()
    parts = {
        "clean": (ANEW, "clean"),
        "corrupted": (ANEW, "accuracy"),
        "corrupted, statistics averaged": (AVERAGED, "accuracy"),
    }
    drawn = []
    for name, (statistics, column) in parts.items():
        some = whole[whole["statistics"] == statistics]
        drawn.append(some[["seed", "alpha"]].assign(what=name, accuracy=some[column]))
    styles = {
        "clean": {"color": BLUE, "marker": "o"},
        "corrupted": {"color": ORANGE, "marker": "s"},
        "corrupted, statistics averaged": {"color": GREY, "marker": "^", "linestyle": "--"},
    }
    said = lines(left, pd.concat(drawn), "alpha", by="what", styles=styles)
    left.set(title="clean, and the mean of seven corruptions", xlabel="alpha (0: source, 1: fine-tuned)")
    told = []
    anew = whole[whole["statistics"] == ANEW]
    colours = [*PALETTE, "black"]
    for kind, colour in zip(KINDS, colours, strict=True):
        means = anew.groupby("alpha")[kind].mean()
        right.plot(means.index, means, color=colour, linewidth=2, label=kind)
        right.plot(means.idxmax(), means.max(), "o", color=colour, markersize=7)
        told.append(f"{kind} best at {means.idxmax():g} with {means.max():.1f}")
    right.set(title="each corruption; dots where it is best", xlabel="alpha")
    right.legend(**BESIDE)
    plain(right)
    return figure, f"{said} By kind: {'; '.join(told)}."


def stages_figure(rows: pd.DataFrame) -> Shown:
    """Draw the accuracy after a part has learned again, a column each, for every change; the best of each is framed."""
    table = rows.groupby(["change", "part"], sort=False)["accuracy"].mean().unstack()[list(PARTS)]
    figure, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
    ax.imshow(table, cmap="Blues", vmin=0, vmax=130, aspect="auto")  # pale enough for dark numbers
    best = table.to_numpy().argmax(1)
    for row, column in np.ndindex(*table.shape):
        heavy = "bold" if column == best[row] else "normal"
        ax.text(column, row, f"{table.iloc[row, column]:.0f}", ha="center", va="center", fontsize=11, weight=heavy)
    for row, column in enumerate(best):
        frame = plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.5)
        ax.add_patch(frame)
    ax.set_xticks(range(len(table.columns)), table.columns)
    ax.set_yticks(range(len(table)), table.index)
    ax.set(xlabel="what learns again from five labels a class", title=AXES["accuracy"])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    found = [
        f"{change}: {table.columns[column]} {table.iloc[row, column]:.0f}"
        for row, (change, column) in enumerate(zip(table.index, best, strict=True))
    ]
    return figure, f"Mean accuracy; the best part for each change is {'; '.join(found)}."
