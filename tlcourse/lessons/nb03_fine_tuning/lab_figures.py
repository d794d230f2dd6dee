"""What the lab of notebook 03 shows: runs laid over each other, a range test, and the sentences that go with them."""

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tlcourse.lessons.nb03_fine_tuning.figures import BLUE, LINES, RED
from tlcourse.lessons.nb03_fine_tuning.lab_runs import SHORT, WATCHED, Found, Run, best_of, nearest_lr
from tlcourse.notebook.figures import GREY, plain

CHANCE = 5  # points between two runs that can be chance on so few watched images
Places = Mapping[int, int]  # which of `LINES` a run has, by its number; a run without one is not drawn


def draw_runs(runs: Sequence[Run], places: Places, found: Found | None, lr: float) -> Figure:
    """Draw accuracy, loss and, where there was one, the range test with the learning rate that is chosen.

    The edges are fixed: the panels stay where they are while a run grows, and nothing has to be measured twice.
    """
    figure = Figure(figsize=(9.2, 3.1), layout="none")
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.335, top=0.91, wspace=0.3 if found else 0.2)
    axes = figure.subplots(1, 3 if found else 2)
    best, drawn = best_of(runs), [run for run in runs if run.number in places]
    draw_accuracy(axes[0], drawn, places, best)
    draw_loss(axes[1], drawn, places, best)
    if found:
        draw_found(axes[2], found, lr)
    if drawn:
        options = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.2), "ncols": 3, "labelspacing": 0.3}
        figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, handlelength=3, **options)
    return figure


def draw_accuracy(ax: Axes, drawn: Sequence[Run], places: Places, best: Run | None) -> None:
    """Draw accuracy on the watched images after every epoch, one line a run, the best one thick and called so."""
    for run in drawn:
        name = f"{run.number}: {run.settings.strategy}{run.settings.frozen}{' (best)' if run is best else ''}"
        _line(ax, run, [m.watched_accuracy for m in run.measured], places, best, label=name)
    if best in drawn:
        options = {"ha": "right", "fontsize": 12, "fontweight": "bold", "color": LINES[places[best.number]][0]}
        end = (len(best.measured), best.accuracy)
        text = ax.annotate("best", end, (4, 7), textcoords="offset points", zorder=4, **options)
        text.set_path_effects([effects.withStroke(linewidth=3, foreground="white")])
    ax.axhline(10, color=GREY, linewidth=1, linestyle=":")
    ax.annotate("guessing", (0.99, 11.5), xycoords=("axes fraction", "data"), ha="right", fontsize=10, color=GREY)
    ax.set_ylim(0, 112)
    ax.set_yticks(range(0, 101, 25))
    _over_epochs(ax, drawn, "accuracy, watched images (%)")


def draw_loss(ax: Axes, drawn: Sequence[Run], places: Places, best: Run | None) -> None:
    """Draw the loss after every epoch: with markers on the watched images, thin on those learned from."""
    for run in drawn:
        _line(ax, run, [m.watched_loss for m in run.measured], places, best)
        epochs = range(1, len(run.measured) + 1)
        ax.plot(epochs, [m.learned_loss for m in run.measured], color=LINES[places[run.number]][0], linewidth=1)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(max(1e-4, min(low, 0.1)), max(high, 3.0))
    _decades(ax.yaxis)
    _over_epochs(ax, drawn, "loss (nats); thin: learned images")


def draw_found(ax: Axes, found: Found, lr: float) -> None:
    """Draw the loss against the learning rate, its lowest point, the suggestion, and the rate that is chosen."""
    test = found.test
    ax.plot(test.rates, test.losses, color="#BBBBBB", linewidth=1)
    ax.plot(test.rates, test.smooth, color=BLUE, linewidth=2.5)
    ax.plot(test.lowest, min(test.smooth), "v", color=BLUE, markersize=9, label=f"lowest, {test.lowest:.2g}")
    ax.axvline(test.suggestion, color=RED, linestyle="--", linewidth=2, label=f"a third, {test.suggestion:.2g}")
    ax.axvline(lr, color="black", linestyle=":", linewidth=2, label=f"chosen, {lr:g}")
    ax.set_xscale("log")
    _decades(ax.xaxis)
    ax.set_ylim(0, 2 * max(test.smooth[:5]))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    _named(ax, f"range test: {found.settings.strategy}", "learning rate")
    legend = ax.legend(loc="upper left", fontsize=10, labelspacing=0.2, handlelength=1.6, framealpha=1, borderpad=0.2)
    legend.get_frame().set_edgecolor("none")


def describe_runs(runs: Sequence[Run], places: Places) -> str:
    """Say what the picture shows: the last run, how many are drawn, and which is the best so far."""
    if not runs:
        return "No runs. Choose how to train, and press Run: a run takes some seconds."
    best, finished = best_of(runs), [run for run in runs if run.state == "finished"]
    said = f"{describe_run(runs[-1])} Shown: {sum(run.number in places for run in runs)} of {len(runs)}."
    if len(finished) < 2:
        return said
    second = max((run for run in finished if run is not best), key=lambda run: run.accuracy)
    lead, doubt = best.accuracy - second.accuracy, ""
    if not lead:
        doubt = f"; run {second.number} is as good"
    elif lead < CHANCE:
        doubt = f"; {lead:.1f} points above run {second.number}, which can be chance"
    return f"{said} Best of {len(finished)} finished: run {best.number} with {best.accuracy:.0f} %{doubt}."


def describe_run(run: Run) -> str:
    """Say how a run did, or how far it is."""
    name = f"Run {run.number} ({run.settings})"
    if not run.measured:
        return f"{name} is in its first epoch." if run.state == "training" else f"{name} ended in its first epoch."
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


def _line(ax: Axes, run: Run, values: Sequence[float], places: Places, best: Run | None, **options: str) -> None:
    """Draw one value an epoch; the best run is thick and lies on top."""
    colour, line, marker = LINES[places[run.number]]
    width, size, order = (4, 8, 3) if run is best else (1.8, 6, 2)
    options |= {"color": colour, "marker": marker, "linewidth": width, "markersize": size, "zorder": order}
    ax.plot(range(1, len(values) + 1), values, line, **options)


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
        ax.text(0.5, 0.5, "tick a run in the table,\nor press Run", transform=ax.transAxes, ha="center", fontsize=13)


def _named(ax: Axes, title: str, below: str) -> None:
    """Put the names at fixed places, so that no figures have to be measured to find one."""
    ax.set_title(title, fontsize=11, y=1.02)
    ax.set_xlabel(below)
    ax.xaxis.set_label_coords(0.5, -0.15)
    plain(ax)
