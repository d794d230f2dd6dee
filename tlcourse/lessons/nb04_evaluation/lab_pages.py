"""Two pages of notebook 04's lab, about one network: its mistakes, and how sure it is."""

from collections.abc import Mapping

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.calibration import fit_temperature, reliability
from tlcourse.evaluation.metrics import confusion_matrix
from tlcourse.lessons.nb04_evaluation import lab_figures as pictures
from tlcourse.lessons.nb04_evaluation.lab_duels import compute_cell, rank_mistakes
from tlcourse.lessons.nb04_evaluation.lab_matrix import MatrixOfButtons
from tlcourse.notebook.controls import buttons, counter, dropdown, relabel, slider
from tlcourse.notebook.evaluation_figures import describe_reliability, draw_reliability
from tlcourse.notebook.lab import page

TEMPERATURES = tuple(round(0.2 * 25 ** (step / 40), 2) for step in range(41))  # 0.2 to 5, 1 in the middle
BINS = (5, 10, 20)
BEHIND = (4.2, 3.3)  # inches
THREE = {"left": 0.065, "right": 0.99, "bottom": 0.13, "top": 0.92, "wspace": 0.22, "width_ratios": (1.25, 1, 1)}
COUNTED = {"images": None, "% of row (recall)": 1, "% of column (precision)": 0}


class MistakesPage:
    """The confusion matrix of a network, and the images behind any of its cells.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about.
    """

    def __init__(self, scores: Mapping[str, torch.Tensor], data: ImageSet) -> None:
        self.scores, self.data = scores, data
        n = len(data.classes)
        self.confusions = {name: confusion_matrix(data.labels, s.argmax(1), n) for name, s in scores.items()}
        self.names = buttons(list(scores), "network", "whose answers are counted")
        self.counted = buttons(list(COUNTED), "cells in", "counts, or shares of the row's or the column's images")
        self.names.value = "letters" if "letters" in scores else self.names.value
        ranked = rank_mistakes(self.confusions[self.names.value])
        first = ranked[0] if ranked else (0, 0)
        self.true = dropdown(range(n), first[0], "true", "the right class: a row")
        self.said = dropdown(range(n), first[1], "said", "the answer: a column")
        self.further = widgets.Button(description="next mistake", tooltip="to the next most frequent mistake")
        self.matrix = MatrixOfButtons(data.classes, lambda row, column: self.chosen(row, column))
        self.chosen = self.choose  # the lab puts its own here, so that the picture is drawn once
        self.controls = [self.names, self.counted, self.true, self.said]
        self.rows = [[self.names, self.counted], [self.true, self.said, self.further]]

    def choose(self, row: int, column: int) -> None:
        """Choose a cell; both lists move."""
        self.true.value, self.said.value = row, column

    def go_on(self) -> None:
        """Choose the next most frequent mistake; after the rarest, the most frequent."""
        ranked = rank_mistakes(self.confusions[self.names.value])
        here = (self.true.value, self.said.value)
        self.true.value, self.said.value = ranked[(ranked.index(here) + 1) % len(ranked) if here in ranked else 0]

    def adjust(self) -> None:
        """Write into both lists how many images each choice holds, and into the matrix what its cells hold."""
        confusion, row = self.confusions[self.names.value], self.true.value
        names, counts = self.data.classes, confusion.sum(1).tolist()
        wrong = [count - int(confusion[i, i]) for i, count in enumerate(counts)]
        relabel(self.true, [f"{names[i]}: {counts[i]} images, {wrong[i]} wrong" for i in range(len(names))])
        said = [f"{names[i]}: {_times(count)}" for i, count in enumerate(confusion[row].tolist())]
        said[row] += " ✓"
        relabel(self.said, said)
        self.further.disabled = not any(wrong)
        self.matrix.show(self._cells(), (row, self.said.value))

    def look(self) -> tuple[Figure, str]:
        """Return the images behind the chosen cell, and the sentences."""
        name, cell = self.names.value, (self.true.value, self.said.value)
        behind = compute_cell(self.scores[name], self.data, *cell)
        figure, (ax,) = page(BEHIND, (0.0, 0.0, 1.0, 0.92))
        sure = self.scores[name].softmax(1)[behind, cell[1]].tolist()
        captions = [f"{100 * share:.0f} %" for share in sure]
        pictures.draw_behind(ax, self.data, behind, captions, cell[0] == cell[1])
        row, column = (self.data.classes[i] for i in cell)
        ax.set_title(f"{row} answered {column}: how sure it was", fontsize=12)
        return figure, self._describe(len(behind), *cell)

    def _cells(self) -> torch.Tensor:
        """Return what stands in the cells: counts, or percent of the row or the column."""
        confusion, along = self.confusions[self.names.value], COUNTED[self.counted.value]
        if along is None:
            return confusion
        return (100 * confusion / confusion.sum(along, keepdim=True).clamp(min=1)).round().long()

    def _describe(self, count: int, row: int, column: int) -> str:
        confusion, names = self.confusions[self.names.value], self.data.classes
        right, every = int(confusion.diagonal().sum()), int(confusion.sum())
        shown = f"; the {pictures.SHOWN} surest are shown" if count > pictures.SHOWN else ""
        recall, precision = (100 * count / max(1, int(confusion.sum(a)[i])) for a, i in ((1, row), (0, column)))
        return (
            f"{self.names.value}: {right} of {every} right. {count} of {int(confusion.sum(1)[row])} images of a "
            f"{names[row]} ({recall:.0f} %) were answered {names[column]}{shown}. "
            f"Of all answers {names[column]}, these are {precision:.0f} %."
        )


