"""Pictures of notebook 03: losses, paths downhill, schedules, the range test, and the table of strategies."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.evaluation.intervals import paired_difference
from tlcourse.lessons.nb03_fine_tuning.experiment import Outcome, summary, values
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.notebook.figures import GREY, plain
from tlcourse.training.losses import cross_entropy, cross_entropy_gradient, mean_squared_error, target_probabilities
from tlcourse.training.lr_finder import RangeTest
from tlcourse.training.schedules import Schedule

BLUE, ORANGE, GREEN, RED, SKY, PINK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"  # Okabe-Ito
LINES = ((BLUE, "-", "o"), (RED, "--", "s"), (GREEN, "-.", "^"), (PINK, ":", "D"), (ORANGE, "-", "v"), (SKY, "--", "P"))
MEASURES = {"target": (BLUE, "o", "target, as trained"), "shifted": (RED, "D", "target, shifted")}


def draw_losses(left: Axes, right: Axes) -> None:
    """Draw both losses of an answer, and how strongly each pulls, against how wrong the answer is.

    Args:
        left: where to draw the losses.
        right: where to draw the gradients.
    """
    lead = torch.linspace(-8, 8, 81, dtype=torch.float64)  # score of the right class above the wrong one
    label = torch.tensor([0])
    rows = []
    for margin in lead:
        scores = torch.stack([margin, margin * 0])[None].requires_grad_()  # [1, 2]
        squared = mean_squared_error(scores.softmax(1), target_probabilities(label, 2).double())
        (pull,) = torch.autograd.grad(squared, scores)
        slope = cross_entropy_gradient(scores.detach(), label)
        rows.append([cross_entropy(scores, label).item(), squared.item(), -slope[0, 0].item(), -pull[0, 0].item()])
    columns = np.array(rows).T
    for ax, (entropy, square), what in ((left, columns[:2], "loss"), (right, columns[2:], "pull on the right score")):
        ax.plot(lead, entropy, color=BLUE, linewidth=2.5, label="cross-entropy")
        ax.plot(lead, square, color=RED, linewidth=2.5, linestyle="--", label="squared error of probabilities")
        ax.set_xlabel("score of the right class minus the wrong one")
        ax.set_ylabel(what)
        plain(ax)
    left.legend(frameon=False)
    left.set_title("how much a wrong answer costs (nats, or squared)")
    right.set_title("how strongly it is corrected (per unit of score)")


def draw_paths(
    ax: Axes, height: Callable[[torch.Tensor], torch.Tensor], paths: Mapping[str, torch.Tensor], reach: float = 4.5
) -> Axes:
    """Draw a landscape of two weights from above, and the ways that some rules take through it.

    Args:
        ax: where to draw.
        height: takes weights `[..., 2]`, returns the loss `[...]`.
        paths: weights of every step, `[steps + 1, 2]`, by rule.
        reach: how far to look to either side.

    Returns:
        The axes.
    """
    along, across = np.meshgrid(np.linspace(-reach, reach, 160), np.linspace(-0.45 * reach, 0.45 * reach, 90))
    level = height(torch.from_numpy(np.stack([along, across], -1))).numpy()
    ax.contour(along, across, level, levels=np.quantile(level, np.linspace(0.02, 0.98, 14)), colors="#CCCCCC")
    for (name, path), (colour, line, marker) in zip(paths.items(), LINES, strict=False):
        x, y = path.T.numpy()
        ax.plot(x, y, line, color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=name)
    ax.plot(0, 0, "*", color="black", markersize=15, label="lowest point")
    ax.set_xlim(-reach, 0.45 * reach)
    ax.set_ylim(-0.45 * reach, 0.45 * reach)
    ax.set_xlabel("first weight")
    ax.set_ylabel("second weight")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def describe_paths(paths: Mapping[str, torch.Tensor]) -> str:
    """Say in a sentence where every path ends."""
    ends = [f"{name} ends {path[-1].norm():.2f} away from it" for name, path in paths.items()]
    return f"Paths of {len(next(iter(paths.values()))) - 1} steps towards the lowest point: {', '.join(ends)}."


def draw_schedules(ax: Axes, schedules: Mapping[str, Schedule], updates: int) -> Axes:
    """Draw schedules, one line each.

    Args:
        ax: where to draw.
        schedules: functions from update to factor, by name.
        updates: how many updates.

    Returns:
        The axes.
    """
    for (name, schedule), (colour, line, _) in zip(schedules.items(), LINES, strict=False):
        factors = [schedule(update) for update in range(updates)]
        ax.plot(range(updates), factors, line, color=colour, linewidth=2.5, label=name)
    ax.set_xlabel("update")
    ax.set_ylabel("share of the highest rate")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return plain(ax)


def draw_range_test(ax: Axes, found: RangeTest) -> Axes:
    """Draw the loss against the rate of a range test, and mark the lowest point and the suggested rate.

    Args:
        ax: where to draw.
        found: what `range_test` returned.

    Returns:
        The axes.
    """
    ax.plot(found.rates, found.losses, color="#BBBBBB", linewidth=1.2, label="loss of every update")
    ax.plot(found.rates, found.smooth, color=BLUE, linewidth=2.5, label="smoothed")
    ax.axvline(found.lowest, color=GREY, linestyle=":", linewidth=2, label=f"lowest, at {found.lowest:.1g}")
    ax.axvline(found.suggestion, color=RED, linestyle="--", linewidth=2, label=f"a third of it, {found.suggestion:.1g}")
    ax.set_xscale("log")
    ax.set_ylim(0, 1.5 * max(found.smooth[:5]))
    ax.set_xlabel("learning rate")
    ax.set_ylabel("loss (nats)")
    ax.legend(frameon=False, loc="lower left")
    return plain(ax)


def describe_range_test(found: RangeTest) -> str:
    """Say in a sentence what a range test found."""
    return (
        f"Range test from {found.rates[0]:.0e} to {found.rates[-1]:.1g}: the smoothed loss falls from "
        f"{found.smooth[0]:.2f} to {min(found.smooth):.2f} at a rate of {found.lowest:.1g}, and rises beyond it."
    )


def draw_strategies(
    ax: Axes,
    outcomes: Sequence[Outcome],
    per_class: int,
    live: Sequence[Outcome] = (),
    order: Sequence[str] | None = None,
) -> Axes:
    """Draw accuracy on the target and on the shifted target with 95 % intervals, one row a strategy.

    Args:
        ax: where to draw.
        outcomes: outcomes with this number of labels, at least two seeds a strategy.
        per_class: labels per class.
        live: outcomes of this session; their means are drawn as rings.
        order: the rows from top to bottom; by default the strategies that were run with so many labels.

    Returns:
        The axes.
    """
    order = list(order or summary(outcomes, per_class))
    for offset, (what, (colour, marker, label)) in zip((-0.16, 0.16), MEASURES.items(), strict=True):
        intervals = summary(outcomes, per_class, what)
        rows = [order.index(name) + offset for name in intervals]
        means = np.array([interval.mean for interval in intervals.values()])
        spread = np.abs(np.array([[i.low, i.high] for i in intervals.values()]).T - means)
        ax.errorbar(means, rows, xerr=spread, fmt=marker, color=colour, capsize=3, markersize=6, label=label)
        for row, name in zip(rows, intervals, strict=True):
            mine = values(live, name, per_class, what)
            if mine:
                ring = {"markersize": 13, "markerfacecolor": "none", "markeredgecolor": colour, "markeredgewidth": 1.8}
                ax.plot(np.mean(mine), row, "o", **ring)
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    ax.set_xlabel("accuracy (%)")
    ax.set_title(f"{per_class} label{'s' if per_class > 1 else ''} per class")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#E5E5E5")
    ax.set_axisbelow(True)
    return ax


def draw_table(figure: Figure, outcomes: Sequence[Outcome], live: Sequence[Outcome] = ()) -> None:
    """Draw all strategies, one panel a number of labels, every strategy in the same row everywhere.

    Args:
        figure: an empty figure with constrained layout.
        outcomes: outcomes of several numbers of labels.
        live: outcomes of this session, drawn as rings.
    """
    labels = sorted({outcome.per_class for outcome in outcomes})
    order = [name for name in STRATEGIES if any(outcome.strategy == name for outcome in outcomes)]
    axes = figure.subplots(1, len(labels), sharey=True)
    for ax, k in zip(axes, labels, strict=True):
        draw_strategies(ax, outcomes, k, live, order)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)


def describe_strategies(outcomes: Sequence[Outcome], per_class: int) -> str:
    """Say in a sentence what `draw_strategies` shows: the best strategy and what it gains over scratch."""
    means = {name: interval.mean for name, interval in summary(outcomes, per_class).items()}
    best = max(means, key=means.__getitem__)
    gain = paired_difference(values(outcomes, best, per_class), values(outcomes, "scratch", per_class))
    return (
        f"Accuracy of {len(means)} strategies with {per_class} labels per class, with intervals: {best} is highest on "
        f"the target with {means[best]:.0f} %, {gain.mean:+.0f} points over scratch; every strategy "
        "loses when the target is shifted."
    )


def draw_against(
    ax: Axes, outcomes: Sequence[Outcome], per_class: int, across: str, up: str, names: Sequence[str]
) -> Axes:
    """Draw two measures of some strategies against each other: small marks for seeds, a large one for the mean.

    Args:
        ax: where to draw.
        outcomes: outcomes with this number of labels.
        per_class: labels per class.
        across: the field of `Outcome` along the axis.
        up: the field of `Outcome` up the axis.
        names: which strategies, at most twelve.

    Returns:
        The axes.
    """
    for place, name in enumerate(names):
        colour, _, marker = LINES[place % len(LINES)]
        x, y = (np.array(values(outcomes, name, per_class, what)) for what in (across, up))
        first = place < len(LINES)  # filled with a black edge, then white with a coloured one
        face, edge = (colour, "black") if first else ("white", colour)
        ax.plot(x, y, marker, color=colour, markerfacecolor=face, markersize=5, alpha=0.45, linestyle="none")
        style = {
            "markersize": 11,
            "markerfacecolor": face,
            "markeredgecolor": edge,
            "markeredgewidth": 1 if first else 3,
        }
        ax.plot(x.mean(), y.mean(), marker, linestyle="none", label=name, **style)
    ax.set_xlabel(AXES[across])
    ax.set_ylabel(AXES[up])
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return plain(ax)


def describe_against(outcomes: Sequence[Outcome], per_class: int, across: str, up: str, names: Sequence[str]) -> str:
    """Say in a sentence what `draw_against` shows: both means of every strategy."""
    means = {n: [np.mean(values(outcomes, n, per_class, what)) for what in (across, up)] for n in names}
    points = [f"{name} {x:.0f} and {y:.0f}" for name, (x, y) in means.items()]
    return f"{AXES[across]} and {AXES[up]}, means with {per_class} labels per class: {', '.join(points)}."


AXES = {
    "target": "accuracy on the target (%)",
    "shifted": "accuracy on the shifted target (%)",
    "source": "accuracy on letters, old head (%)",
    "drift": "drift of the features (% of their length)",
    "seconds": "seconds to train",
}
