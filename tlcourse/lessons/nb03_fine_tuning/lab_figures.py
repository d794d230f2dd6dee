"""What the lab of notebook 03 shows: runs laid over each other, a range test, and the sentences that go with them."""

from collections.abc import Mapping, Sequence

import matplotlib.patheffects as effects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tlcourse.lessons.nb03_fine_tuning.figures import BLUE, LINES, RED
from tlcourse.lessons.nb03_fine_tuning.lab_records import SHORT, WATCHED, Run, Settings, best_of, nearest_rate
from tlcourse.notebook.figures import GREY, plain
from tlcourse.training.lr_finder import RangeTest

CHANCE = 5  # points between two runs that can be chance on so few watched images
Places = Mapping[int, int]  # which of `LINES` a run has, by its number; a run without one is not drawn


def draw_bench(runs: Sequence[Run], places: Places, found: tuple[RangeTest, Settings] | None, rate: float) -> Figure:
    """Draw accuracy, loss and, where there was one, the range test.

    The edges are fixed: the panels stay where they are while a run grows, and nothing has to be measured twice.

    Args:
        runs: all runs; those that have a place are drawn.
        places: which of the lines a run has.
        found: a range test and what was tested, or None.
        rate: the rate that is chosen.

    Returns:
        The figure.
    """
    figure = Figure(figsize=(9.2, 3.1), layout="none")
    figure.subplots_adjust(left=0.065, right=0.985, bottom=0.335, top=0.91, wspace=0.3 if found else 0.2)
    axes = figure.subplots(1, 3 if found else 2)
    draw_accuracy(axes[0], runs, places)
    draw_loss(axes[1], runs, places)
    if found:
        draw_found(axes[2], found[0], found[1].strategy, rate)
    names = axes[0].get_legend_handles_labels()
    if names[0]:
        options = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.2), "ncols": 3, "labelspacing": 0.3}
        figure.legend(*names, frameon=False, handlelength=3, **options)
    return figure


def draw_accuracy(ax: Axes, runs: Sequence[Run], places: Places) -> Axes:
    """Draw accuracy on the watched images after every epoch, one line a run, the best one thick and called so.

    Args:
        ax: where to draw.
        runs: all runs; those that have a place are drawn.
        places: which of the lines a run has.

    Returns:
        The axes.
    """
    best = best_of(runs)
    for run in _drawn(runs, places):
        _line(ax, run, [m.watched_accuracy for m in run.measured], places[run.number], run is best)
        ax.lines[-1].set_label(name_run(run, run is best))
    if best and best.number in places:
        options = {"ha": "right", "fontsize": 12, "fontweight": "bold", "color": LINES[places[best.number]][0]}
        end = (len(best.measured), best.accuracy)
        text = ax.annotate("best", end, (4, 7), textcoords="offset points", zorder=4, **options)
        text.set_path_effects([effects.withStroke(linewidth=3, foreground="white")])
    ax.axhline(10, color=GREY, linewidth=1, linestyle=":")
    ax.annotate("guessing", (0.99, 11.5), xycoords=("axes fraction", "data"), ha="right", fontsize=10, color=GREY)
    ax.set_ylim(0, 112)
    ax.set_yticks(range(0, 101, 25))
    ax.set_title("accuracy, watched images (%)", fontsize=11, y=1.02)
    return _over_epochs(ax, runs, places)


def draw_loss(ax: Axes, runs: Sequence[Run], places: Places) -> Axes:
    """Draw the loss after every epoch: with markers on the watched images, thin on those learned from.

    Args:
        ax: where to draw.
        runs: all runs; those that have a place are drawn.
        places: which of the lines a run has.

    Returns:
        The axes.
    """
    best = best_of(runs)
    for run in _drawn(runs, places):
        _line(ax, run, [m.watched_loss for m in run.measured], places[run.number], run is best)
        epochs = range(1, len(run.measured) + 1)
        ax.plot(epochs, [m.learned_loss for m in run.measured], color=LINES[places[run.number]][0], linewidth=1)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(max(1e-4, min(low, 0.1)), max(high, 3.0))
    _decades(ax.yaxis)
    ax.set_title("loss (nats); thin: learned images", fontsize=11, y=1.02)
    return _over_epochs(ax, runs, places)


