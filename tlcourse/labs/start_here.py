"""The lab of notebook 00: move the world away with a dial, and see how far each network follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.domains import load
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation import predict
from tlcourse.labs.lab import Lab
from tlcourse.plots import COLOURS, MARKERS, RIGHT, WRONG, draw_images, plain

POSITIONS = tuple(step / 10 for step in range(11))
SHOWN = 15  # images in the picture


@dataclass(frozen=True)
class Reading:
    """What the networks make of the world at one position of the dial.

    Attributes:
        shift: position of the dial, from 0 to 1.
        images: the images, with their labels.
        answers: class numbers, int64 `[N]`, by network.
        accuracy: in percent, by network.
    """

    shift: float
    images: ImageSet
    answers: dict[str, torch.Tensor]
    accuracy: dict[str, float]


def compute_reading(models: Mapping[str, nn.Module], shift: float, count: int = 300) -> Reading:
    """Ask every network about the test half, moved away by `shift`.

    Args:
        models: trained networks by name.
        shift: position of the dial, from 0 to 1.
        count: how many test images.

    Returns:
        The reading.
    """
    images = load("handwritten-photo", split="test", count=count, shift=shift)
    answers = {name: predict(model, images).argmax(1) for name, model in models.items()}
    accuracy = {name: 100 * (a == images.labels).float().mean().item() for name, a in answers.items()}
    return Reading(shift, images, answers, accuracy)


def describe_reading(reading: Reading) -> str:
    """Say in a sentence what a reading shows."""
    parts = [f"{name} {percent:.0f} %" for name, percent in reading.accuracy.items()]
    return f"Shift {reading.shift:.1f}: {', '.join(parts)} of {len(reading.images)} test images right."


def draw_answers(ax: Axes, reading: Reading, name: str) -> Axes:
    """Draw the first images with the answers of one network: right ones with a tick, wrong ones with what is right.

    Args:
        ax: where to draw.
        reading: a reading.
        name: which network.

    Returns:
        The axes.
    """
    answers, labels = reading.answers[name][:SHOWN], reading.images.labels[:SHOWN]
    right = (answers == labels).tolist()
    pairs = zip(answers.tolist(), labels.tolist(), strict=True)
    captions = [f"{answer} ✓" if answer == label else f"{answer} ✗ is {label}" for answer, label in pairs]
    draw_images(ax, reading.images.images[:SHOWN], 5, captions, [RIGHT if good else WRONG for good in right])
    ax.set_title(f"answers of the {name} network")
    return ax


def draw_dial(ax: Axes, readings: Sequence[Reading], shift: float) -> Axes:
    """Draw accuracy against the position of the dial, one line a network, and mark where the dial stands.

    Args:
        ax: where to draw.
        readings: readings in order of their shift.
        shift: where the dial stands.

    Returns:
        The axes.
    """
    for name in readings[0].accuracy:
        percent = [reading.accuracy[name] for reading in readings]
        ax.plot(
            [r.shift for r in readings], percent, color=COLOURS[name], marker=MARKERS[name], linewidth=2, label=name
        )
    ax.axvline(shift, color="black", linewidth=1, linestyle="--")
    ax.axhline(10, color="#666666", linewidth=1, linestyle=":")
    ax.annotate("guessing", (0.02, 11), fontsize=9, color="#666666")
    ax.set_xlabel("shift of the world (0: as trained, 1: far away)")
    ax.set_ylabel("accuracy (%)")
    ax.set_ylim(0, 100)
    ax.legend(frameon=False, loc="upper right")
    return plain(ax)


class DialLab(Lab):
    """A slider that moves the world away, with the images, the answers and the accuracy beside it.

    Args:
        models: trained networks by name, names as in `tlcourse.plots.COLOURS`; the last one's answers are shown.
    """

    def __init__(self, models: Mapping[str, nn.Module]) -> None:
        unknown = [name for name in models if name not in COLOURS]
        if unknown or not models:
            raise ValueError(
                f"got networks named {list(models)}. Expected at least one, named as they began: {', '.join(COLOURS)}."
            )
        self.readings = [compute_reading(models, shift) for shift in POSITIONS]
        self.dial = widgets.SelectionSlider(options=[(f"{p:.1f}", i) for i, p in enumerate(POSITIONS)], value=0)
        self.dial.description, self.dial.style.description_width = "world shift", "initial"
        self.names = widgets.ToggleButtons(options=list(models), value=list(models)[-1], description="answers of")
        self.names.style.button_width = "auto"
        super().__init__([self.dial, self.names])

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentence for the dial's position."""
        reading = self.readings[self.dial.value]
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=(1.25, 1), layout="constrained")
        draw_answers(left, reading, self.names.value)
        draw_dial(right, self.readings, reading.shift)
        return figure, f"{describe_reading(reading)} The picture shows answers of {self.names.value}."


def dial(models: Mapping[str, nn.Module]) -> widgets.Widget:
    """Return the lab as one widget; it measures the networks at eleven positions first, which takes a second or two.

    Args:
        models: trained networks by name, for example `{"scratch": a, "fine-tuned": b}`.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return DialLab(models).widget
