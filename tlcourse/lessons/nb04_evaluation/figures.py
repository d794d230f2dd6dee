"""Pictures of notebook 04, second part: intervals, coverage, paired seeds, power, and the price of choosing."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from tlcourse.evaluation.intervals import Interval
from tlcourse.notebook.figures import COLOURS, GREY, plain

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
SHAPES = ("o", "s", "D", "^", "v", "P")


def draw_intervals(ax: Axes, intervals: Mapping[str, Interval], unit: str, zero: bool = False) -> Axes:
    """Draw intervals below each other, first on top, each with its numbers.

    Args:
        ax: where to draw.
        intervals: what to draw, by name.
        unit: what the axis measures, with its unit.
        zero: whether to mark 0.

    Returns:
        The axes.
    """
    for row, interval in enumerate(intervals.values()):
        spread = [[interval.mean - interval.low], [interval.high - interval.mean]]
        colour, shape = PALETTE[row % len(PALETTE)], SHAPES[row % len(SHAPES)]
        ax.errorbar(interval.mean, row, xerr=spread, color=colour, marker=shape, markersize=8, capsize=6, linewidth=2.5)
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
    ax.grid(axis="x", color="#E5E5E5")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def draw_coverage(ax: Axes, coverage: Mapping[str, Mapping[int, float]], level: float = 95) -> Axes:
    """Draw how often intervals hold the truth against the number of seeds, one line a kind of interval.

    Args:
        ax: where to draw.
        coverage: percent by number of seeds, by kind.
        level: what the intervals promise, in percent.

    Returns:
        The axes.
    """
    ax.axhline(level, color="black", linewidth=1, linestyle="--")
    _draw_lines(ax, coverage)
    ax.annotate("as promised", (0.02, level + 0.8), xycoords=("axes fraction", "data"), fontsize=10)
    ax.set_xticks(sorted({seeds for points in coverage.values() for seeds in points}))
    ax.set_xlabel("seeds")
    ax.set_ylabel("intervals that hold the truth (%)")
    ax.set_ylim(60, 100)
    return ax


def draw_power(ax: Axes, power: Mapping[str, Mapping[int, float]], wanted: float = 80) -> Axes:
    """Draw how often a difference is seen against the number of seeds, one line a situation.

    Args:
        ax: where to draw.
        power: percent by number of seeds, by situation.
        wanted: the usual demand, in percent.

    Returns:
        The axes.
    """
    ax.axhline(wanted, color="black", linewidth=1, linestyle="--")
    _draw_lines(ax, power, markers=False)
    ax.set_xlabel("seeds")
    ax.set_ylabel("experiments that see it (%)")
    ax.set_ylim(0, 102)
    return ax


def _draw_lines(ax: Axes, lines: Mapping[str, Mapping[int, float]], markers: bool = True) -> None:
    styles = ("-", "--", "-.", ":")
    for i, (name, points) in enumerate(lines.items()):
        marker, style = (SHAPES[i], "-") if markers else ("", styles[i % len(styles)])
        ax.plot(list(points), list(points.values()), style, color=PALETTE[i], marker=marker, linewidth=2.5, label=name)
    ax.legend(frameon=False, loc="lower right", fontsize=10)
    plain(ax)


def draw_paired_seeds(ax: Axes, differences: Sequence[float], clear: Sequence[bool], interval: Interval) -> Axes:
    """Draw the difference of two methods for every seed, in order of size, and the interval of the mean.

    Args:
        ax: where to draw.
        differences: in points, one a seed.
        clear: for every seed, whether this one pair of networks would have counted as different.
        interval: of the mean difference.

    Returns:
        The axes.
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
    return plain(ax)


def describe_paired_seeds(differences: Sequence[float], clear: Sequence[bool], interval: Interval) -> str:
    """Say in a sentence what `draw_paired_seeds` shows."""
    above = sum(d > 0 for d in differences)
    return (
        f"Difference of {len(differences)} pairs, from {min(differences):+.1f} to {max(differences):+.1f} points; "
        f"{above} are above 0, and {sum(clear)} would count as clear alone. Mean {interval}."
    )


def draw_optimism(ax: Axes, lines: Mapping[str, Mapping[int, float]], untouched: Mapping[int, float]) -> Axes:
    """Draw by how much the best score flatters against the number of images it was chosen with.

    Args:
        ax: where to draw.
        lines: points too high by number of images, by what was chosen among.
        untouched: the same winners on images that had no part in the choice.

    Returns:
        The axes.
    """
    _draw_lines(ax, {**lines, "winner on untouched images": untouched})
    ax.axhline(0, color="black", linewidth=1)
    ticks = sorted({n for points in lines.values() for n in points})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(n) for n in ticks])
    ax.minorticks_off()
    ax.set_xlabel("images used to choose")
    ax.set_ylabel("score minus truth (points)")
    ax.legend(frameon=False, loc="upper right", fontsize=10)
    return ax


def describe_lines(what: str, lines: Mapping[str, Mapping[int, float]], at: str) -> str:
    """Say in a sentence where lines begin and end, for those who do not see them."""
    parts = []
    for name, points in lines.items():
        ends = list(points.items())
        (first, a), (last, b) = ends[0], ends[-1]
        parts.append(f"{name} from {a:.1f} at {first} to {b:.1f} at {last} {at}")
    return f"{what}: {'; '.join(parts)}."
