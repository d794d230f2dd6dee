"""Pictures of notebook 02: what strategies reach, the layer-transfer curve, first filters, and what moved."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.evaluation.intervals import t_interval
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import (
    BASE,
    DEPTHS,
    LONG,
    SHORT,
    mean_specificity,
    specificity,
)
from tlcourse.lessons.nb02_weight_transfer.strategies import CARRIED
from tlcourse.notebook.figures import GREY, budget_of, dots, lines
from tlcourse.notebook.results import as_texts
from tlcourse.transfer.weights import MoveReport

# dark and filled: fine-tuned; light and open: frozen; blue: own task; orange: another task
WAY_STYLES = {
    "own, frozen": {"color": "#56B4E9", "marker": "^", "linestyle": "--", "markerfacecolor": "white"},
    "own, fine-tuned": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "other, frozen": {"color": "#E69F00", "marker": "v", "linestyle": "--", "markerfacecolor": "white"},
    "other, fine-tuned": {"color": "#D55E00", "marker": "s", "linestyle": "-"},
}
LOOKS = ({"color": "black", "marker": "o"}, {"color": "#CC79A7", "marker": "D"})  # a short training, a long one
PARTS = ("weights", "statistics")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
MOVED, STILL, ABSENT = "#E69F00", "#CFE3F1", "#FFFFFF"


def figure_of_strategies(trials: pd.DataFrame, live: pd.DataFrame) -> tuple[Figure, str]:
    """Draw accuracy by what was carried over, a dot for each budget, those of this session as rings.

    Returns the figure and its alt text.
    """
    carried, mine = (rows.assign(training=_named(rows)) for rows in (trials[trials["strategy"].isin(CARRIED)], live))
    figure, ax = plt.subplots(figsize=(10, 4.4), layout="constrained")
    alt = dots(ax, carried, "accuracy", "strategy", "training", live=mine, styles=_looks(carried))
    ax.set_title(f"{budget_of(carried)}; rings: your one seed", fontsize=11)
    return figure, alt


def _named(trials: pd.DataFrame) -> list[str]:
    return [f"{updates} updates" for updates in trials["updates"]]


def _looks(trials: pd.DataFrame) -> dict[str, dict[str, str]]:
    budgets = sorted(trials["updates"].unique())
    return {f"{updates} updates": look for updates, look in zip(budgets, LOOKS, strict=False)}


def figure_of_layers(trials: pd.DataFrame, live: pd.DataFrame) -> tuple[Figure, str]:
    """Draw accuracy by carried stages, frozen and fine-tuned, and beside it what specificity costs.

    `live` is one seed of this session, drawn as a ring. Returns the figure and its alt text.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
    middle.sharey(left)
    short, long = (trials[trials["updates"] == recipe.updates] for recipe in (SHORT, LONG))
    gaps, longer = specificity(short), mean_specificity(long)
    ways = [_draw_ways(ax, short, how) for ax, how in ((left, "frozen"), (middle, "fine-tuned"))]
    _draw_gaps(right, gaps, longer, mean_specificity(live))
    figure.suptitle(f"{budget_of(trials)}; ring: your one seed", fontsize=11)
    said = [f"{depth}: {text}" for depth, text in zip(gaps["depth"], as_texts(gaps), strict=True)]
    said += [f"two seeds with {LONG.updates} updates, {row.depth}: {row.points:.1f}" for row in longer.itertuples()]
    gap = "Right: frozen stages of another task minus those of the own task, by number of stages"
    return figure, f"Left: {ways[0]} Middle: {ways[1]} {gap}. {', '.join(said)}."


def _draw_ways(ax: Axes, trials: pd.DataFrame, how: str) -> str:
    """Draw accuracy against the number of stages carried and frozen, or fine-tuned, over the band of the base network.

    Returns the alt text.
    """
    base = t_interval(trials.loc[trials["way"] == BASE, "accuracy"].tolist())
    ax.axhspan(base.low, base.high, color="#DDDDDD", linewidth=0, zorder=0)
    ax.axhline(base.mean, color=GREY, linewidth=1.5, zorder=1, label="base network B")
    heirs = trials[trials["way"].str.endswith(how)]
    alt = lines(ax, heirs, "depth", by="way", apart=0.1, styles=WAY_STYLES)  # apart: no interval hides another
    ax.set_title(f"carried stages {how}, {trials['updates'].iloc[0]} updates", fontsize=12)
    ax.set_ylabel("accuracy on new letters of task B (%)")
    ax.legend(frameon=False, loc="lower left")
    _name_depths(ax)
    said = alt.partition(": ")[2]
    return f"mean accuracy on task B (%) by number of carried stages, {how}, base network B at {base.mean:.3g}; {said}"


