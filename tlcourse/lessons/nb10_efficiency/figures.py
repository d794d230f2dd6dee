"""Pictures of notebook 10; each comes with the sentence that says what it shows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.lessons.nb10_efficiency.plane import COSTS, on_the_front
from tlcourse.lessons.nb10_efficiency.smaller import MASKED, REMOVED, TEACHER, TRAINED_ON
from tlcourse.lessons.nb10_efficiency.ways import ADAPTERS, BITFIT, FULL, PER_CLASS, PROBE, RANK1, RANK4
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, PALETTE, dots, lines, plain

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
STYLES = {
    PROBE: {"color": COLOURS[PROBE], "marker": MARKERS[PROBE]},
    BITFIT: {"color": GREEN, "marker": "D"},
    ADAPTERS: {"color": PINK, "marker": "v"},
    RANK1: {"color": YELLOW, "marker": "P"},
    RANK4: {"color": ORANGE, "marker": "s"},
    FULL: {"color": COLOURS[FULL], "marker": MARKERS[FULL]},
}

Shown = tuple[Figure, str]  # a figure and its alt text


def roofline_figure(layers: pd.DataFrame, compute: float, memory: float) -> Shown:
    """Draw every layer below the roof: what the processor multiplies at most, and what memory lets it.

    `compute` and `memory` are billion multiply-adds and billion bytes a second, `layers` is what `layers_measured` has.

    Source: Williams, Waterman and Patterson, "Roofline: An insightful visual performance model for multicore
    architectures", 2009, Communications of the ACM.
    """
    figure, ax = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
    x = np.geomspace(0.5, 200, 200)
    ax.plot(x, np.minimum(compute, memory * x), color="black", label="roof, as measured")
    ax.axvline(compute / memory, color=GREY, linestyle=":", label="left: memory limits; right: multiplying")
    kinds = {"3x3 convolutions": (BLUE, "o"), "1x1 convolutions": (ORANGE, "s"), "head": (GREEN, "D")}
    for kind, (colour, marker) in kinds.items():
        some = layers[layers["layer"].map(_kind) == kind]
        ax.plot(some["intensity"], some["rate"], linestyle="none", color=colour, marker=marker, label=kind)
    ax.set(xscale="log", yscale="log", title="14 layers on a batch of 50, forward")
    ax.set(xlabel="multiply-adds a byte that moves", ylabel="billion multiply-adds a second")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    plain(ax)
    best, worst = layers.loc[layers["rate"].idxmax()], layers.loc[layers["rate"].idxmin()]
    return figure, (
        f"Roof: {compute:.0f} billion multiply-adds and {memory:.0f} billion bytes a second. The fastest layer, "
        f"{best['layer']}, gets to {best['rate']:.0f}, the slowest, {worst['layer']}, to {worst['rate']:.1f}."
    )


def _kind(layer: str) -> str:
    if layer == "head":
        return "head"
    return "1x1 convolutions" if "shortcut" in layer else "3x3 convolutions"


def stages_figure(spent: pd.DataFrame) -> Shown:
    """Draw what share of each cost every stage has; `spent` is what `stages_spent` has."""
    shares = 100 * spent.set_index("stage") / spent.drop(columns="stage").sum().to_numpy()
    figure, ax = plt.subplots(figsize=(8.5, 3), layout="constrained")
    left = np.zeros(shares.shape[1])
    for (stage, row), colour in zip(shares.iterrows(), (*PALETTE[:5], GREY), strict=True):
        ax.barh(shares.columns, row, left=left, color=colour, edgecolor="white", label=stage)
        left += row.to_numpy()
    ax.invert_yaxis()
    ax.set(xlabel="share of the network (%)", xlim=(0, 100), title="What each stage takes")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    plain(ax)
    most = {name: f"{column.idxmax()} {column.max():.0f} %" for name, column in shares.items()}
    return figure, "Largest share: " + "; ".join(f"{name}, {share}" for name, share in most.items()) + "."


def ways_figure(rows: pd.DataFrame, live: pd.DataFrame | None = None) -> Shown:
    """Draw the accuracy of every way, with 5 and with 50 labels per class."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
    said = []
    for ax, per_class in zip(axes, PER_CLASS, strict=True):
        some = rows[rows["per_class"] == per_class]
        mine = None if live is None else live[live["per_class"] == per_class]
        said.append(dots(ax, some, "accuracy", "way", live=mine, seeds=True))
        ax.set_title(f"{per_class} labels per class")
    return figure, " ".join(f"{per_class} labels: {text}" for per_class, text in zip(PER_CLASS, said, strict=True))


def draw_plane(ax: Axes, places: pd.DataFrame, cost: str, reachable: pd.DataFrame | None = None) -> str:
    """Draw accuracy against a cost, one point a way, out of reach in grey; return what is on the front."""
    front = places[on_the_front(places, cost)].sort_values(cost)
    ax.step(front[cost], front["mean"], where="post", color=GREY, linewidth=1, linestyle="--", label="front")
    for _, one in places.iterrows():
        grey = reachable is not None and one["way"] not in set(reachable["way"])
        style = STYLES[one["way"]] | ({"color": "#BBBBBB"} if grey else {})
        reach = [[one["mean"] - one["low"]], [one["high"] - one["mean"]]]
        ax.errorbar(
            [one[cost]], [one["mean"]], reach, capsize=3, markersize=8, label=one["way"], linestyle="none", **style
        )
    ax.set(xlabel=COSTS[cost], ylabel="accuracy, test pool (%)")
    if cost == "seconds":  # all but the probe within a factor of two, which a logarithmic axis would put in a heap
        ax.set_xlim(left=-0.3)
    else:
        ax.set_xscale("log")
    plain(ax)
    said = [f"{way} {mean:.1f} %" for way, mean in zip(front["way"], front["mean"], strict=True)]
    return ", ".join(said)


def plane_figure(places: pd.DataFrame, cost: str = "megabytes") -> Shown:
    """Draw the plane of a cost and accuracy, with 5 and with 50 labels per class."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    said = []
    for ax, per_class in zip(axes, PER_CLASS, strict=True):
        front = draw_plane(ax, places[places["per_class"] == per_class], cost)
        said.append(f"{per_class} labels, on the front: {front}")
        ax.set_title(f"{per_class} labels per class")
    axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure, f"Accuracy against {COSTS[cost]}. {'; '.join(said)}."


def smaller_figure(rows: pd.DataFrame) -> Shown:
    """Draw the accuracy of the teacher and of all that is smaller without being cut."""
    figure, ax = plt.subplots(figsize=(8.5, 3.2), layout="constrained")
    said = dots(ax, rows[rows["share"] == 0], "accuracy", "network", seeds=True)
    return figure, said


def cut_figure(rows: pd.DataFrame) -> Shown:
    """Draw what is left when growing shares of the weights or channels go."""
    figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
    whole = rows[rows["network"] == TEACHER]
    cuts = [whole.assign(network=name) for name in (MASKED, REMOVED, TRAINED_ON)] + [rows[rows["share"] > 0]]
    shown = pd.concat(cuts).assign(percent=lambda frame: 100 * frame["share"])
    said = lines(ax, shown, "percent", by="network")
    ax.set(xlabel="weights or inner channels that went (%)", ylim=(0, 102), title="Cutting a fine-tuned network")
    return figure, said
