"""The lab of notebook 11: a corruption, its severity, and a place between two networks."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb11_robustness.alpha import ALPHAS
from tlcourse.lessons.nb11_robustness.conditions import KINDS, corrupted, measured_pool
from tlcourse.notebook.controls import Choice, Slider
from tlcourse.notebook.figures import GREY, PALETTE, RIGHT, WRONG, draw_images, plain
from tlcourse.notebook.lab import Lab, page
from tlcourse.training.weight_space import between

COUNT, SHOWN = 200, 10  # test images that are asked about; that are shown
IMAGES, CURVE = (0.0, 0.06, 0.5, 0.86), (0.58, 0.15, 0.41, 0.72)  # left, bottom, width and height in the picture
Tried = dict[float, tuple[float, float]]  # by alpha: accuracy and mean confidence, in percent


class RobustnessLab(Lab):
    """A corruption and a place between two networks: images, accuracy and confidence; `tried` keeps the places."""

    kind = Choice("corruption", KINDS, "blur", "what happens to the images")
    severity = Slider("severity", (0, 1, 2, 3, 4, 5), 3, "how bad it is; 0 is clean")
    alpha = Slider("alpha", ALPHAS, 1.0, "0 is the source, 1 the fine-tuned network")
    rows = ("kind", ("severity", "alpha"), "sentence", "picture")

    def __init__(self, source: nn.Module, tuned: nn.Module, labelled: ImageSet) -> None:
        self.networks = {alpha: between(source, tuned, alpha, labelled) for alpha in ALPHAS}
        self.clean = measured_pool("clean").subset(torch.arange(COUNT))
        self.tried: dict[tuple[str, int], Tried] = {}
        super().__init__()

    def look(self, kind: str, severity: int, alpha: float) -> tuple[Figure, str]:
        """Return images with their answers, and accuracy and confidence at all places tried under this condition."""
        data = corrupted(self.clean, kind, severity)
        answers = predict(self.networks[alpha], data).softmax(1)
        accuracy, confidence = measured(answers, data.labels)
        tried = self.tried.setdefault((kind if severity else "clean", severity), {})
        tried[alpha] = accuracy, confidence
        figure, (images, curve) = page((9.4, 3.8), IMAGES, CURVE)
        draw_answers(images, data.subset(torch.arange(SHOWN)), answers[:SHOWN])
        draw_tried(curve, tried, alpha)
        where = f"{kind}, severity {severity}" if severity else "clean"
        told = f"{where}, alpha {alpha:g}: {accuracy:.1f} % of {COUNT} right, mean confidence {confidence:.1f} %"
        gap = confidence - accuracy
        return figure, f"{told}: {abs(gap):.1f} points {'too sure' if gap > 0 else 'too unsure'}."


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


def draw_tried(ax: Axes, tried: Tried, alpha: float) -> Axes:
    """Draw accuracy and confidence at the places that were tried, and mark where we are."""
    places = sorted(tried)
    for number, (name, colour, marker) in enumerate(zip(("accuracy", "confidence"), PALETTE[:2], "os", strict=True)):
        ax.plot(places, [tried[place][number] for place in places], color=colour, marker=marker, label=name)
    ax.axvline(alpha, color=GREY, linestyle=":")
    ax.set(xlim=(-0.03, 1.03), ylim=(0, 101), xlabel="alpha (0: source, 1: fine-tuned)", ylabel="%")
    ax.set_title("places tried under this condition", fontsize=11)
    ax.legend(frameon=False, loc="lower right")
    return plain(ax)
