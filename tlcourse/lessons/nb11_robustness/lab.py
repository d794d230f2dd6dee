"""The lab of notebook 11: a corruption, its severity, and a place between two networks."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb11_robustness.conditions import KINDS, corrupted, pool_under
from tlcourse.notebook.controls import Choice, Slider
from tlcourse.notebook.figures import GREY, PALETTE, RIGHT, WRONG, draw_images, plain
from tlcourse.notebook.lab import Lab, page
from tlcourse.training.weight_space import between

COUNT, SHOWN = 150, 10  # test images that are asked about; that are shown
PLACES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
IMAGES, CURVE = (0.0, 0.06, 0.5, 0.86), (0.58, 0.15, 0.41, 0.72)  # left, bottom, width and height in the picture
Curve = dict[float, tuple[float, float]]  # by alpha: accuracy and mean confidence, in percent


class RobustnessLab(Lab):
    """A corruption and a place between two networks: images, accuracy and confidence along the line."""

    kind = Choice("corruption", KINDS, "blur", "what happens to the images")
    severity = Slider("severity", (0, 1, 2, 3, 4, 5), 3, "how bad it is; 0 is clean")
    alpha = Slider("alpha", PLACES, 1.0, "0 is the source, 1 the fine-tuned network")
    rows = ("kind", ("severity", "alpha"), "sentence", "picture")

    def __init__(self, source: nn.Module, tuned: nn.Module, labelled: ImageSet) -> None:
        self.networks = {alpha: between(source, tuned, alpha, labelled) for alpha in PLACES}
        self.clean = pool_under().subset(torch.arange(COUNT))
        self.curves: dict[tuple[str, int], Curve] = {}  # what was measured already
        super().__init__()

    def look(self, kind: str, severity: int, alpha: float) -> tuple[Figure, str]:
        """Return images with their answers, and accuracy and confidence along the line under this condition."""
        data = corrupted(self.clean, kind, severity)
        some = data.subset(torch.arange(SHOWN))
        curve = self.curve_of(kind, severity, data)
        accuracy, confidence = curve[alpha]
        figure, (images, line) = page((9.4, 3.8), IMAGES, CURVE)
        draw_answers(images, some, predict(self.networks[alpha], some).softmax(1))
        draw_curve(line, curve, alpha)
        where = f"{kind}, severity {severity}" if severity else "clean"
        told = f"{where}, alpha {alpha:g}: {accuracy:.1f} % of {COUNT} right, mean confidence {confidence:.1f} %"
        gap = confidence - accuracy
        return figure, f"{told}: {abs(gap):.1f} points {'too sure' if gap > 0 else 'too unsure'}."

    def curve_of(self, kind: str, severity: int, data: ImageSet) -> Curve:
        """Ask all networks of the line about images; a condition is measured once."""
        condition = (kind if severity else "clean", severity)
        if condition not in self.curves:
            answers = {alpha: predict(network, data).softmax(1) for alpha, network in self.networks.items()}
            self.curves[condition] = {alpha: measured(each, data.labels) for alpha, each in answers.items()}
        return self.curves[condition]


def measured(answers: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Return accuracy and mean confidence, in percent, of probabilities `[N, classes]`."""
    sure, said = answers.max(1)
    return 100 * (said == labels).double().mean().item(), 100 * sure.double().mean().item()


def draw_answers(ax: Axes, data: ImageSet, answers: torch.Tensor) -> Axes:
    """Draw images over the answer and how sure it is, in percent, green where it is right."""
    sure, said = answers.max(1)
    captions = [f"{data.classes[c]}: {100 * s:.0f} %" for c, s in zip(said.tolist(), sure.tolist(), strict=True)]
    colours = [RIGHT if right else WRONG for right in (said == data.labels).tolist()]
    return draw_images(ax, data.images, 5, captions, colours)


def draw_curve(ax: Axes, curve: Curve, alpha: float) -> Axes:
    """Draw accuracy and confidence along the line, and mark where we are."""
    names = zip(("accuracy", "confidence"), PALETTE[:2], "os", strict=True)
    for number, (name, colour, marker) in enumerate(names):
        heights = [found[number] for found in curve.values()]
        ax.plot(list(curve), heights, color=colour, marker=marker, label=name)
        ax.plot(alpha, curve[alpha][number], marker, color=colour, markersize=11)
    ax.axvline(alpha, color=GREY, linestyle=":")
    ax.set(xlim=(-0.03, 1.03), ylim=(0, 101), xlabel="alpha (0: source, 1: fine-tuned)", ylabel="%")
    ax.legend(frameon=False, loc="lower right")
    return plain(ax)
