"""The lab of notebook 03, the training bench: choose how to train, run it for a moment, and compare the runs."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.checkpoints import History
from tlcourse.data.domains import load
from tlcourse.data.imageset import ImageSet
from tlcourse.experiments.strategies import STRATEGIES
from tlcourse.experiments.trials import Recipe
from tlcourse.finetuning import count_weights, freeze, trainable
from tlcourse.labs.lab import Lab
from tlcourse.plots import GREY, plain
from tlcourse.plots.fine_tuning import LINES

OFFERED = (
    *("fine-tuned", "LP-FT", "layer-wise rates", "discriminative rates", "gradual unfreezing", "L2-SP"),
    *("label smoothing", "scratch"),
)
LABELS = (1, 2, 5, 10, 20, 50)
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SHORT = Recipe(epochs=8, steps=6)  # about half of the notebook's budget, so that a run takes a second or two
WATCHED = 300  # images that accuracy is measured on after every epoch
SHOWN = len(LINES)  # runs in the picture


@dataclass(frozen=True)
class Run:
    """One training on the bench.

    Attributes:
        number: the how-manieth, from 1.
        strategy: one of `OFFERED`.
        per_class: labelled images a class.
        rate: highest learning rate.
        depth: how many stages were frozen; None where the strategy decides.
        trained: how many weights could move at the end.
        history: loss and validation accuracy of every epoch.
    """

    number: int
    strategy: str
    per_class: int
    rate: float
    depth: int | None
    trained: int
    history: History

    @property
    def accuracy(self) -> float:
        """Return the accuracy after the last epoch, in percent: not the best on the way, which would flatter."""
        return self.history.validation_accuracy[-1]

    def __str__(self) -> str:
        """Say what was run, in a few words."""
        frozen = "" if self.depth is None else f", {self.depth} frozen"
        return f"{self.number}: {self.strategy}, {self.per_class} labels, rate {self.rate:g}{frozen}"


def bench_images(per_class: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Return labelled images to learn from, and other images of the training half to watch.

    The test half is not touched: whoever tries settings until the number is right would be choosing on it.

    Args:
        per_class: labelled images a class.
        seed: which images.

    Returns:
        Two sets that share no image.
    """
    half = load("handwritten-photo")
    learn = half.few(per_class, seed)
    watched = half.few(WATCHED // 10 + 50, seed)  # the choice begins with the same images, so cut those off
    rest = torch.arange(len(watched)).view(10, -1)[:, 50:].flatten()
    return learn, watched.subset(rest)


def compute_run(number: int, strategy: str, per_class: int, rate: float, depth: int, recipe: Recipe = SHORT) -> Run:
    """Train for a moment, and measure after every epoch.

    Args:
        number: what to call the run.
        strategy: one of `OFFERED`.
        per_class: labelled images a class, at most 50.
        rate: highest learning rate.
        depth: how many stages of the backbone to freeze; gradual unfreezing decides for itself.
        recipe: the budget, the same for all runs.

    Returns:
        The run.

    Raises:
        ValueError: there is no such strategy on the bench.
    """
    if strategy not in OFFERED:
        raise ValueError(f"the bench has no strategy {strategy!r}. Expected one of: {', '.join(OFFERED)}.")
    learn, watch = bench_images(per_class)
    model = STRATEGIES[strategy].start(seed=0)
    decides = strategy == "gradual unfreezing"
    if not decides:
        freeze(model, depth)
    history = STRATEGIES[strategy].train(model, learn, 0, rate, recipe, validation=watch)
    trained = count_weights(trainable(model))
    return Run(number, strategy, per_class, rate, None if decides else depth, trained, history)


def best_of(runs: Sequence[Run]) -> Run:
    """Return the run that ended highest."""
    return max(runs, key=lambda run: run.accuracy)


def describe_runs(runs: Sequence[Run]) -> str:
    """Say in a sentence or two how the last run did, and which is the best so far."""
    if not runs:
        return "No run yet. Choose how to train, and press Run: a run takes a second or two."
    last, best = runs[-1], best_of(runs)
    said = (
        f"Run {last.number} ({last.strategy}) trained {last.trained:,} weights in {last.history.seconds:.1f} s and "
        f"reads {last.accuracy:.0f} % of {WATCHED} images that it did not learn from."
    )
    if len(runs) == 1:
        return said
    return f"{said} Best of {len(runs)} runs: {best}, with {best.accuracy:.0f} %."


def draw_runs(ax: Axes, runs: Sequence[Run]) -> Axes:
    """Draw accuracy after every epoch, one line a run, the best one thick.

    Args:
        ax: where to draw.
        runs: at most the last six are drawn, and always the best.

    Returns:
        The axes.
    """
    shown = list(runs[-SHOWN:])
    if runs and best_of(runs) not in shown:
        shown[0] = best_of(runs)
    for run in shown:
        colour, line, marker = LINES[(run.number - 1) % SHOWN]
        best = len(runs) > 1 and run is best_of(runs)
        percent = run.history.validation_accuracy
        name = f"{run} → {run.accuracy:.0f} %{' (best)' if best else ''}"
        epochs = range(1, len(percent) + 1)
        ax.plot(epochs, percent, line, color=colour, marker=marker, linewidth=4 if best else 1.8, label=name)
    ax.axhline(10, color=GREY, linewidth=1, linestyle=":")
    ax.annotate("guessing", (SHORT.epochs, 11.5), ha="right", fontsize=10, color=GREY)
    ax.set_xlim(0.8, SHORT.epochs + 0.2)
    ax.set_ylim(0, 100)
    ax.set_xlabel(f"epoch ({SHORT.steps} updates of {SHORT.batch} images each)")
    ax.set_ylabel("accuracy on watched images (%)")
    if shown:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        ax.text(SHORT.epochs / 2 + 0.5, 55, "press Run", ha="center", fontsize=16, color=GREY)
    return plain(ax)


class BenchLab(Lab):
    """Controls for a training, a Run button, and all runs so far in one picture.

    Attributes:
        runs: every run, in order.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.strategy = widgets.Dropdown(options=OFFERED, value="fine-tuned", description="strategy")
        self.labels = widgets.SelectionSlider(options=LABELS, value=5, description="labels a class")
        self.rate = widgets.SelectionSlider(options=[(f"{r:g}", r) for r in RATES], value=3e-3, description="rate")
        self.depth = widgets.IntSlider(0, min=0, max=5, description="frozen stages")
        self.go = widgets.Button(description="Run", button_style="primary", tooltip="train for a second or two")
        self.clear = widgets.Button(description="Clear", tooltip="forget all runs")
        controls = [self.strategy, self.labels, self.rate, self.depth]
        for control in controls:
            control.style.description_width = "7em"
        super().__init__(controls)
        self.go.on_click(lambda _button: self.run())
        self.clear.on_click(self._forget)
        buttons = widgets.HBox([self.go, self.clear])
        self.widget.children = (*controls, buttons, self.text, self.picture)

    def look(self) -> tuple[Figure, str]:
        """Return the picture of all runs, and what the last one did."""
        figure, ax = plt.subplots(figsize=(10.5, 4), layout="constrained")
        draw_runs(ax, self.runs)
        return figure, describe_runs(self.runs)

    def plan(self) -> str:
        """Say in a sentence what the next run will do."""
        self.depth.disabled = self.strategy.value == "gradual unfreezing"
        frozen = "it frees the stages one by one" if self.depth.disabled else f"{self.depth.value} of 5 stages frozen"
        chosen = f"{self.strategy.value}, {self.labels.value} labels a class, rate {self.rate.value:g}, {frozen}"
        return f"Next run: {chosen}."

    def run(self) -> None:
        """Train as the controls say; the button is off meanwhile, so that runs do not pile up."""
        self.go.disabled = True
        self.text.value = "<p>Training…</p>"
        try:
            values = (control.value for control in (self.strategy, self.labels, self.rate, self.depth))
            self.runs.append(compute_run(len(self.runs) + 1, *values))
            self._draw()
        except Exception as error:
            self.text.value = f"<p><b>The run stopped: {html.escape(str(error))}</b></p>"
            raise
        finally:
            self.go.disabled = False

    def _update(self, _change: object) -> None:
        """Say what the controls mean; the picture waits for the button."""
        try:
            sentences = (describe_runs(self.runs), self.plan())
            self.text.value = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
        except Exception as error:
            self.text.value = f"<p><b>The lab stopped: {html.escape(str(error))}.</b> Run the cell again.</p>"
            raise

    def _draw(self) -> None:
        super()._draw()
        self._update(None)

    def _forget(self, _button: object) -> None:
        """Begin again with no runs."""
        self.runs.clear()
        self._draw()


def bench() -> widgets.Widget:
    """Return the lab as one widget; nothing is trained before Run is pressed.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return BenchLab().widget