def _draw_gaps(ax: Axes, gaps: pd.DataFrame, longer: pd.DataFrame, live: pd.DataFrame) -> None:
    """Draw other minus own for each number of frozen stages over a line at 0; `longer` and `live` have no interval."""
    names = f"{SHORT.updates} updates, {gaps['n'].iloc[0]} seeds", f"{LONG.updates} updates, two seeds"
    points = longer.assign(mean=longer["points"], low=longer["points"], high=longer["points"])
    drawn = pd.concat([gaps.assign(training=names[0]), points.assign(training=names[1])])
    looks = dict(zip(names, LOOKS, strict=True))
    ax.axhline(0, color=GREY, linewidth=1)
    mine = live.assign(training=names[0])
    lines(ax, drawn, "depth", "points", "training", live=mine, apart=0.12, styles=looks)
    ax.set_title("specificity: other minus own, frozen", fontsize=12)
    ax.set_ylabel("points (below 0: other is worse)")
    ax.legend(frameon=False, loc="lower left")
    _name_depths(ax)


def _name_depths(ax: Axes) -> None:
    ax.set_xticks(DEPTHS)
    ax.set_xlabel("stages carried (of 5)")


def filters_as_images(weight: torch.Tensor) -> torch.Tensor:
    """Turn first filters, float `[out, 1 or 3, height, width]`, into pictures, uint8 `[out, 3, height, width]`.

    Grey is 0, and the largest weight of each filter is full colour. Raises ValueError for any other weight.
    """
    if weight.ndim != 4 or weight.shape[1] not in (1, 3):
        raise ValueError(
            f"got a weight of shape {list(weight.shape)}, but [out, 1 or 3, height, width] was expected: only a first "
            "convolution can be looked at as pictures."
        )
    shares = weight.detach().cpu() / weight.detach().abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12).cpu()
    return ((shares * 0.5 + 0.5) * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)


def moved_grid(report: MoveReport) -> dict[tuple[str, str], tuple[int, int]]:
    """Count, for every stage and for its weights and its statistics, how many tensors moved and how many there are."""
    grid: dict[tuple[str, str], tuple[int, int]] = {}
    for name in (*report.moved, *report.stayed):
        cell = name.split(".")[0], PARTS[name.endswith(STATISTICS)]
        moved, total = grid.get(cell, (0, 0))
        grid[cell] = moved + (name in report.moved), total + 1
    return grid


def figure_of_moves(reports: Mapping[str, MoveReport], stages: Sequence[str]) -> tuple[Figure, str]:
    """Draw which tensors moved: a row for every run and kind of number, a column for every stage.

    Reports stand by the name of their run; stages are beginnings of the tensors' names, from pixels to logits. Returns
    the figure and its alt text.
    """
    figure, ax = plt.subplots(figsize=(10, 0.7 * len(PARTS) * len(reports)), layout="constrained")
    names = [(run, part) for run in reports for part in PARTS]
    for row, (run, part) in enumerate(names):
        grid = moved_grid(reports[run])
        for column, stage in enumerate(stages):
            moved, total = grid.get((stage, part), (0, 0))
            colour = MOVED if moved else STILL if total else ABSENT
            ax.fill_between((column + 0.03, column + 0.97), row + 0.05, row + 0.95, color=colour, linewidth=0)
            text = f"{moved} of {total}\nmoved" if moved else "still" if total else "has none"
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=10)
    ax.set_title("tensors that moved")
    ax.set_xticks(np.arange(len(stages)) + 0.5, stages, fontsize=11)
    ax.set_yticks(np.arange(len(names)) + 0.5, [f"{run}: {part}" for run, part in names], fontsize=11)
    ax.set_ylim(len(names), 0)
    ax.set_xlim(0, len(stages))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    parts = []
    for run, report in reports.items():
        statistics = sum(name.endswith(STATISTICS) for name in report.moved)
        parts.append(f"{run}: {len(report.moved) - statistics} weights and {statistics} statistics moved")
    return figure, f"Tensors that moved. {'; '.join(parts)}."
