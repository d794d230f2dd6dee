"""What the lab of notebook 03 shows: runs laid over each other, a range test, a table, and the sentences with them."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tlcourse.lessons.nb03_fine_tuning.figures import LINES
from tlcourse.lessons.nb03_fine_tuning.lab_runs import SHORT, WATCHED, Found, Run, comparable, nearest_lr
from tlcourse.notebook.figures import PALETTE, plain

CHANCE = 5  # points between two runs that can be chance on so few watched images
GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}  # the markers of `LINES`, in a table


def line_of(run: Run) -> tuple[str, str, str]:
    """Return colour, line and marker of a run: no two of the last six have the same."""
    return LINES[(run.number - 1) % len(LINES)]


def draw_runs(runs: Sequence[Run], found: Found | None, lr: float) -> Figure:
    """Draw accuracy and loss of the last six runs and, where there was one, the range test with the rate chosen.

    The edges are fixed: the panels stay where they are while a run grows, and nothing has to be measured twice.
    """
    figure = Figure(figsize=(9.2, 3.4), layout="none")
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.37, top=0.92, wspace=0.3 if found else 0.2)
    axes = figure.subplots(1, 3 if found else 2)
    drawn, best = runs[-len(LINES) :], comparable(runs)[:1] if runs else []
    for run in drawn:
        colour, line, marker = line_of(run)
        style = {"color": colour, "marker": marker, "linewidth": 4 if run in best else 1.8}
        epochs = range(1, len(run.measured) + 1)
        label = f"{run.number}: {run.settings.short}{' (best)' if run in best else ''}"
        axes[0].plot(epochs, [m.watched_accuracy for m in run.measured], line, label=label, **style)
        axes[1].plot(epochs, [m.watched_loss for m in run.measured], line, **style)
        axes[1].plot(epochs, [m.learned_loss for m in run.measured], color=colour, linewidth=1)
    _finish_accuracy(axes[0], drawn)
    _finish_loss(axes[1], drawn)
    if found:
        draw_found(axes[2], found, lr)
    if drawn:
        options = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.23), "ncols": 2, "labelspacing": 0.3}
        figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, handlelength=3, fontsize=9, **options)
    return figure


def draw_found(ax: Axes, found: Found, lr: float) -> None:
    """Draw the loss against the learning rate, its lowest point, the suggestion, and the rate that is chosen."""
    test = found.test
    ax.plot(test.rates, test.losses, color="#BBBBBB", linewidth=1)
    ax.plot(test.rates, test.smooth, color=PALETTE[0], linewidth=2.5)
    ax.plot(test.lowest, min(test.smooth), "v", color=PALETTE[0], markersize=9, label=f"lowest, {test.lowest:.2g}")
    ax.axvline(test.suggestion, color=PALETTE[1], linestyle="--", linewidth=2, label=f"a third, {test.suggestion:.2g}")
    ax.axvline(lr, color="black", linestyle=":", linewidth=2, label=f"chosen, {lr:g}")
    ax.set_xscale("log")
    _decades(ax.xaxis)
    ax.set_ylim(0, 2 * max(test.smooth[:5]))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    _named(ax, f"range test: {found.settings.strategy}", "learning rate")
    legend = ax.legend(loc="upper left", fontsize=10, labelspacing=0.2, handlelength=1.6, framealpha=1, borderpad=0.2)
    legend.get_frame().set_edgecolor("none")


def table_of(runs: Sequence[Run]) -> pd.DataFrame:
    """Return a row a run, the newest first; those that are drawn have the marker of their line, in HTML."""
    lines = []
    for run in reversed(runs):
        how, last = run.settings, run.measured[-1] if run.measured else None
        line = {
            "line": f'<b style="color: {line_of(run)[0]}">{GLYPHS[line_of(run)[2]]}</b>' * (run in runs[-len(LINES) :]),
            "run": run.number,
            "strategy": how.strategy,
            "labels": how.per_class,
            "rate": f"{how.lr:g}",
            "frozen": "by turns" if how.thaws else how.depth,
            "pull": f"{how.strength:g}" if how.pulls else "–",
            "epochs": how.epochs if run.state == "finished" else f"{len(run.measured)} of {how.epochs}",
            "loss": f"{last.watched_loss:.2f}" if last else "",
            "accuracy": f"{last.watched_accuracy:.1f} %" if last else "",
            "took": run.state
            if run.state != "finished"
            else "shipped"
            if run.seconds is None
            else f"{run.seconds:.1f} s",
        }
        lines.append(line)
    return pd.DataFrame(lines)


def describe_runs(runs: Sequence[Run]) -> str:
    """Say how the last run did or how far it is, and which is the best of those with as many labels."""
    if not runs:
        return "No runs. Choose how to train, and press Run: a run takes some seconds."
    said, finished = describe_run(runs[-1]), comparable(runs)
    if len(finished) < 2:
        return said
    best, second = finished[:2]
    lead, doubt = best.accuracy - second.accuracy, ""
    if lead < CHANCE:
        doubt = f"; {lead:.1f} points above run {second.number}, which can be chance" if lead else "; not alone"
    k = best.settings.per_class
    labels = f"{k} label{'s' * (k > 1)} per class"
    return f"{said} Best of {len(finished)} runs with {labels}: run {best.number}, {best.accuracy:.0f} %{doubt}."


def describe_run(run: Run) -> str:
    """Say how a run did, or how far it is."""
    name = f"Run {run.number} ({run.settings})"
    if not run.measured:
        return f"{name} is in its first epoch."
    reads = f"{run.accuracy:.0f} % of {WATCHED} watched images"
    if run.state == "finished":
        return f"{name} moved {run.trained:,} weights and reads {reads}."
    how = {"training": "trains", "stopped": "was stopped", "broke": "broke"}[run.state]
    return f"{name} {how}: after epoch {len(run.measured)} of {run.settings.epochs} it reads {reads}."


def describe_found(found: Found) -> str:
    """Say what a range test found, and for what."""
    tested, suggestion = found.settings, found.test.suggestion
    return (
        f"Range test ({tested.strategy}, {tested.per_class} label{'s' * (tested.per_class > 1)}): lowest at "
        f"{found.test.lowest:.2g}; a third, {suggestion:.2g}, is {nearest_lr(suggestion):g} on the slider."
    )


def _finish_accuracy(ax: Axes, drawn: Sequence[Run]) -> None:
    """Let the axis begin below the lowest point, so that differences of a few points show."""
    lowest = min((m.watched_accuracy for run in drawn for m in run.measured), default=50)
    ax.set_ylim(max(0, lowest - 5), 101)
    _over_epochs(ax, drawn, "accuracy, watched images (%)")


def _finish_loss(ax: Axes, drawn: Sequence[Run]) -> None:
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(max(1e-4, min(low, 0.1)), max(high, 3.0))
    _decades(ax.yaxis)
    _over_epochs(ax, drawn, "loss (nats); thin: learned images")


def _decades(axis: object) -> None:
    """Put ticks at powers of ten only, in plain figures: small ticks and powers cost a third of a picture's time."""
    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _over_epochs(ax: Axes, drawn: Sequence[Run], title: str) -> None:
    """Let the axis have room for the longest run to its end, so that it does not move while one trains."""
    longest = max((run.settings.epochs for run in drawn), default=SHORT.epochs)
    ax.set_xlim(0.7, max(longest, 2) + 0.3)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _named(ax, title, f"epoch ({SHORT.steps} updates of {SHORT.batch} images)")
    if not drawn:
        ax.text(0.5, 0.5, "press Run", transform=ax.transAxes, ha="center", fontsize=13)


def _named(ax: Axes, title: str, below: str) -> None:
    """Put the names at fixed places, so that no figures have to be measured to find one."""
    ax.set_title(title, fontsize=11, y=1.02)
    ax.set_xlabel(below)
    ax.xaxis.set_label_coords(0.5, -0.15)
    plain(ax)
