"""The lab of notebook 04: mistakes, calibration, the width of intervals, and whether A is better than B."""

import functools
from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import fit_temperature, reliability
from tlcourse.evaluation.metrics import confusion_matrix
from tlcourse.lessons.nb04_evaluation import lab_figures as pictures
from tlcourse.lessons.nb04_evaluation.comparing import (
    NOTHING,
    Experiments,
    Hits,
    compute_cell,
    compute_comparison,
    rank_mistakes,
)
from tlcourse.lessons.nb04_evaluation.confusion_buttons import ConfusionButtons
from tlcourse.lessons.nb04_evaluation.experiment import hits_of
from tlcourse.notebook.controls import Choice, Dropdown, IntRange, Slider, relabel
from tlcourse.notebook.evaluation_figures import draw_reliability
from tlcourse.notebook.jobs import action
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.results import results
from tlcourse.notebook.tabs import Tabs

TEMPERATURES = tuple(round(0.2 * 25 ** (step / 40), 2) for step in range(41))  # 0.2 to 5, 1 in the middle
BINS = (5, 10, 20)
COUNTED = {"images": None, "% of row (recall)": 1, "% of column (precision)": 0}
SIZE, BEHIND = (9.3, 3.7), (4.2, 3.3)  # inches
# where axes stand (left, bottom, width, height, as shares of the picture)
IMAGES = (0.0, 0.0, 1.0, 0.92)
BARS, ERRORS, ONE_IMAGE = (0.065, 0.13, 0.31, 0.79), (0.434, 0.13, 0.248, 0.79), (0.742, 0.13, 0.248, 0.79)
OVER_SEEDS, OVER_IMAGES = (0.07, 0.14, 0.432, 0.83), (0.528, 0.14, 0.432, 0.83)
DIFFERENCES, VERDICTS = (0.115, 0.15, 0.419, 0.75), (0.62, 0.15, 0.365, 0.75)