class TemperaturePage:
    """The reliability diagram of a network, with a slider for the temperature, and what it does to one image.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about.
    """

    def __init__(self, scores: Mapping[str, torch.Tensor], data: ImageSet) -> None:
        self.scores, self.data = scores, data
        self.best = {name: fit_temperature(values, data.labels) for name, values in scores.items()}
        self.surest = {name: s.softmax(1).amax(1).argsort(descending=True, stable=True) for name, s in scores.items()}
        self._errors: dict[tuple[str, int], dict[float, float]] = {}
        self.names = buttons(list(scores), "network", "whose scores are divided by the temperature")
        self.bins = buttons(BINS, "bins", "how finely the confidences are sorted", 10)
        self.temperature = slider(TEMPERATURES, 1.0, "temperature", "all scores are divided by it", "{:.2f}")
        self.image = counter(len(data), "image (1 = surest)", "which image is shown on the right")
        self.image.value = self._surest_mistake()
        self.controls = [self.names, self.bins, self.temperature, self.image]
        self.rows = [[self.names, self.bins], [self.temperature, self.image]]

    def adjust(self) -> None:
        """Nothing depends on another control here."""

    def _surest_mistake(self) -> int:
        """Return the place of the wrong answer that was given most surely; 1 where all are right."""
        order = self.surest[self.names.value]
        wrong = self.scores[self.names.value].argmax(1)[order] != self.data.labels[order]
        return 1 + int(wrong.int().argmax())

    def errors(self) -> dict[float, float]:
        """Return the calibration error at every temperature of the slider, computed once."""
        key = (self.names.value, self.bins.value)
        if key not in self._errors:
            scores, labels = self.scores[key[0]], self.data.labels
            self._errors[key] = {t: reliability(scores / t, labels, key[1]).error for t in TEMPERATURES}
        return self._errors[key]

    def look(self) -> tuple[Figure, str]:
        """Return the diagram, the error over all temperatures, one image's probabilities, and the sentences."""
        name, heat = self.names.value, self.temperature.value
        bins = reliability(self.scores[name] / heat, self.data.labels, self.bins.value)
        figure, (left, middle, right) = pictures.side_by_side(3, THREE)
        draw_reliability(left, bins, f"{name}, temperature {heat:.2f}")
        left.title.set_fontsize(12)
        pictures.draw_over_temperature(middle, self.errors(), heat, self.best[name])
        chosen = self.surest[name][self.image.value - 1]
        shares, label = (self.scores[name][chosen] / heat).softmax(0), int(self.data.labels[chosen])
        pictures.draw_probabilities(right, self.data.images[chosen], shares, label, self.data.classes)
        return figure, f"{describe_reliability(name, bins)} {self._describe(shares, label)}"

    def _describe(self, shares: torch.Tensor, label: int) -> str:
        name, answer = self.names.value, int(shares.argmax())
        is_right = "right" if answer == label else f"wrong: it is a {self.data.classes[label]}"
        return (
            f"Cross-entropy is lowest at temperature {self.best[name]:.2f}. Image {self.image.value} is answered "
            f"{self.data.classes[answer]} ({100 * shares[answer]:.0f} % sure), {is_right}; no temperature changes that."
        )


def _times(count: int) -> str:
    return "never" if count == 0 else "once" if count == 1 else f"{count} times"
