"""Pictures of notebook 03; each draws on the axes it is given, and returns a sentence for those who cannot see it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.lessons.nb03_fine_tuning.strategies import CARRIED, STRATEGIES
from tlcourse.notebook.figures import GREY, dots, plain
from tlcourse.notebook.results import paired
from tlcourse.training.lr_finder import RangeTest
from tlcourse.training.schedules import Schedule

BLUE, ORANGE, GREEN, RED, SKY, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"  # Okabe-Ito
LINES = ((BLUE, "-", "o"), (RED, "--", "s"), (GREEN, "-.", "^"), (PINK, ":", "D"), (ORANGE, "-", "v"), (SKY, "--", "P"))
MEASURES = {
    "target, as trained": {"color": BLUE, "marker": "o"},
    "target, shifted": {"color": RED, "marker": "D"},
}
AXES = {
    "target": "accuracy on the target (%)",
    "shifted": "accuracy on the shifted target (%)",
    "source": "accuracy on letters, old head (%)",
    "drift": "drift of the features (% of their length)",
}
BESIDE = {"frameon": False, "loc": "center left", "bbox_to_anchor": (1.0, 0.5)}  # a legend that covers no line


def draw_losses(left: Axes, right: Axes) -> str:
    """Draw what both losses charge for an answer, and how strongly each pulls, against how wrong the answer is."""
    lead = torch.linspace(-8, 8, 81, dtype=torch.float64)
    logits = torch.stack([lead, torch.zeros_like(lead)], 1).requires_grad_()  # [81, 2], and the first class is right
    answer = torch.zeros(len(lead), dtype=torch.long)
    entropy = F.cross_entropy(logits, answer, reduction="none")
    squared = (logits.softmax(1) - F.one_hot(answer, 2)).square().mean(1)
    for loss, name, colour, line in (
        (entropy, "cross-entropy", BLUE, "-"),
        (squared, "squared error of probabilities", RED, "--"),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
        left.plot(lead, loss.detach(), line, color=colour, linewidth=2.5, label=name)
        right.plot(lead, -gradient[:, 0], line, color=colour, linewidth=2.5)
    for ax, what in ((left, "loss"), (right, "pull on the right logit")):
        ax.set_xlabel("logit of the right class minus the wrong one")
        ax.set_ylabel(what)
        plain(ax)
    left.legend(frameon=False)
    left.set_title("how much a wrong answer costs (nats, or squared)")
    right.set_title("how strongly it is corrected (per unit of logit)")
    return "Cross-entropy pulls hardest at the wrongest answers; squared error lets go."


def draw_paths(ax: Axes, steepness: torch.Tensor, paths: Mapping[str, torch.Tensor]) -> str:
    """Draw a valley from above, and the ways `[steps + 1, 2]` that some rules take through it.

    Its loss is half of `steepness * theta**2`, summed over the two weights.
    """
    reach = 2.025  # up, down and to the right; to the left, 4.5
    along, across = np.meshgrid(np.linspace(-4.5, 4.5, 160), np.linspace(-reach, reach, 90))
    level = (steepness.numpy() * np.stack([along, across], -1) ** 2).sum(-1) / 2
    ax.contour(along, across, level, levels=np.quantile(level, np.linspace(0.02, 0.98, 14)), colors="#CCCCCC")
    for (name, path), (colour, line, marker) in zip(paths.items(), LINES, strict=False):
        x, y = path.T.numpy()
        ax.plot(x, y, line, color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=name)
    ax.plot(0, 0, "*", color="black", markersize=15, label="lowest point")
    ax.set_xlim(-4.5, reach)
    ax.set_ylim(-reach, reach)
    ax.set_xlabel("first weight")
    ax.set_ylabel("second weight")
    ax.legend(**BESIDE)
    ends = [f"{name} ends {path[-1].norm():.2f} away from it" for name, path in paths.items()]
    return f"Paths of {len(next(iter(paths.values()))) - 1} steps towards the lowest point: {', '.join(ends)}."


def draw_schedules(ax: Axes, schedules: Mapping[str, Schedule], updates: int) -> str:
    """Draw schedules, one line each."""
    for (name, schedule), (colour, line, _) in zip(schedules.items(), LINES, strict=False):
        factors = [schedule(update) for update in range(updates)]
        ax.plot(range(updates), factors, line, color=colour, linewidth=2.5, label=name)
    ax.set_xlabel("update")
    ax.set_ylabel("share of the highest rate")
    ax.legend(**BESIDE)
    plain(ax)
    return f"Share of the highest rate at each of {updates} updates, for the schedules {', '.join(schedules)}."


def draw_range_test(ax: Axes, found: RangeTest) -> str:
    """Draw the loss against the learning rate, and mark the lowest point and the suggested rate."""
    ax.plot(found.rates, found.losses, color="#BBBBBB", linewidth=1.2, label="loss of every update")
    ax.plot(found.rates, found.smooth, color=BLUE, linewidth=2.5, label="smoothed")
    ax.axvline(found.lowest, color=GREY, linestyle=":", linewidth=2, label=f"lowest, at {found.lowest:.1g}")
    ax.axvline(found.suggestion, color=RED, linestyle="--", linewidth=2, label=f"a third of it, {found.suggestion:.1g}")
    ax.set_xscale("log")
    ax.set_ylim(0, 1.5 * max(found.smooth[:5]))
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss (nats)")
    ax.legend(frameon=False, loc="lower left")
    plain(ax)
    return (
        f"Range test from {found.rates[0]:.0e} to {found.rates[-1]:.1g}: the smoothed loss falls from "
        f"{found.smooth[0]:.2f} to {min(found.smooth):.2f} at a rate of {found.lowest:.1g}, and rises beyond it."
    )


def draw_strategies(figure: Figure, rows: pd.DataFrame, live: pd.DataFrame) -> str:
    """Draw accuracy on both targets with 95 % intervals, one panel a number of labels; rings are means of `live`."""
    order = [name for name in STRATEGIES if name in set(rows.strategy)]
    labels = sorted(rows.per_class.unique())
    said = []
    for ax, k in zip(figure.subplots(1, len(labels), sharey=True), labels, strict=True):
        shipped, mine = (frame[frame.per_class == k] for frame in (rows, live))
        dots(ax, _both(shipped), "accuracy", "strategy", "measure", live=_both(mine), order=order, styles=MEASURES)
        ax.get_legend().remove()
        ax.set_xlim(0, 100)
        ax.set_xlabel("accuracy (%)")
        ax.set_title(f"{k} label{'s' if k > 1 else ''} per class")
        said.append(_describe(shipped, k))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return " ".join([*said, "Every strategy loses when the target is shifted."])


def _both(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on both targets in one column."""
    named = rows.rename(columns={"target": "target, as trained", "shifted": "target, shifted"})
    return named.melt(["strategy", "seed"], list(MEASURES), "measure", "accuracy")