class MistakesLab(Lab):
    """The confusion matrix of a network, and the images behind any of its cells; logits are `[N, classes]` by name."""

    network = Choice("network", lambda lab: tuple(lab.logits), lambda lab: lab.first, "whose answers are counted")
    counted = Choice("cells in", tuple(COUNTED), tip="counts, or shares of the row's or the column's images")
    true = Dropdown("true", lambda lab: lab.numbers, lambda lab: lab.next()[0], "the right class: a row", width="19em")
    said = Dropdown("said", lambda lab: lab.numbers, lambda lab: lab.next()[1], "the answer: a column", width="19em")
    rows = (("network", "counted"), ("true", "said", "further"), "sentence", ("matrix", "picture"))

    def __init__(self, logits: Mapping[str, torch.Tensor], data: ImageSet) -> None:
        self.logits, self.data = logits, data
        self.first = "letters" if "letters" in logits else next(iter(logits))
        self.numbers = {name: number for number, name in enumerate(data.classes)}
        n = len(data.classes)
        self.confusions = {name: confusion_matrix(data.labels, one.argmax(1), n) for name, one in logits.items()}
        self.matrix = ConfusionButtons(data.classes, self.choose)
        super().__init__()

    def next(self, network: str | None = None, cell: tuple[int, int] | None = None) -> tuple[int, int]:
        """Return the next most frequent mistake; after the rarest, the most frequent."""
        ranked = rank_mistakes(self.confusions[network or self.first]) or [(0, 0)]
        return ranked[(ranked.index(cell) + 1) % len(ranked) if cell in ranked else 0]

    def choose(self, row: int, column: int) -> None:
        """Choose a cell; both lists move."""
        with self.errors_shown(), self.at_once():
            self.true, self.said = row, column

    @action("next mistake", "to the next most frequent mistake")
    def further(self) -> None:
        """Choose the next mistake."""
        self.true, self.said = self.next(self.network, (self.true, self.said))

    def adjust(self) -> None:
        """Write into both lists how many images each choice holds, and into the matrix what its cells hold."""
        confusion, row, names = self.confusions[self.network], self.true, self.data.classes
        counts = confusion.sum(1).tolist()
        wrong = [count - int(confusion[i, i]) for i, count in enumerate(counts)]
        relabel(self.controls["true"], [f"{names[i]}: {counts[i]} images, {wrong[i]} wrong" for i in range(len(names))])
        said = [f"{names[i]}: {times(count)}" for i, count in enumerate(confusion[row].tolist())]
        said[row] += " ✓"
        relabel(self.controls["said"], said)
        self.controls["further"].disabled = not any(wrong)
        self.matrix.show(self.shown(), (row, self.said))

    def shown(self) -> torch.Tensor:
        """Return what stands in the cells: counts, or percent of the row or the column."""
        confusion, along = self.confusions[self.network], COUNTED[self.counted]
        if along is None:
            return confusion
        return (100 * confusion / confusion.sum(along, keepdim=True).clamp(min=1)).round().long()

    def look(self, network: str, counted: str, true: int, said: int) -> tuple[Figure, str]:
        """Return the images behind the chosen cell, and the sentences."""
        behind = compute_cell(self.logits[network], self.data, true, said)
        sure = self.logits[network].softmax(1)[behind, said].tolist()
        figure, (ax,) = page(BEHIND, IMAGES)
        pictures.draw_behind(ax, self.data, behind, [f"{100 * share:.0f} %" for share in sure], true == said)
        ax.set_title(f"{self.data.classes[true]} answered {self.data.classes[said]}: how sure it was", fontsize=12)
        return figure, f"{self.describe(network, len(behind), true, said)} The matrix counts {counted}."

    def describe(self, network: str, count: int, row: int, column: int) -> str:
        """Say how many images are behind a cell, and what share of its row and its column that is."""
        confusion, names = self.confusions[network], self.data.classes
        right, every = int(confusion.diagonal().sum()), int(confusion.sum())
        shown = f"; the {pictures.SHOWN} surest are shown" if count > pictures.SHOWN else ""
        recall, precision = (100 * count / max(1, int(confusion.sum(a)[i])) for a, i in ((1, row), (0, column)))
        return (
            f"{network}: {right} of {every} right. {count} of {int(confusion.sum(1)[row])} images of a "
            f"{names[row]} ({recall:.0f} %) were answered {names[column]}{shown}. "
            f"Of all answers {names[column]}, these are {precision:.0f} %."
        )


def times(count: int) -> str:
    """Say how often something happened."""
    return "never" if count == 0 else "once" if count == 1 else f"{count} times"


