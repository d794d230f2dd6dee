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


def draw(rows: pd.DataFrame, growth: pd.DataFrame | None = None) -> tuple[Figure, str]:
    """Draw the ratios of all workloads, and beside them time and memory against size; return the alt text, too."""
    found = summary(rows)
    columns = 1 if growth is None else 2
    figure = plt.figure(figsize=(7.5 * columns, 7), layout="constrained")
    grid = figure.add_gridspec(2, columns, width_ratios=[1.3, 1][:columns])
    draw_ratios(figure.add_subplot(grid[:, 0]), found)
    if growth is not None:
        draw_time(figure.add_subplot(grid[0, 1]), growth)
        draw_memory(figure.add_subplot(grid[1, 1]), growth)
    return figure, in_words(found, growth)


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
    ax.annotate("the course", (1, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=11)
    ax.set_title("The course beside what a learner would pick instead", fontsize=12, pad=22)
    for between in range(1, len(workloads)):
        ax.axhline(between - 0.5, color=GREY, linewidth=0.5, alpha=0.4)
    ax.set_yticks(range(len(workloads)), [WORKLOADS[workload].title for workload in workloads], fontsize=11)
    ax.set_ylim(len(workloads) - 0.5, -0.5)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 20) if low <= tick <= high]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("times as long as the course (right: slower)", fontsize=11)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.09), ncols=3)
    plain(ax)


def draw_growth(ax: Axes, growth: pd.DataFrame, value: str, label: str) -> None:
    for (what, mine), colour, marker in zip(growth.groupby("what", sort=False), PALETTE, SHAPES, strict=False):
        ax.plot(mine["size"], mine[value], color=colour, marker=marker, linewidth=2, label=what)
    ax.set_xscale("log")
    ticks = (1, 10, 100, 1_000, 10_000, 100_000)
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.set_xlim(1, 100_000)
    ax.set_xlabel("how many", fontsize=11)
    ax.set_ylabel(label, fontsize=11)
    plain(ax)


def draw_time(ax: Axes, growth: pd.DataFrame) -> None:
    """Draw seconds, and a line along which they would grow in proportion."""
    draw_growth(ax, growth, "seconds", "time (s)")
    largest = growth.loc[growth["size"].idxmax()]
    low = growth["seconds"].min() / 2
    start = largest["size"] * low / largest["seconds"]
    ax.plot([start, largest["size"]], [low, largest["seconds"]], color=GREY, linestyle=":", label="in proportion")
    ax.set_yscale("log")
    ticks = [tick for tick in (0.1, 1, 10, 100, 1_000) if low < tick < 3 * growth["seconds"].max()]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.legend(frameon=False, fontsize=10)
    ax.set_title("How the course's cost grows", fontsize=12)


def draw_memory(ax: Axes, growth: pd.DataFrame) -> None:
    draw_growth(ax, growth, "memory", "largest memory (MiB)")
    ax.set_ylim(0, 1.15 * growth["memory"].max())


def in_words(found: pd.DataFrame, growth: pd.DataFrame | None) -> str:
    """Say what the picture shows."""
    said = []
    for workload in found["workload"].unique():
        peers = found[(found["workload"] == workload) & found["ratio_mean"].notna() & (found["contestant"] != COURSE)]
        times = [f"{line['contestant']} {line['ratio_mean']:.1f}" for line in peers.to_dict("records")]
        said.append(f"{WORKLOADS[workload].title}: {', '.join(times)}")
    words = f"How many times as long as the course others take. {'; '.join(said)}."
    if growth is None:
        return words
    lines = []
    for what, mine in growth.groupby("what", sort=False):
        first, last = mine.iloc[0], mine.iloc[-1]
        lines.append(
            f"{what}: {first['seconds']:.1f} s and {first['memory']:.0f} MiB for {first['size']:,}, "
            f"{last['seconds']:.1f} s and {last['memory']:.0f} MiB for {last['size']:,}"
        )
    return f"{words} How the course's cost grows. {'; '.join(lines)}."