def draw_found(ax: Axes, found: RangeTest, strategy: str, rate: float) -> Axes:
    """Draw the loss against the rate of a range test, its lowest point, its suggestion, and the rate that is chosen.

    Args:
        ax: where to draw.
        found: what the test measured.
        strategy: what was tested.
        rate: where the control stands.

    Returns:
        The axes.
    """
    ax.plot(found.rates, found.losses, color="#BBBBBB", linewidth=1)
    ax.plot(found.rates, found.smooth, color=BLUE, linewidth=2.5)
    ax.plot(found.lowest, min(found.smooth), "v", color=BLUE, markersize=9, label=f"lowest, {found.lowest:.2g}")
    ax.axvline(found.suggestion, color=RED, linestyle="--", linewidth=2, label=f"a third, {found.suggestion:.2g}")
    ax.axvline(rate, color="black", linestyle=":", linewidth=2, label=f"chosen, {rate:g}")
    ax.set_xscale("log")
    _decades(ax.xaxis)
    ax.set_ylim(0, 2 * max(found.smooth[:5]))
    ax.yaxis.set_major_locator(MaxNLocator(3))
    _below(ax, "learning rate")
    ax.set_title(f"range test: {strategy}", fontsize=11, y=1.02)
    legend = ax.legend(loc="upper left", fontsize=10, labelspacing=0.2, handlelength=1.6, framealpha=1, borderpad=0.2)
    legend.get_frame().set_edgecolor("none")
    return plain(ax)


def name_run(run: Run, best: bool) -> str:
    """Name a run for the legend, in a few words."""
    frozen = f", {run.settings.depth} frozen" * bool(run.settings.depth and not run.settings.thaws)
    return f"{run.number}: {run.settings.strategy}{frozen}{' (best)' if best else ''}"


def describe_runs(runs: Sequence[Run], places: Places) -> str:
    """Say in some sentences what the picture shows: the last run, how many are drawn, and which is the best so far."""
    if not runs:
        return "No runs. Choose how to train, and press Run: a run takes some seconds."
    best, finished = best_of(runs), [run for run in runs if run.state == "finished"]
    said = f"{describe_run(runs[-1])} Shown: {len(_drawn(runs, places))} of {len(runs)}."
    if len(finished) < 2:
        return said
    second = max((run for run in finished if run is not best), key=lambda run: run.accuracy)
    lead = best.accuracy - second.accuracy
    above = (
        f"{lead:.1f} points above run {second.number}, which can be chance"
        if lead
        else f"run {second.number} is as good"
    )
    doubt = "" if lead >= CHANCE else f"; {above}"
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


def describe_plan(settings: Settings) -> str:
    """Say what the next run will be."""
    return f"Next: {settings}{', which frees the stages one by one' * settings.thaws}."


def describe_found(found: RangeTest, tested: Settings) -> str:
    """Say what a range test found, and for what."""
    labels = f"{tested.per_class} label{'s' * (tested.per_class > 1)}"
    return (
        f"Range test ({tested.strategy}, {labels}): lowest at {found.lowest:.2g}; a third, {found.suggestion:.2g}, is "
        f"{nearest_rate(found.suggestion):g} on the slider."
    )


def _drawn(runs: Sequence[Run], places: Places) -> list[Run]:
    return [run for run in runs if run.number in places]


def _line(ax: Axes, run: Run, values: Sequence[float], place: int, best: bool) -> None:
    """Draw one value an epoch; the best run is thick and lies on top."""
    colour, line, marker = LINES[place]
    width, size = (4, 8) if best else (1.8, 6)
    options = {"color": colour, "marker": marker, "linewidth": width, "markersize": size, "zorder": 3 if best else 2}
    ax.plot(range(1, len(values) + 1), values, line, **options)


def _decades(axis: object) -> None:
    """Put ticks at powers of ten only, in plain figures: small ticks and powers cost a third of a picture's time."""
    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _over_epochs(ax: Axes, runs: Sequence[Run], places: Places) -> Axes:
    """Let the axis have room for the longest run to its end, so that it does not move while one trains."""
    longest = max((run.settings.epochs for run in _drawn(runs, places)), default=SHORT.epochs)
    ax.set_xlim(0.7, max(longest, 2) + 0.3)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _below(ax, f"epoch ({SHORT.steps} updates of {SHORT.batch} images)")
    if not _drawn(runs, places):
        ax.text(0.5, 0.5, "tick a run in the table,\nor press Run", transform=ax.transAxes, ha="center", fontsize=13)
    return plain(ax)


def _below(ax: Axes, name: str) -> None:
    """Name the axis at a fixed place, so that no figures have to be measured to find one."""
    ax.set_xlabel(name)
    ax.xaxis.set_label_coords(0.5, -0.15)