class CalibrationLab(Lab):
    """The reliability diagram of a network, with a slider for the temperature, and what it does to one image."""

    network = Choice("network", lambda lab: tuple(lab.logits), tip="whose logits are divided by the temperature")
    bins = Choice("bins", BINS, 10, "how finely the confidences are sorted")
    temperature = Slider("temperature", TEMPERATURES, 1.0, "all logits are divided by it", form="{:.2f}")
    image = IntRange(
        "image (1 = surest)",
        1,
        lambda lab: len(lab.data),
        lambda lab: lab.surest_mistake(),
        "which image is shown on the right",
    )
    rows = (("network", "bins"), ("temperature", "image"))

    def __init__(self, logits: Mapping[str, torch.Tensor], data: ImageSet) -> None:
        self.logits, self.data = logits, data
        self.best = {name: fit_temperature(values, data.labels) for name, values in logits.items()}
        self.surest = {name: s.softmax(1).amax(1).argsort(descending=True, stable=True) for name, s in logits.items()}
        self.errors = functools.cache(self._errors)
        super().__init__()

    def surest_mistake(self) -> int:
        """Return the place of the wrong answer that the first network gave most surely; 1 where all are right."""
        name, order = next(iter(self.surest.items()))
        wrong = self.logits[name].argmax(1)[order] != self.data.labels[order]
        return 1 + int(wrong.int().argmax())

    def _errors(self, network: str, bins: int) -> dict[float, float]:
        """Return the calibration error at every temperature of the slider."""
        logits, labels = self.logits[network], self.data.labels
        return {t: reliability(logits / t, labels, bins).error for t in TEMPERATURES}

    def look(self, network: str, bins: int, temperature: float, image: int) -> tuple[Figure, str]:
        """Return the diagram, the error over all temperatures, one image's probabilities, and the sentences."""
        heated = self.logits[network] / temperature
        figure, (left, middle, right) = page(SIZE, BARS, ERRORS, ONE_IMAGE)
        said = draw_reliability(left, reliability(heated, self.data.labels, bins), network)
        left.set_title(f"{network}, temperature {temperature:.2f}", fontsize=12)
        pictures.draw_over_temperature(middle, self.errors(network, bins), temperature, self.best[network])
        chosen = self.surest[network][image - 1]
        shares, label = heated[chosen].softmax(0), int(self.data.labels[chosen])
        pictures.draw_probabilities(right, self.data.images[chosen], shares, label, self.data.classes)
        return figure, f"{said} {self.describe(network, image, shares, label)}"

    def describe(self, network: str, image: int, shares: torch.Tensor, label: int) -> str:
        """Say at which temperature it is best, and how sure the network is of one image, with shares `[classes]`."""
        answer = int(shares.argmax())
        is_right = "right" if answer == label else f"wrong: it is a {self.data.classes[label]}"
        return (
            f"Cross-entropy is lowest at temperature {self.best[network]:.2f}. Image {image} is answered "
            f"{self.data.classes[answer]} ({100 * shares[answer]:.0f} % sure), {is_right}; no temperature changes that."
        )


def near_five(lab: Lab) -> int:
    """Return the number of seeds to begin with."""
    return min(lab.experiments.seeds, key=lambda n: abs(n - 5))


def seeds_slider() -> Slider:
    """Make a slider over numbers of seeds."""
    return Slider("seeds", lambda lab: lab.experiments.seeds, near_five, "trainings of each network")


def images_slider() -> Slider:
    """Make a slider over numbers of test images, all of them to begin with."""
    return Slider(
        "test images",
        lambda lab: lab.experiments.images,
        lambda lab: lab.experiments.images[-1],
        "test images, the same for both",
    )


def network_list(name: str, place: int, tip: str) -> Dropdown:
    """Make a list of all networks, where that at a place is chosen to begin with."""
    return Dropdown(name, lambda lab: lab.networks, lambda lab: lab.networks[place], tip, width="19em")


class IntervalLab(Lab):
    """How far the interval of a score, or of a difference, reaches with so many seeds and test images."""

    network = network_list("accuracy of", 0, "the network whose score is measured")
    minus = Dropdown(
        "minus",
        lambda lab: (NOTHING, *lab.networks),
        tip="subtract another network's score, seed by seed",
        width="19em",
    )
    seeds, images = seeds_slider(), images_slider()
    rows = (("network", "minus"), ("seeds", "images"))

    def __init__(self, experiments: Experiments) -> None:
        self.experiments, self.networks = experiments, list(experiments.hits)
        super().__init__()

    def look(self, network: str, minus: str, seeds: int, images: int) -> tuple[Figure, str]:
        """Return reach against seeds and against images, and the sentences."""
        widths = {size: repeats.widths() for size, repeats in self.experiments.repeats(network, minus).items()}
        figure, (left, right) = page(SIZE, OVER_SEEDS, OVER_IMAGES)
        over_seeds = {n: width for (n, m), width in widths.items() if m == images}
        over_images = {m: width for (n, m), width in widths.items() if n == seeds}
        pictures.draw_widths(left, over_seeds, seeds, f"seeds (each with {images} images)")
        pictures.draw_widths(right, over_images, images, f"test images (each with {seeds} seeds)")
        left.set_ylabel("95 % interval: ± points")
        left.legend(frameon=False, fontsize=10, loc="lower left")
        right.tick_params(labelleft=False)
        if network == minus:
            return figure, f"{network} minus {minus} is 0 whatever is drawn: subtract another network."
        what = network if minus == NOTHING else f"{network} minus {minus}"
        return figure, describe_widths(what, seeds, images, widths)


