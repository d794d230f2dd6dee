"""Pictures of notebook 00: seeds side by side, the curve of accuracy against labels, and losses during training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from tlcourse.evaluation.intervals import paired_difference
from tlcourse.notebook.figures import COLOURS, MARKERS, plain
from tlcourse.notebook.tables import scores, summarise
from tlcourse.training.checkpoint import History
from tlcourse.training.starts import STARTS
from tlcourse.training.trials import Trial


def draw_seeds(ax: Axes, trials: Sequence[Trial], per_class: int) -> Axes:
    """Draw the accuracy of every seed, with mean and interval beside it, one column a start.

    Args:
        ax: where to draw.
        trials: trials with this number of labels, at least two seeds a start.
        per_class: labels per class.

    Returns:
        The axes.
    """
    summary = summarise([trial for trial in trials if trial.per_class == per_class])
    starts = [start for start in STARTS if (start, per_class) in summary]
    points = np.array([scores(trials, start, per_class) for start in starts])  # [starts, seeds]
    ax.plot(range(len(starts)), points, color="#BBBBBB", linewidth=1, zorder=1)
    for x, start in enumerate(starts):
        ax.scatter([x] * points.shape[1], points[x], color=COLOURS[start], marker=MARKERS[start], s=28, zorder=2)
        mean, low, high = (getattr(summary[start, per_class], end) for end in ("mean", "low", "high"))
        spread = [[mean - low], [high - mean]]
        ax.errorbar(x + 0.16, mean, spread, color="black", marker="_", markersize=14, capsize=5, linewidth=2)
        ax.annotate(f"{mean:.0f} %", (x + 0.24, mean), va="center", fontsize=12, fontweight="bold")
    ax.set_xticks(range(len(starts)), starts)
    ax.set_xlim(-0.4, len(starts) - 0.3)
    ax.set_ylabel("accuracy on the test half (%)")
    ax.set_title(f"{per_class} labels per class, {points.shape[1]} seeds: mean and 95 % interval")
    return plain(ax)


def draw_curve(ax: Axes, trials: Sequence[Trial], live: Sequence[Trial] = ()) -> Axes:
    """Draw accuracy against labels per class, with 95 % intervals, one line a start.

    Args:
        ax: where to draw.
        trials: trials with several numbers of labels, at least two seeds each.
        live: trials of this session; their means are drawn as rings.

    Returns:
        The axes.
    """
    summary = summarise(trials)
    for start in [start for start in STARTS if any(cell[0] == start for cell in summary)]:
        labels = sorted(k for s, k in summary if s == start)
        means, lows, highs = ([getattr(summary[start, k], end) for k in labels] for end in ("mean", "low", "high"))
        ax.plot(labels, means, color=COLOURS[start], marker=MARKERS[start], linewidth=2, label=start)
        ax.fill_between(labels, lows, highs, color=COLOURS[start], alpha=0.2, linewidth=0)
    for k, start in {(trial.per_class, trial.start): None for trial in live}:
        mean = np.mean(scores(live, start, k))
        ax.plot(k, mean, "o", markersize=15, markerfacecolor="none", markeredgecolor=COLOURS[start], markeredgewidth=2)
    if live:
        ax.plot([], [], "o", markersize=15, markerfacecolor="none", markeredgecolor="black", label="your runs")
    ticks = sorted({trial.per_class for trial in [*trials, *live]})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(k) for k in ticks])
    ax.minorticks_off()
    ax.set_xlabel("labelled images per class")
    ax.set_ylabel("accuracy on the test half (%)")
    ax.set_ylim(0, 102)
    ax.legend(loc="lower right", frameon=False)
    return plain(ax)


def describe_curve(trials: Sequence[Trial]) -> str:
    """Say in a sentence what `draw_curve` shows: the gain of fine-tuning over scratch at every number of labels."""
    parts = []
    for k in sorted({trial.per_class for trial in trials}):
        gain = paired_difference(scores(trials, "fine-tuned", k), scores(trials, "scratch", k))
        parts.append(f"{gain.mean:+.0f} points with {k}")
    return f"Accuracy against labels per class. Fine-tuned minus scratch: {', '.join(parts)} labels per class."


def describe_history(histories: dict[str, History]) -> str:
    """Say in a sentence what `draw_history` shows: the first and the last loss of every start."""
    ends = [f"{start} from {h.train_loss[0]:.2f} to {h.train_loss[-1]:.2f}" for start, h in histories.items()]
    return f"Training loss of every epoch: {', '.join(ends)}."


def draw_history(ax: Axes, histories: dict[str, History]) -> Axes:
    """Draw the training loss of every epoch, one line a start.

    Args:
        ax: where to draw.
        histories: what `fit` returned, by start.

    Returns:
        The axes.
    """
    for start, history in histories.items():
        epochs = range(1, len(history) + 1)
        ax.plot(epochs, history.train_loss, color=COLOURS[start], marker=MARKERS[start], linewidth=2, label=start)
    ax.set_xlabel("epoch")
    ax.set_ylabel("training loss (nats)")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    return plain(ax)
