"""The picture of the result: how many times as long everybody takes, and how the course's cost grows."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peers.table import summary
from benchmarks.peers.workloads import CONTESTANTS, COURSE, WORKLOADS
from tlcourse.notebook.figures import GREY, PALETTE, SHAPES, plain

PEERS = [name for name in CONTESTANTS if name != COURSE]
STYLES = dict(zip(PEERS, zip(PALETTE, SHAPES, strict=False), strict=False))


def draw(rows: pd.DataFrame, growth: pd.DataFrame | None = None) -> Figure:
    """Draw the ratios of all workloads, and beside them time and memory against size."""
    columns = 1 if growth is None else 2
    figure = plt.figure(figsize=(7.5 * columns, 7), layout="constrained")
    grid = figure.add_gridspec(2, columns, width_ratios=[1.3, 1][:columns])
    draw_ratios(figure.add_subplot(grid[:, 0]), summary(rows))
    if growth is not None:
        draw_growth(figure.add_subplot(grid[0, 1]), growth, "seconds", "time (s)")
        draw_growth(figure.add_subplot(grid[1, 1]), growth, "memory", "largest memory (MiB)")
    return figure


def draw_ratios(ax: Axes, found: pd.DataFrame) -> None:
    workloads = list(found["workload"].unique())
    for place, name in enumerate(PEERS):
        colour, marker = STYLES[name]
        mine = found[found["contestant"] == name]
        if mine.empty:
            continue
        shift = (place - (len(PEERS) - 1) / 2) * 0.8 / len(PEERS)
        heights = [workloads.index(workload) + shift for workload in mine["workload"]]
        mean = mine["ratio_mean"]
        reach = [(mean - mine["ratio_low"]).fillna(0), (mine["ratio_high"] - mean).fillna(0)]
        ax.errorbar(mean, heights, xerr=reach, color=colour, marker=marker, linestyle="none", capsize=3, label=name)
    ax.axvline(1, color="black", linewidth=1)
    ax.annotate("the course", (1, -0.62), ha="center", va="bottom", fontsize=10, annotation_clip=False)
    for between in range(1, len(workloads)):
        ax.axhline(between - 0.5, color=GREY, linewidth=0.5, alpha=0.4)
    ax.set_yticks(range(len(workloads)), [WORKLOADS[workload].title for workload in workloads], fontsize=11)
    ax.set_ylim(len(workloads) - 0.5, -0.5)
    ax.set_xscale("log")
    ticks = [tick for tick in (0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12) if tick < found["ratio_mean"].max() * 1.4]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("times as long as the course (right: slower)", fontsize=11)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.09), ncols=3)
    plain(ax)


def draw_growth(ax: Axes, growth: pd.DataFrame, value: str, label: str) -> None:
    for (what, mine), colour, marker in zip(growth.groupby("what", sort=False), PALETTE, SHAPES, strict=False):
        ax.plot(mine["size"], mine[value], color=colour, marker=marker, linewidth=2, label=what)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("images, classes or photographs", fontsize=11)
    ax.set_ylabel(label, fontsize=11)
    ax.legend(frameon=False)
    plain(ax)
