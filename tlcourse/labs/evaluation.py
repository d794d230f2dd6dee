"""The lab of notebook 04, the judge: mistakes, calibration, and whether A is better than B."""

from collections.abc import Mapping
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.calibration import Reliability, fit_temperature, reliability
from tlcourse.comparison import McNemar, mcnemar
from tlcourse.data.imageset import ImageSet
from tlcourse.experiments.evaluating import RIVALS
from tlcourse.labs.lab import Lab
from tlcourse.metrics import confusion_matrix
from tlcourse.plots import draw_images, plain
from tlcourse.plots.evaluation import describe_reliability, draw_confusion, draw_reliability
from tlcourse.plots.uncertainty import PALETTE, draw_intervals
from tlcourse.repro import generator
from tlcourse.stats import Interval, t_interval

SHOWN = 12  # images behind a cell
HOTTEST = 5.0


@dataclass(frozen=True)
class Duel:
    """What a small experiment with both rivals would have found.

    Attributes:
        accuracy: mean accuracy of each rival, in percent.
        over_seeds: t interval of the difference, were other trainings drawn, in points.
        over_images: the same, were other test images drawn.
        single: McNemar's test of the first seed's two networks.
        widths: half the width of the interval over seeds by number of seeds, in points.
        verdict: which is better, or which luck leaves it open.
    """

    accuracy: dict[str, float]
    over_seeds: Interval
    over_images: Interval
    single: McNemar
    widths: dict[int, float]
    verdict: str


def compute_cell(answers: torch.Tensor, data: ImageSet, row: int, column: int) -> torch.Tensor:
    """Return which images stand behind a cell of the confusion matrix.

    Args:
        answers: class numbers, int64 `[N]`.
        data: the images that were asked about.
        row: right class.
        column: answer.

    Returns:
        Indices, int64 `[M]`.
    """
    return ((data.labels == row) & (answers == column)).nonzero()[:, 0]


def compute_duel(hits: Mapping[str, torch.Tensor], seeds: int, images: int, draw: int) -> Duel:
    """Repeat the comparison of both rivals with so many seeds and test images, drawn from the shipped answers.

    Args:
        hits: whether each rival reads each image, bool `[seeds, N]`, by name.
        seeds: how many seeds, from 2 to as many as there are.
        images: how many test images, from 1 to N.
        draw: which draw of seeds and images.

    Returns:
        What would have been found.
    """
    order = generator("duel", draw)
    total, every = hits[RIVALS[0]].shape
    chosen, tested = torch.randperm(total, generator=order), torch.randperm(every, generator=order)[:images]
    a, b = (100 * hits[name][chosen][:, tested].double() for name in RIVALS)  # [all seeds, images]
    per_seed = (a - b).mean(1)
    over_seeds, over_images = t_interval(per_seed[:seeds].tolist()), t_interval((a - b)[:seeds].mean(0).tolist())
    single = mcnemar(*(hits[name][chosen[0], tested].numpy() for name in RIVALS))
    widths = {n: i.high - i.mean for n in range(2, total + 1) for i in [t_interval(per_seed[:n].tolist())]}
    accuracy = {name: v[:seeds].mean().item() for name, v in zip(RIVALS, (a, b), strict=True)}
    return Duel(accuracy, over_seeds, over_images, single, widths, give_verdict(over_seeds, over_images))


def give_verdict(over_seeds: Interval, over_images: Interval) -> str:
    """Say which rival is better, if both intervals of their difference allow it, or which luck leaves it open."""
    lucks = {"seeds": over_seeds, "images": over_images}
    open_to = " and ".join(luck for luck, i in lucks.items() if i.low <= 0 <= i.high)
    if open_to:
        return f"cannot tell: other {open_to} could turn it"
    return f"{RIVALS[0] if over_seeds.low > 0 else RIVALS[1]} is better"


def draw_widths(ax: Axes, duel: Duel, seeds: int) -> Axes:
    """Draw how uncertain the difference is against the number of seeds, and mark where the control stands.

    Args:
        ax: where to draw.
        duel: what was found.
        seeds: where the control stands.

    Returns:
        The axes.
    """
    widths, images = duel.widths, duel.over_images.high - duel.over_images.mean
    ax.plot(list(widths), list(widths.values()), color=PALETTE[0], marker="o", linewidth=2, label="luck of seeds")
    ax.axhline(images, color=PALETTE[1], linewidth=2, label="luck of images, at these seeds")
    ax.axvline(seeds, color="black", linewidth=1, linestyle="--")
    ax.legend(frameon=False, fontsize=10)
    ax.set_xticks([2, *range(5, max(widths) + 1, 5)])
    ax.set_xlabel("seeds")
    ax.set_ylabel("difference known to ± (points)")
    ax.set_ylim(0, 10)
    return plain(ax)


