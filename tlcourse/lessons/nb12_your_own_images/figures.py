"""Pictures of notebook 12: photographs of any size, what a network sees of them, and what it answers."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.lessons.nb12_your_own_images.scripts import families, writable
from tlcourse.notebook.evaluation_figures import describe_confusion, describe_reliability, draw_confusion
from tlcourse.notebook.figures import COLOURS, MARKERS, plain
from tlcourse.photos.evaluation import Evaluation
from tlcourse.training.checkpoint import History

LONGEST = 16  # letters of a name that are shown
UNSURE = "#E69F00"  # orange of Okabe and Ito


def short(name: str, longest: int = LONGEST) -> str:
    """Cut the name of a class where it would not fit, and leave out what cannot be drawn."""
    return writable(name if len(name) <= longest else name[: longest - 1] + "…")


def draw_photo(ax: Axes, photo: Image.Image, title: str = "", colour: str = "black") -> Axes:
    """Draw one photograph with its own proportions.

    Args:
        ax: where to draw.
        photo: an RGB picture.
        title: what to write above, in one or two lines.
        colour: of the title.

    Returns:
        The axes.
    """
    pixels = np.asarray(photo)
    ax.imshow(pixels, interpolation="nearest" if max(photo.size) < 100 else "antialiased")
    if title:
        ax.set_title(title, fontsize=10, color=colour, fontfamily=families())
    ax.set_axis_off()
    return ax


def draw_frame(ax: Axes, photo: Image.Image, preprocessing: Preprocessing) -> Axes:
    """Draw a photograph, and a frame around the part of it that the network sees.

    Args:
        ax: where to draw.
        photo: an RGB picture.
        preprocessing: what the photograph goes through.

    Returns:
        The axes.
    """
    draw_photo(ax, photo, "the picture; framed is\nwhat the network sees")
    side = preprocessing.crop * min(photo.size) / preprocessing.resize  # in pixels of the photograph
    corner = ((photo.width - side) / 2 - 0.5, (photo.height - side) / 2 - 0.5)
    for colour, style in (("black", "-"), ("white", "--")):  # seen on any ground
        frame = Rectangle(corner, side, side, fill=False, edgecolor=colour, linestyle=style, linewidth=2)
        frame.set_clip_on(False)
        ax.add_patch(frame)
    return ax


def as_seen(prepared: torch.Tensor, preprocessing: Preprocessing) -> Image.Image:
    """Turn what the network sees back into a picture.

    Args:
        prepared: float32 `[3, crop, crop]`.
        preprocessing: what made it.

    Returns:
        An RGB picture.
    """
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    pixels = (255 * (prepared * std + mean)).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def draw_seen(ax: Axes, prepared: torch.Tensor, preprocessing: Preprocessing) -> Axes:
    """Draw what the network sees, and say in which numbers.

    Args:
        ax: where to draw.
        prepared: float32 `[3, crop, crop]`.
        preprocessing: what made it.

    Returns:
        The axes.
    """
    side, low, high = preprocessing.crop, prepared.min().item(), prepared.max().item()
    return draw_photo(
        ax,
        as_seen(prepared, preprocessing),
        f"what it sees: {side} x {side} pixels,\nnumbers from {low:.1f} to {high:.1f}",
    )


def draw_tuning(ax: Axes, history: History, probe: float) -> Axes:
    """Draw validation accuracy after every epoch, the epoch that was kept, and what the probe reached before.

    Args:
        ax: where to draw.
        history: of the fine-tuning.
        probe: accuracy of the probe on validation, in percent.

    Returns:
        The axes.
    """
    percent, best = history.validation_accuracy, history.best_epoch
    look = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"]}
    ax.plot(range(1, len(percent) + 1), percent, linewidth=2, label="fine-tuned, after every epoch", **look)
    ax.plot(
        best + 1, percent[best], "o", markersize=16, fillstyle="none", color="black", label="lowest loss", clip_on=False
    )
    ax.axhline(probe, color=COLOURS["linear probe"], linewidth=2, linestyle="--", label="linear probe")
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy on validation (%)")
    low = min(*percent, probe)
    ax.set_ylim(max(0, low - 0.25 * (100 - low) - 5), 102)
    ax.legend(frameon=False, loc="lower right")
    return plain(ax)


def describe_tuning(history: History, probe: float) -> str:
    """Say in a sentence what fine-tuning changed on validation."""
    best = history.best_epoch
    return (
        f"Validation accuracy: the probe {probe:.1f} %; after {len(history)} epochs of fine-tuning "
        f"{history.validation_accuracy[-1]:.1f} %; in epoch {best + 1}, which had the lowest loss, "
        f"{history.validation_accuracy[best]:.1f} %."
    )


def draw_named_confusion(ax: Axes, confusion: torch.Tensor, classes: Sequence[str]) -> Axes:
    """Draw a confusion matrix whose classes may have long names.

    Args:
        ax: where to draw.
        confusion: int64 `[classes, classes]`, rows are right classes.
        classes: their names.

    Returns:
        The axes.
    """
    names = [short(name) for name in classes]
    draw_confusion(ax, confusion, names)
    if max(map(len, names)) > 3:
        ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        label.set_fontfamily(families())
    return ax


def draw_answers(ax: Axes, answers: Sequence[tuple[str, float]], limit: float | None = None) -> Axes:
    """Draw probabilities as bars below each other, the highest on top.

    Args:
        ax: where to draw.
        answers: names of classes with their probabilities, from 0 to 1.
        limit: the probability below which the classifier is not sure, or None.

    Returns:
        The axes.
    """
    sure = limit is None or answers[0][1] >= limit
    for row, (name, share) in enumerate(answers):
        first, inside = row == 0, share > 0.6  # the numbers stay within the picture
        colour = COLOURS["fine-tuned"] if first and sure else UNSURE if first else "#BBBBBB"
        hatch = "" if sure or not first else "///"
        ax.barh(row, 100 * share, 0.75, color=colour, hatch=hatch, edgecolor="white")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # read on any ground, and over the line
        place = 100 * share + (-2 if inside else 2)
        look = {"va": "center", "ha": "right" if inside else "left", "fontsize": 11, "bbox": box, "zorder": 4}
        look["fontfamily"] = families()
        ax.text(place, row, f"{short(name)}  {100 * share:.1f} %", **look)
    if limit is not None:
        ax.axvline(100 * limit, color="black", linestyle="--", linewidth=1.5)
    ax.set_xlim(0, 100)
    ax.set_ylim(max(len(answers), 3) - 0.5, -0.5)
    ax.set_yticks([])
    ax.set_xlabel("probability (%)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", color="#E5E5E5")
    ax.set_axisbelow(True)
    return ax


def describe_evaluation(evaluation: Evaluation) -> str:
    """Say in two sentences what both pictures of an evaluation show."""
    return (
        f"{describe_confusion(evaluation.confusion, evaluation.classes)} "
        f"{describe_reliability('Calibration', evaluation.reliability)}"
    )


def caption_mistakes(evaluation: Evaluation, wrong: torch.Tensor) -> list[str]:
    r"""Return two lines for each mistake: what it was taken for and how surely, and what it is.

    Args:
        evaluation: of test photographs.
        wrong: which of them, int64 `[M]`.

    Returns:
        Texts such as `"kiwi, 98 %\nis lemon"`.
    """
    shares, answers = evaluation.logits.softmax(1).max(1)
    names = [short(name, 11) for name in evaluation.classes]
    return [f"{names[answers[i]]}, {100 * shares[i]:.0f} %\nis {names[evaluation.labels[i]]}" for i in wrong.tolist()]


def draw_mistakes(axes: Sequence[Axes], photos: Sequence[Image.Image], captions: Sequence[str]) -> None:
    """Draw photographs side by side, each below its two lines; axes that are left over stay empty.

    Args:
        axes: where to draw; at least as many as photographs.
        photos: RGB pictures.
        captions: one an image.
    """
    for ax in axes:
        ax.set_axis_off()
    for ax, photo, caption in zip(axes, photos, captions, strict=False):
        draw_photo(ax, photo, caption)
    if not captions:
        axes[0].text(0, 0.5, "no mistake among the test photographs", fontsize=12)


def describe_mistakes(captions: Sequence[str]) -> str:
    """Return the alt text of a row of mistakes."""
    if not captions:
        return "There is no mistake among the test photographs to be shown."
    listed = "; ".join(caption.replace("\n", ", ") for caption in captions)
    return f"The {len(captions)} surest mistakes, answer and right class: {listed}."
