"""Pictures of notebook 02: filters, blocks of weights, what moved, strategies in rows, and the layer-transfer curve."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from tlcourse.evaluation.intervals import Interval
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import (
    BASE,
    WAYS,
    LayerTrial,
    drop,
    layer_scores,
    layer_summary,
)
from tlcourse.lessons.nb02_weight_transfer.transfer_strategies import StrategyTrial, strategy_scores, strategy_summary
from tlcourse.notebook.figures import GREY, plain
from tlcourse.transfer.weights import MoveReport

# dark and filled: fine-tuned; light and open: frozen; blue: own task; orange: another task
WAY_STYLES = {
    "own, frozen": {"color": "#56B4E9", "marker": "^", "linestyle": "--", "markerfacecolor": "white"},
    "own, fine-tuned": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "other, frozen": {"color": "#E69F00", "marker": "v", "linestyle": "--", "markerfacecolor": "white"},
    "other, fine-tuned": {"color": "#D55E00", "marker": "s", "linestyle": "-"},
}
PARTS = ("weights", "statistics")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
MOVED, STILL, ABSENT = "#E69F00", "#CFE3F1", "#FFFFFF"


def draw_layer_transfer(ax: Axes, trials: Sequence[LayerTrial], live: Sequence[LayerTrial] = ()) -> Axes:
    """Draw accuracy against the number of carried stages, with 95 % intervals, one line a way, beside the base network.

    Args:
        ax: where to draw.
        trials: trials of at least two seeds, the base networks among them.
        live: trials of this session; their means are drawn as rings.

    Returns:
        The axes.
    """
    summary = layer_summary(trials)
    base = summary[BASE, 0]
    ax.axhspan(base.low, base.high, color="#DDDDDD", linewidth=0, zorder=0)
    ax.axhline(base.mean, color=GREY, linewidth=1.5, zorder=1, label="base network B")
    depths = sorted({trial.depth for trial in trials} - {0})
    for offset, way in zip((-0.12, -0.04, 0.04, 0.12), WAYS, strict=True):
        cells = [summary[way, depth] for depth in depths]
        means = np.array([cell.mean for cell in cells])
        spread = [means - [cell.low for cell in cells], [cell.high for cell in cells] - means]
        places = np.array(depths) + offset  # side by side, so that no interval hides another
        ax.errorbar(places, means, spread, capsize=3, linewidth=2, markersize=8, label=way, **WAY_STYLES[way])
    for way, depth in {(trial.way, trial.depth): None for trial in live if trial.way in WAYS}:
        place = depth + dict(zip(WAYS, (-0.12, -0.04, 0.04, 0.12), strict=True))[way]
        ring = {"markersize": 17, "markerfacecolor": "none", "markeredgecolor": WAY_STYLES[way]["color"]}
        ax.plot(place, np.mean(layer_scores(live, way, depth)), "o", markeredgewidth=2, **ring)
    ax.set_xticks(depths)
    ax.set_xlabel("stages carried into a fresh network (of 5)")
    ax.set_ylabel("accuracy on new letters of task B (%)")
    ax.legend(frameon=False, loc="lower left")
    return plain(ax)


def describe_layer_transfer(trials: Sequence[LayerTrial]) -> str:
    """Say in a sentence what `draw_layer_transfer` shows: the loss of frozen stages at every depth."""
    depths = sorted({trial.depth for trial in trials} - {0})
    ways = ("own, frozen", "other, frozen")
    parts = [f"{way}: " + ", ".join(f"{drop(trials, way, d).mean:+.1f}" for d in depths) for way in ways]
    return f"Points against the base network with 1 to {depths[-1]} stages carried. {'; '.join(parts)}."


def draw_strategies(
    ax: Axes,
    trials: Sequence[StrategyTrial],
    question: str,
    live: Sequence[StrategyTrial] = (),
    labels: Mapping[str, str] | None = None,
) -> Axes:
    """Draw mean and 95 % interval of every strategy in a row of its own, every seed as a dot.

    Args:
        ax: where to draw.
        trials: trials of at least two seeds.
        question: which comparison to draw.
        live: trials of this session, drawn as rings.
        labels: other names for some strategies.

    Returns:
        The axes.
    """
    summary = strategy_summary(trials, question)
    for row, (name, interval) in enumerate(summary.items()):
        points = strategy_scores(trials, question, name)
        ax.scatter(points, [row] * len(points), color="#56B4E9", s=22, alpha=0.7, linewidth=0)
        _draw_interval(ax, row, interval)
        mine = strategy_scores(live, question, name)
        ax.scatter(mine, [row] * len(mine), s=170, facecolors="none", edgecolors="#D55E00", linewidth=2)
    ax.set_yticks(range(len(summary)), [(labels or {}).get(name, name) for name in summary], fontsize=11)
    ax.set_ylim(len(summary) - 0.4, -0.6)
    ax.set_xlabel("accuracy on the test half (%)")
    plain(ax)
    ax.grid(axis="x", color="#E5E5E5")
    return ax


def _draw_interval(ax: Axes, row: int, interval: Interval) -> None:
    spread = [[interval.mean - interval.low], [interval.high - interval.mean]]
    ax.errorbar(interval.mean, row, xerr=spread, color="black", marker="|", markersize=14, capsize=4, linewidth=2)
    ax.annotate(f"{interval.mean:.1f}", (interval.mean, row - 0.18), ha="center", va="bottom", fontsize=10)


def describe_strategies(trials: Sequence[StrategyTrial], question: str) -> str:
    """Say in a sentence what `draw_strategies` shows."""
    parts = [f"{name} {interval} %" for name, interval in strategy_summary(trials, question).items()]
    return f"Mean accuracy and 95 % interval: {'; '.join(parts)}."


def filters_as_images(weight: torch.Tensor) -> torch.Tensor:
    """Turn the filters of a first convolution into small pictures: grey is 0, and the largest weight is full colour.

    Args:
        weight: float `[out, 1 or 3, height, width]`.

    Returns:
        uint8 `[out, 3, height, width]`.

    Raises:
        ValueError: not the weight of a first convolution.
    """
    if weight.ndim != 4 or weight.shape[1] not in (1, 3):
        raise ValueError(
            f"got a weight of shape {list(weight.shape)}, but [out, 1 or 3, height, width] was expected: only a first "
            "convolution can be looked at as pictures."
        )
    shares = weight.detach().cpu() / weight.detach().abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12).cpu()
    return ((shares * 0.5 + 0.5) * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)


def draw_filters(ax: Axes, rows: Mapping[str, torch.Tensor]) -> Axes:
    """Draw sets of first-layer filters, one set a row, each filter scaled by its own largest weight.

    Args:
        ax: where to draw.
        rows: float `[out, 1 or 3, height, width]` by what to write beside the row.

    Returns:
        The axes.
    """
    most = max(len(weight) for weight in rows.values())
    for row, (name, weight) in enumerate(rows.items()):
        for column, image in enumerate(filters_as_images(weight).permute(0, 2, 3, 1).numpy()):
            box = (column + 0.06, column + 0.94, row + 0.94, row + 0.06)
            ax.imshow(image, extent=box, interpolation="nearest")
        ax.text(-0.25, row + 0.5, name, ha="right", va="center", fontsize=11)
    ax.set_xlim(0, most)
    ax.set_ylim(len(rows), 0)
    ax.set_axis_off()
    return ax


def draw_block(ax: Axes, weight: torch.Tensor, block: Sequence[int]) -> Axes:
    """Draw a weight as a picture, one row an output and one column an input, and a frame around the copied block.

    Args:
        ax: where to draw.
        weight: float `[out, in, ...]`; a cell shows the root of the sum of squares over what is left.
        block: how many outputs and inputs were copied.

    Returns:
        The axes.
    """
    strength = weight.detach().cpu().flatten(2).norm(dim=2) if weight.ndim > 2 else weight.detach().cpu().abs()
    ax.imshow(
        strength.numpy(),
        cmap="cividis",
        vmin=0,
        vmax=0.6 * strength.max().item(),
        aspect="auto",
        interpolation="nearest",
    )
    rows, columns = block[:2]
    frame = [(-0.5, columns - 0.5, columns - 0.5, -0.5, -0.5), (-0.5, -0.5, rows - 0.5, rows - 0.5, -0.5)]
    ax.plot(*frame, color="#D55E00", linewidth=3, clip_on=False)
    ax.set_xlabel("input channel")
    ax.set_ylabel("output channel")
    return ax


def moved_grid(report: MoveReport) -> dict[tuple[str, str], tuple[int, int]]:
    """Count, for every stage and for its weights and its statistics, how many tensors moved and how many there are."""
    grid: dict[tuple[str, str], tuple[int, int]] = {}
    for name in (*report.moved, *report.stayed):
        cell = name.split(".")[0], PARTS[name.endswith(STATISTICS)]
        moved, total = grid.get(cell, (0, 0))
        grid[cell] = moved + (name in report.moved), total + 1
    return grid


def draw_moved(ax: Axes, reports: Mapping[str, MoveReport], stages: Sequence[str]) -> Axes:
    """Draw which tensors moved: a row for every run and kind of number, a column for every stage.

    Args:
        ax: where to draw.
        reports: what moved, by what to write beside it.
        stages: beginnings of the tensors' names, from pixels to scores.

    Returns:
        The axes.
    """
    names = [(run, part) for run in reports for part in PARTS]
    for row, (run, part) in enumerate(names):
        grid = moved_grid(reports[run])
        for column, stage in enumerate(stages):
            moved, total = grid.get((stage, part), (0, 0))
            colour = MOVED if moved else STILL if total else ABSENT
            ax.fill_between((column + 0.03, column + 0.97), row + 0.05, row + 0.95, color=colour, linewidth=0)
            text = f"{moved} of {total}\nmoved" if moved else "still" if total else "none"
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=10)
    ax.set_xticks(np.arange(len(stages)) + 0.5, stages, fontsize=11)
    ax.set_yticks(np.arange(len(names)) + 0.5, [f"{run}: {part}" for run, part in names], fontsize=11)
    ax.set_ylim(len(names), 0)
    ax.set_xlim(0, len(stages))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def describe_moved(reports: Mapping[str, MoveReport]) -> str:
    """Say in a sentence what `draw_moved` shows."""
    parts = []
    for run, report in reports.items():
        statistics = sum(name.endswith(STATISTICS) for name in report.moved)
        parts.append(f"{run}: {len(report.moved) - statistics} weights and {statistics} statistics moved")
    return f"Tensors that moved. {'; '.join(parts)}."
