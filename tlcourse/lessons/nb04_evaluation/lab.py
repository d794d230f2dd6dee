"""The lab of notebook 04: mistakes, calibration, and whether A is better than B."""

import functools
from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.calibration import fit_temperature, reliability
from tlcourse.evaluation.metrics import confusion_matrix
from tlcourse.lessons.nb04_evaluation import lab_figures as pictures
from tlcourse.lessons.nb04_evaluation.comparing import (
    Experiments,
    Hits,
    compute_cell,
    compute_comparison,
    rank_mistakes,
)
from tlcourse.lessons.nb04_evaluation.confusion_buttons import ConfusionButtons
from tlcourse.notebook.controls import Choice, Dropdown, IntRange, Slider
from tlcourse.notebook.evaluation_figures import draw_reliability
from tlcourse.notebook.jobs import action
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.tabs import Tabs

TEMPERATURES = tuple(round(0.2 * 25 ** (step / 40), 2) for step in range(41))  # 0.2 to 5, 1 in the middle
BINS = (5, 10, 20)
SIZE, BEHIND = (9.3, 3.7), (4.2, 3.3)  # inches
# where axes stand (left, bottom, width, height, as shares of the picture)
IMAGES = (0.0, 0.0, 1.0, 0.92)
BARS, ERRORS, ONE_IMAGE = (0.065, 0.13, 0.31, 0.79), (0.434, 0.13, 0.248, 0.79), (0.742, 0.13, 0.248, 0.79)
DIFFERENCES, VERDICTS = (0.17, 0.15, 0.385, 0.75), (0.64, 0.15, 0.345, 0.75)


class MistakesLab(Lab):
    """The confusion matrix of a network, and the images behind any of its cells; logits are `[N, classes]` by name."""

    network = Choice("network", lambda lab: tuple(lab.logits), lambda lab: lab.first, "whose answers are counted")
    true = Dropdown("true", lambda lab: lab.numbers, lambda lab: lab.next()[0], "the right class: a row", width="19em")
    said = Dropdown("said", lambda lab: lab.numbers, lambda lab: lab.next()[1], "the answer: a column", width="19em")
    rows = ("network", ("true", "said", "further"), "sentence", ("matrix", "picture"))

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
        """Write the counts into the matrix, and frame the chosen cell."""
        confusion = self.confusions[self.network]
        self.controls["further"].disabled = not rank_mistakes(confusion)
        self.matrix.show(confusion, (self.true, self.said))

    def look(self, network: str, true: int, said: int) -> tuple[Figure, str]:
        """Return the images behind the chosen cell, and the sentences."""
        behind = compute_cell(self.logits[network], self.data, true, said)
        sure = self.logits[network].softmax(1)[behind, said].tolist()
        figure, (ax,) = page(BEHIND, IMAGES)
        pictures.draw_behind(ax, self.data, behind, [f"{100 * share:.0f} %" for share in sure], true == said)
        ax.set_title(f"{self.data.classes[true]} answered {self.data.classes[said]}: how sure it was", fontsize=12)
        return figure, self.describe(network, len(behind), true, said)

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


def network_list(name: str, place: int, tip: str) -> Dropdown:
    """Make a list of all networks, where that at a place is chosen to begin with."""
    return Dropdown(name, lambda lab: lab.networks, lambda lab: lab.networks[place], tip, width="19em")


class ComparisonLab(Lab):
    """Is A better than B? The same comparison with fewer or more seeds and test images."""

    a, b = network_list("A", 0, "which network is A"), network_list("B", 1, "which network is B")
    draw = IntRange("experiment", 1, 20, 1, "the same experiment done by another lab: other seeds and images")
    seeds = Slider("seeds", lambda lab: lab.experiments.seeds, near_five, "trainings of each network")
    images = Slider(
        "test images",
        lambda lab: lab.experiments.images,
        lambda lab: lab.experiments.images[-1],
        "test images, the same for both",
    )
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
        verdicts = self.experiments.verdicts(a, b, images)
        figure, (left, right) = page(SIZE, DIFFERENCES, VERDICTS)
        pictures.draw_comparison(left, found)
        left.set_title(found.verdict, fontsize=12)
        pictures.draw_verdicts(right, verdicts, seeds)
        first = f"{seeds} seeds, {images} images: {a} {found.accuracy[0]:.1f} %"
        if a == b:
            return figure, f"{first}. {found.verdict}: choose another B."
        says_a, _, says_b = (round(share) for share in verdicts[seeds])
        return figure, (
            f"{first}, {b} {found.accuracy[1]:.1f} %. Verdict: {found.verdict}; more {found.would_help} would help "
            f"most. Power: of 100 such experiments, {says_a} would say {a}, {says_b} would say {b}, and "
            f"{100 - says_a - says_b} would leave it open."
        )


def evaluation_lab(logits: Mapping[str, torch.Tensor], data: ImageSet, hits: Hits) -> Tabs:
    """Return all three labs, one at a time.

    Logits, float `[N, classes]` by network, are those of the images of `data`; `hits` are on the test pool.
    """
    labs = {
        "mistakes": lambda: MistakesLab(logits, data),
        "temperature": lambda: CalibrationLab(logits, data),
        "is A better than B?": lambda: ComparisonLab(Experiments(hits)),
    }
    return Tabs("look at", labs, ("which answers are wrong", "how sure it is", "who wins"))
