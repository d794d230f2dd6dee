"""Pictures of notebook 02: the layer-transfer curve, filters, blocks of weights, and what moved."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from tlcourse.evaluation.intervals import bootstrap_mean
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import BASE, drops
from tlcourse.notebook.figures import GREY, lines
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


def draw_layer_transfer(ax: Axes, trials: pd.DataFrame, live: pd.DataFrame | None = None) -> str:
    """Draw accuracy against the number of carried stages, a line a way, beside the base network; return the alt text.

    `live` holds trials of this session; their means are drawn as rings.
    """
    base = bootstrap_mean(trials.loc[trials["way"] == BASE, "accuracy"].tolist())
    ax.axhspan(base.low, base.high, color="#DDDDDD", linewidth=0, zorder=0)
    ax.axhline(base.mean, color=GREY, linewidth=1.5, zorder=1, label="base network B")
    heirs, mine = (rows if rows is None else rows[rows["way"] != BASE] for rows in (trials, live))
    lines(ax, heirs, "depth", by="way", live=mine, apart=0.08, styles=WAY_STYLES)  # apart: no interval hides another
    depths = sorted(heirs["depth"].unique())
    ax.set_xticks(depths)
    ax.set_xlabel("stages carried into a fresh network (of 5)")
    ax.set_ylabel("accuracy on new letters of task B (%)")
    ax.legend(frameon=False, loc="lower left")
    lost = drops(trials)
    parts = []
    for way in ("own, frozen", "other, frozen"):
        points = ", ".join(f"{mean:+.1f}" for mean in lost.loc[lost["way"] == way, "mean"])
        parts.append(f"{way}: {points}")
    return f"Points against the base network with 1 to {depths[-1]} stages carried. {'; '.join(parts)}."


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


def draw_filters(ax: Axes, rows: Mapping[str, torch.Tensor]) -> Axes:
    """Draw sets of first-layer filters by name, one set a row, each filter scaled by its own largest weight."""
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
    """Draw a weight `[out, in, ...]`, a row an output and a column an input, and a frame around the copied block.

    A cell shows the root of the sum of squares over what is left; the block is given as its outputs and inputs.
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


def draw_moved(ax: Axes, reports: Mapping[str, MoveReport], stages: Sequence[str]) -> str:
    """Draw which tensors moved: a row for every run and kind of number, a column for every stage; return the alt text.

    Reports stand by the name of their run; stages are beginnings of the tensors' names, from pixels to logits.
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
    parts = []
    for run, report in reports.items():
        statistics = sum(name.endswith(STATISTICS) for name in report.moved)
        parts.append(f"{run}: {len(report.moved) - statistics} weights and {statistics} statistics moved")
    return f"Tensors that moved. {'; '.join(parts)}."
