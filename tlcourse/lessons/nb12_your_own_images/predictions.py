"""What the lab computes and shows: a changed picture, what the network sees of it, and what it predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from PIL import Image, ImageEnhance

from tlcourse.lessons.nb12_your_own_images.figures import short
from tlcourse.notebook.figures import COLOURS
from tlcourse.notebook.scripts import families
from tlcourse.photos.classifier import Answer, Classifier
from tlcourse.photos.read import PhotoError

UNSURE = "#E69F00"  # orange of Okabe and Ito
GREY = (127, 127, 127)  # in the corners of a turned picture, where there is nothing


@dataclass(frozen=True)
class Changes:
    """What is done to a picture before it is prepared; as it is given here, nothing."""

    turned: int = 0  # degrees, counter-clockwise
    brightness: int = 100  # percent
    kept: int = 100  # percent of the height and of the width, about the middle

    def __str__(self) -> str:
        said = [f"turned by {self.turned} degrees"] if self.turned else []
        said += [f"at {self.brightness} % of its brightness"] if self.brightness != 100 else []
        said += [f"cut to the middle {self.kept} % of its sides"] if self.kept != 100 else []
        return ", ".join(said)


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture after the changes, what the network sees of it, and what it made of that."""

    picture: Image.Image  # RGB
    prepared: torch.Tensor  # float32 [3, crop, crop]
    logits: torch.Tensor  # float32 [classes]


def changed(picture: Image.Image, changes: Changes, side: int) -> Image.Image:
    """Turn, light and cut an RGB picture; the very same one comes back where nothing is to be done.

    A larger one is first made smaller, to `side` pixels of its shorter side, so that a slider answers at once; nothing
    that the network sees is lost.
    """
    if changes == Changes():
        return picture
    factor = side / min(picture.size)
    if factor < 1:
        picture = picture.resize([max(1, round(factor * length)) for length in picture.size], Image.Resampling.BILINEAR)
    if changes.turned:
        picture = picture.rotate(changes.turned, Image.Resampling.BICUBIC, fillcolor=GREY)
    if changes.kept != 100:
        margins = [round(length * (100 - changes.kept) / 200) for length in picture.size]
        left, top = (min(margin, (length - 1) // 2) for margin, length in zip(margins, picture.size, strict=True))
        picture = picture.crop((left, top, picture.width - left, picture.height - top))
    return ImageEnhance.Brightness(picture).enhance(changes.brightness / 100) if changes.brightness != 100 else picture


def compute_sight(classifier: Classifier, picture: Image.Image, changes: Changes) -> Sight:
    """Change an RGB picture, prepare it, and ask the network; without changes, as `classifier.classify` does.

    Raises PhotoError when the picture is too long and narrow to be prepared.
    """
    shown = changed(picture, changes, 2 * classifier.preprocessing.resize)
    try:
        prepared = classifier.prepare(shown)
    except ValueError as error:
        raise PhotoError(str(error)) from error
    return Sight(shown, prepared, classifier.logits([shown])[0])


def compute_answers(logits: torch.Tensor, classes: Sequence[str], temperature: float, top: int) -> list[Answer]:
    """Return the most probable classes with their probabilities, the highest first; logits are `[classes]`."""
    shares, places = (logits / temperature).softmax(0).sort(descending=True, stable=True)
    pairs = zip(places[:top].tolist(), shares[:top].tolist(), strict=True)
    return [Answer(classes[place], share) for place, share in pairs]


def describe_answers(name: str, label: str | None, answers: Sequence[Answer], limit: float) -> str:
    """Say what a classifier thinks of a picture; it is not sure where its first probability is below the limit."""
    first, share = answers[0]
    if share >= limit:
        said = f"{name}: this is {first}, with {100 * share:.1f} %."
    else:
        said = f"{name}: I am not sure. {first} comes first with {100 * share:.1f} %, below {100 * limit:.0f} %."
    if len(answers) > 1:
        said += f" Next: {', '.join(f'{other} {100 * p:.1f} %' for other, p in answers[1:3])}."
    if label is not None:
        said += " That is right." if label == first else f" In truth it is {label}."
    return said


def draw_answers(ax: Axes, answers: Sequence[Answer], limit: float) -> Axes:
    """Draw probabilities as bars below each other, the highest on top, and the limit below which it is not sure."""
    sure = answers[0][1] >= limit
    ax.barh(0, 100 * answers[0][1], 0.75, color=COLOURS["fine-tuned"] if sure else UNSURE, edgecolor="white")
    ax.patches[0].set_hatch("" if sure else "///")
    for row, (name, share) in enumerate(answers):
        if row:
            ax.barh(row, 100 * share, 0.75, color="#BBBBBB", edgecolor="white")
        inside = share > 0.6  # the numbers stay within the picture
        side = {"ha": "right", "x": 100 * share - 2} if inside else {"ha": "left", "x": 100 * share + 2}
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # read on any ground, and over the line
        look = {"va": "center", "fontsize": 11, "bbox": box, "zorder": 4, "fontfamily": families()}
        ax.text(y=row, s=f"{short(name)}  {100 * share:.1f} %", **side, **look)
    ax.axvline(100 * limit, color="black", linestyle="--", linewidth=1.5)
    ax.set_xlim(0, 100)
    ax.set_ylim(max(len(answers), 3) - 0.5, -0.5)
    ax.set_yticks([])
    ax.set_xlabel("probability (%)")
    ax.set_title("what it says" if sure else "it is not sure", fontsize=12)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", color="#E5E5E5")
    ax.set_axisbelow(True)
    return ax