class MistakesLab(Lab):
    """The confusion matrix of a network, and the images behind any of its cells.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about.
    """

    def __init__(self, scores: Mapping[str, torch.Tensor], data: ImageSet) -> None:
        self.data, self.answers = data, {name: values.argmax(1) for name, values in scores.items()}
        self.names = _buttons(scores, "network")
        classes = [(name, i) for i, name in enumerate(data.classes)]
        self.row = widgets.SelectionSlider(options=classes, value=9, description="right class")
        self.column = widgets.SelectionSlider(options=classes, value=7, description="answer")
        super().__init__([self.names, self.row, self.column])

    def look(self) -> tuple[Figure, str]:
        """Return the matrix with the images behind the chosen cell, and the sentence."""
        answers, cell = self.answers[self.names.value], (self.row.value, self.column.value)
        behind = compute_cell(answers, self.data, *cell)
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))  # a computed layout would take twice as long
        confusion = confusion_matrix(self.data.labels, answers, len(self.data.classes))
        draw_confusion(left, confusion, self.data.classes, cell)
        page = torch.full((SHOWN, *self.data.images.shape[1:]), 255, dtype=torch.uint8)  # white where there are fewer
        page[: len(behind)] = self.data.images[behind[:SHOWN]]
        draw_images(right, page, 4)
        row, column = (self.data.classes[i] for i in cell)
        right.set_title(f"right class {row}, answered {column}")
        shown = f"; the first {SHOWN} are shown" if len(behind) > SHOWN else ""
        return figure, f"{self.names.value}: {len(behind)} images of a {row} were answered {column}{shown}."


class TemperatureLab(Lab):
    """The reliability diagram of a network, with a slider for the temperature.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about.
    """

    def __init__(self, scores: Mapping[str, torch.Tensor], data: ImageSet) -> None:
        self.scores, self.data = scores, data
        self.names = _buttons(scores, "network")
        self.temperature = widgets.FloatSlider(1.0, min=0.2, max=HOTTEST, step=0.1, description="temperature")
        self.best = {name: fit_temperature(values, data.labels) for name, values in scores.items()}
        super().__init__([self.names, self.temperature])

    def compute(self) -> Reliability:
        """Return the bins at the slider's temperature."""
        return reliability(self.scores[self.names.value] / self.temperature.value, self.data.labels)

    def look(self) -> tuple[Figure, str]:
        """Return the diagram and the sentence."""
        name, bins = self.names.value, self.compute()
        figure, ax = plt.subplots(figsize=(6, 4.4))
        title = f"{name}, temperature {self.temperature.value:.1f}: error {bins.error:.1f} points"
        draw_reliability(ax, bins, title)
        fitted = f"The cross-entropy is lowest at temperature {self.best[name]:.2f}."
        return figure, f"{describe_reliability(name, bins)} {fitted}"


class DuelLab(Lab):
    """Is A better than B? The same comparison with fewer or more seeds and test images.

    Args:
        hits: whether each rival reads each image, bool `[seeds, N]`, by name.
    """

    def __init__(self, hits: Mapping[str, torch.Tensor]) -> None:
        self.hits = hits
        total, every = hits[RIVALS[0]].shape
        self.seeds = widgets.IntSlider(5, min=2, max=total, description="seeds")
        self.images = widgets.IntSlider(every, min=50, max=every, description="test images")
        self.draw = widgets.IntSlider(1, min=1, max=20, description="draw")
        super().__init__([self.seeds, self.images, self.draw])

    def look(self) -> tuple[Figure, str]:
        """Return the intervals with the width over the seeds, and the verdict."""
        duel = compute_duel(self.hits, self.seeds.value, self.images.value, self.draw.value)
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=(1.3, 1))
        intervals = {"over seeds": duel.over_seeds, "over images": duel.over_images}
        draw_intervals(left, intervals, f"{RIVALS[0]} minus {RIVALS[1]} (points)", zero=True)
        left.set_title(duel.verdict)
        draw_widths(right, duel, self.seeds.value)
        parts = ", ".join(f"{name} {percent:.1f} %" for name, percent in duel.accuracy.items())
        found = (
            f"{self.seeds.value} seeds, {self.images.value} test images: {parts}; difference {duel.over_seeds} points"
        )
        return figure, f"{found} over seeds, {duel.over_images} over images: {duel.verdict}. First seed: {duel.single}."


def judge(scores: Mapping[str, torch.Tensor], data: ImageSet, hits: Mapping[str, torch.Tensor]) -> widgets.Widget:
    """Return the lab: three pages, for mistakes, temperature, and the duel of the two rivals.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about: validation images.
        hits: whether each rival reads each test image, bool `[seeds, N]`, by name.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    pages = [MistakesLab(scores, data), TemperatureLab(scores, data), DuelLab(hits)]
    return widgets.Tab([page.widget for page in pages], titles=["mistakes", "temperature", "is A better than B?"])


def _buttons(names: Mapping[str, object], description: str) -> widgets.ToggleButtons:
    buttons = widgets.ToggleButtons(options=list(names), value=next(iter(names)), description=description)
    buttons.style.button_width = "auto"
    return buttons