def describe_widths(what: str, seeds: int, images: int, widths: Mapping[tuple[int, int], tuple[float, float]]) -> str:
    """Say how well something is known with so many seeds and images, and which of them would help most."""
    by_seeds, by_images = widths[seeds, images]
    larger, best = "seeds" if by_seeds > by_images else "images", widths[max(widths)]
    return (
        f"With {seeds} seeds and {images} test images, {what} is known to ±{by_seeds:.1f} points by the luck of seeds "
        f"and ±{by_images:.1f} by the luck of images: more {larger} would help most. With all: ±{best[0]:.1f} and "
        f"±{best[1]:.1f}."
    )


class ComparisonLab(Lab):
    """Is A better than B? The same comparison with fewer or more seeds and test images."""

    a, b = network_list("A", 0, "which network is A"), network_list("B", 1, "which network is B")
    draw = IntRange("experiment", 1, 20, 1, "the same experiment done by another lab: other seeds and images")
    seeds, images = seeds_slider(), images_slider()
    rows = (("a", "b", "draw"), ("seeds", "images"))

    def __init__(self, experiments: Experiments) -> None:
        self.experiments, self.networks = experiments, list(experiments.hits)
        super().__init__()

    def adjust(self) -> None:
        """Switch off what would change nothing: with all seeds and images there is one experiment only."""
        every = (self.experiments.seeds[-1], self.experiments.images[-1])
        self.controls["draw"].disabled = (self.seeds, self.images) == every

    def look(self, a: str, b: str, draw: int, seeds: int, images: int) -> tuple[Figure, str]:
        """Return the differences with their intervals, the verdicts of many experiments, and the sentences."""
        found = compute_comparison(self.experiments.hits, (a, b), seeds, images, draw)
        column = {n: repeats for (n, m), repeats in self.experiments.repeats(a, b).items() if m == images}
        figure, (left, right) = page(SIZE, DIFFERENCES, VERDICTS)
        pictures.draw_comparison(left, found)
        left.set_title(found.verdict, fontsize=12)
        pictures.draw_verdicts(right, column, (a, b), seeds)
        first = f"{seeds} seeds, {images} images: {a} {found.accuracy[0]:.1f} %"
        if a == b:
            return figure, f"{first}. {found.verdict}: choose another B."
        says_a, _, says_b = (round(share) for share in column[seeds].verdicts())
        return figure, (
            f"{first}, {b} {found.accuracy[1]:.1f} %. Verdict: {found.verdict}. Power: of 100 such experiments, "
            f"{says_a} would say {a}, {says_b} would say {b}, and {100 - says_a - says_b} could not tell."
        )


def evaluation_lab(logits: Mapping[str, torch.Tensor], data: ImageSet, hits: Hits) -> Tabs:
    """Return all four labs, one at a time.

    Logits, float `[N, classes]` by network, are those of the images of `data`; `hits` are on the test half, where more
    networks come from a table of the course.
    """
    labels = load("handwritten-photo", split="test").labels
    experiments = Experiments({**hits, **hits_of(results("challenger_answers"), labels)})
    labs = {
        "mistakes": lambda: MistakesLab(logits, data),
        "temperature": lambda: CalibrationLab(logits, data),
        "interval width": lambda: IntervalLab(experiments),
        "is A better than B?": lambda: ComparisonLab(experiments),
    }
    return Tabs("look at", labs, ("which answers are wrong", "how sure it is", "how precise a score is", "who wins"))