def _describe(rows: pd.DataFrame, per_class: int) -> str:
    """Say which strategy is best on the target, and what it gains over scratch."""
    means = rows.groupby("strategy", sort=False).target.mean()
    gain = paired(rows, "target", "strategy", means.idxmax(), "scratch").iloc[0]
    return (
        f"Accuracy of {len(means)} strategies with {per_class} label{'s' if per_class > 1 else ''} per class, with "
        f"intervals: {means.idxmax()} is highest on the target with {means.max():.0f} %, {gain['mean']:+.0f} points "
        "over scratch."
    )


def draw_against(ax: Axes, rows: pd.DataFrame, across: str, up: str) -> str:
    """Draw two measures of all strategies in `CARRIED`: small marks for seeds, a large one for the mean."""
    points = []
    for place, name in enumerate(CARRIED):
        colour, _, marker = LINES[place % len(LINES)]
        filled = place < len(LINES)  # the first ones with a black edge, the others white with a coloured one
        face, edge, width = (colour, "black", 1) if filled else ("white", colour, 3)
        seeds = rows[rows.strategy == name]
        ax.plot(seeds[across], seeds[up], marker, color=colour, markerfacecolor=face, markersize=5, alpha=0.45)
        x, y = seeds[across].mean(), seeds[up].mean()
        style = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": width}
        ax.plot(x, y, marker, linestyle="none", label=name, markersize=11, **style)
        points.append(f"{name} {x:.0f} and {y:.0f}")
    ax.set_xlabel(AXES[across])
    ax.set_ylabel(AXES[up])
    ax.legend(**BESIDE)
    plain(ax)
    labels = ", ".join(map(str, rows.per_class.unique()))
    return f"{AXES[across]} and {AXES[up]}, means with {labels} labels per class: {', '.join(points)}."
