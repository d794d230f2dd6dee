"""Pictures of notebook 12: photographs of any size, what a network sees of them, and what came of the training."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.lessons.nb12_your_own_images.scripts import families, writable
from tlcourse.notebook.evaluation_figures import (
    describe_confusion,
    draw_confusion,
    draw_reliability,
)
from tlcourse.notebook.figures import COLOURS, MARKERS, plain
from tlcourse.photos.evaluation import Evaluation
from tlcourse.photos.photoset import PhotoSet
from tlcourse.training.checkpoint import History

LONGEST = 16  # letters of a name that are shown


def short(name: str, longest: int = LONGEST) -> str:
    """Cut the name of a class where it would not fit, and leave out what cannot be drawn."""
    return writable(name if len(name) <= longest else name[: longest - 1] + "…")


def draw_photo(ax: Axes, photo: Image.Image, title: str = "") -> Axes:
    """Draw one photograph with its own proportions, and one or two lines above it."""
    ax.imshow(np.asarray(photo), interpolation="nearest" if max(photo.size) < 100 else "antialiased")
    if title:
        ax.set_title(title, fontsize=10, fontfamily=families())
    ax.set_axis_off()
    return ax


def draw_photos(axes: Sequence[Axes], photos: Sequence[Image.Image], names: Sequence[str]) -> None:
    """Draw photographs side by side, each below the name of its class."""
    for ax, photo, name in zip(axes, photos, names, strict=True):
        draw_photo(ax, photo, short(name, 10))


def as_seen(prepared: torch.Tensor, preprocessing: Preprocessing) -> Image.Image:
    """Turn what the network sees, float32 `[3, crop, crop]`, back into a picture."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    pixels = (255 * (prepared * std + mean)).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def draw_prepared(
    axes: Sequence[Axes], photo: Image.Image, prepared: torch.Tensor, preprocessing: Preprocessing
) -> str:
    """Draw a photograph with a frame around the part that is seen, and beside it what the network sees of it.

    `prepared` is what the preprocessing made of the RGB picture, float32 `[3, crop, crop]`.
    """
    left, right = axes
    draw_photo(left, photo, "the picture; framed is\nwhat the network sees")
    crop = preprocessing.crop
    side = crop * min(photo.size) / preprocessing.resize  # in pixels of the photograph
    corner = ((photo.width - side) / 2 - 0.5, (photo.height - side) / 2 - 0.5)
    for colour, style in (("black", "-"), ("white", "--")):  # seen on any ground
        frame = Rectangle(corner, side, side, fill=False, edgecolor=colour, linestyle=style, linewidth=2)
        frame.set_clip_on(False)
        left.add_patch(frame)
    low, high = prepared.min().item(), prepared.max().item()
    title = f"what it sees: {crop} x {crop} pixels,\nnumbers from {low:.1f} to {high:.1f}"
    draw_photo(right, as_seen(prepared, preprocessing), title)
    return f"A picture of {photo.width} x {photo.height} pixels, and the {crop} x {crop} that are seen."


def draw_tuning(ax: Axes, history: History, probe: float) -> str:
    """Draw validation accuracy after every epoch, the epoch that was kept, and that of the probe before, in percent."""
    percent, best = history.validation_accuracy, history.best_epoch
    look = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"]}
    ring = {"markersize": 16, "fillstyle": "none", "color": "black", "clip_on": False}
    ax.plot(range(1, len(percent) + 1), percent, linewidth=2, label="fine-tuned, after every epoch", **look)
    ax.plot(best + 1, percent[best], "o", label="lowest loss", **ring)
    ax.axhline(probe, color=COLOURS["linear probe"], linewidth=2, linestyle="--", label="linear probe")
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy on validation (%)")
    low = min(*percent, probe)
    ax.set_ylim(max(0, low - 0.25 * (100 - low) - 5), 102)
    ax.legend(frameon=False, loc="lower right")
    plain(ax)
    return (
        f"Validation accuracy: the probe {probe:.1f} %; after {len(history)} epochs of fine-tuning {percent[-1]:.1f} "
        f"%; in epoch {best + 1}, which had the lowest loss, {percent[best]:.1f} %."
    )


def draw_evaluation(axes: Sequence[Axes], evaluation: Evaluation) -> str:
    """Draw the confusion matrix, whose classes may have long names, and confidence against accuracy."""
    left, right = axes
    names = [short(name) for name in evaluation.classes]
    draw_confusion(left, evaluation.confusion, names)
    if max(map(len, names)) > 3:
        left.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    for label in (*left.get_xticklabels(), *left.get_yticklabels()):
        label.set_fontfamily(families())
    sure = draw_reliability(right, evaluation.reliability, "Calibration")
    confused = describe_confusion(evaluation.confusion, evaluation.classes)
    return f"{confused} {sure}"


def draw_mistakes(axes: Sequence[Axes], photos: PhotoSet, evaluation: Evaluation) -> str:
    """Draw the surest mistakes, as many as there are axes, each below what it was taken for and what it is."""
    for ax in axes:
        ax.set_axis_off()
    wrong = evaluation.mistakes(len(axes)).tolist()
    shares, answers = evaluation.logits.softmax(1).max(1)
    names = [short(name, 11) for name in evaluation.classes]
    captions = [f"{names[answers[i]]}, {100 * shares[i]:.0f} %\nis {names[evaluation.labels[i]]}" for i in wrong]
    for ax, i, caption in zip(axes, wrong, captions, strict=False):
        draw_photo(ax, photos.open(i), caption)
    if not wrong:
        axes[0].text(0, 0.5, "no mistake among the test photographs", fontsize=12)
        return "There is no mistake among the test photographs to be shown."
    listed = "; ".join(caption.replace("\n", ", ") for caption in captions)
    return f"The {len(captions)} surest mistakes, answer and right class: {listed}."
