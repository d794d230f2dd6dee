"""Pictures of notebook 04, first part: confusion, thresholds, calibration, mistakes, and what a transfer saved."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.calibration import Reliability
from tlcourse.evaluation.metrics import ThresholdCurve
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, WRONG, draw_images, plain

# scratch as everywhere in the course; the letters network is the fine-tuned one of the other notebooks
NETWORK_COLOURS = {"scratch": COLOURS["scratch"], "letters": COLOURS["fine-tuned"], "digits": "#009E73"}
NETWORK_MARKERS = {"scratch": MARKERS["scratch"], "letters": MARKERS["fine-tuned"], "digits": "D"}
FEW = 10  # bins with fewer images than this are drawn pale: their accuracy is mostly luck


def draw_confusion(
    ax: Axes, confusion: torch.Tensor, classes: Sequence[str], cell: tuple[int, int] | None = None
) -> Axes:
    """Draw a confusion matrix, mistakes shaded by how often they happen, right answers left white.

    Args:
        ax: where to draw.
        confusion: int64 `[classes, classes]`, rows are right classes.
        classes: their names.
        cell: row and column of a cell to frame, or None.

    Returns:
        The axes.
    """
    mistakes = np.ma.masked_equal(confusion.clone().fill_diagonal_(0).numpy(), 0)
    ax.imshow(mistakes, cmap="Oranges", vmin=-1, vmax=max(2 * confusion.clone().fill_diagonal_(0).max().item(), 1))
    for row, counts in enumerate(confusion.tolist()):
        for column, count in enumerate(counts):
            right = row == column
            if count:
                ax.text(column, row, count, ha="center", va="center", fontsize=10, color=GREY if right else "black")
    if cell is not None:
        row, column = cell
        frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2.5, clip_on=False)
        ax.add_patch(frame)
    ax.set_xticks(range(len(classes)), classes)
    ax.set_yticks(range(len(classes)), classes)
    ax.set_xlabel("answer")
    ax.set_ylabel("right class")
    ax.spines[:].set_visible(False)
    return ax


def describe_confusion(confusion: torch.Tensor, classes: Sequence[str], most: int = 3) -> str:
    """Say in a sentence which mistakes are the most frequent."""
    mistakes = confusion.clone().fill_diagonal_(0).flatten()
    order = mistakes.argsort(descending=True, stable=True)[:most].tolist()
    n = len(classes)
    parts = [f"{classes[i // n]} read as {classes[i % n]} ({int(mistakes[i])} times)" for i in order if mistakes[i]]
    return f"Confusion matrix of {int(confusion.sum())} images. Most frequent: {', '.join(parts) or 'no mistake'}."


def draw_roc(ax: Axes, curves: Mapping[str, ThresholdCurve]) -> Axes:
    """Draw ROC curves, one line a network, and the diagonal of guessing.

    Args:
        ax: where to draw.
        curves: what `roc_curve` returned, by network.

    Returns:
        The axes.
    """
    ax.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=1)
    ax.annotate("guessing", (60, 54), fontsize=10, color=GREY)
    return _draw_thresholds(ax, curves, "false-positive rate (% of the others)", "true-positive rate (%)", "ROC")


def draw_pr(ax: Axes, curves: Mapping[str, ThresholdCurve]) -> Axes:
    """Draw precision against recall, one line a network.

    Args:
        ax: where to draw.
        curves: what `pr_curve` returned, by network.

    Returns:
        The axes.
    """
    return _draw_thresholds(ax, curves, "recall (%)", "precision (%)", "precision and recall")


def _draw_thresholds(ax: Axes, curves: Mapping[str, ThresholdCurve], x: str, y: str, title: str) -> Axes:
    for name, curve in curves.items():
        style = "-" if name != "scratch" else "--"
        ax.plot(100 * curve.x, 100 * curve.y, style, color=NETWORK_COLOURS[name], linewidth=2, label=name)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)
    ax.set_ylim(0, 103)
    ax.legend(frameon=False, loc="lower right" if title == "ROC" else "lower left")
    return plain(ax)


def draw_reliability(ax: Axes, bins: Reliability, title: str = "") -> Axes:
    """Draw accuracy against confidence in bars, the diagonal on which they should end, and the gap between.

    Args:
        ax: where to draw.
        bins: what `reliability` returned.
        title: what to write above.

    Returns:
        The axes.
    """
    width = 100 / len(bins.count)
    columns = (bins.edges[:-1], bins.count, bins.confidence, bins.accuracy)
    for edge, count, sure, right in zip(*(values.tolist() for values in columns), strict=True):
        if count:
            pale = 0.35 if count < FEW else 1.0
            middle, low, high = 100 * edge + width / 2, 100 * min(sure, right), 100 * max(sure, right)
            ax.bar(middle, 100 * right, 0.9 * width, color=COLOURS["fine-tuned"], alpha=pale)
            ax.bar(middle, high - low, 0.9 * width, low, fill=False, edgecolor=WRONG, hatch="///", alpha=pale)
            ink = "white" if right > 0.08 and count >= FEW else "black"
            ax.annotate(count, (middle, 1.5), ha="center", fontsize=10, color=ink)
    ax.plot([0, 100], [0, 100], color="black", linewidth=1, linestyle="--")
    ax.set_xlabel("confidence (%)")
    ax.set_ylabel("right answers (%)")
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 100)
    ax.set_title(title or f"calibration error {bins.error:.1f} points")
    return plain(ax)


def describe_reliability(name: str, bins: Reliability) -> str:
    """Say in a sentence how sure a network is and how sure it may be."""
    lean = "too sure" if bins.overconfidence > 0 else "not sure enough"
    return f"{name}: by {abs(bins.overconfidence):.1f} points {lean}; calibration error {bins.error:.1f} points."


def draw_maps(
    axes: Sequence[Axes], images: torch.Tensor, maps: Mapping[str, torch.Tensor], captions: Sequence[str]
) -> None:
    """Draw images in one row, and below them each kind of map, bright where it matters most.

    Args:
        axes: one for the images and one a kind of map.
        images: uint8 `[N, 3, H, W]`.
        maps: float `[N, H, W]` by kind.
        captions: one short text an image.
    """
    draw_images(axes[0], images, len(images), captions)
    axes[0].set_title("confident mistakes: answer, right class", loc="left")
    for ax, (kind, values) in zip(axes[1:], maps.items(), strict=True):
        lowest, highest = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
        bright = (255 * (values - lowest) / (highest - lowest).clamp(min=1e-12)).to(torch.uint8)
        colours = torch.from_numpy(_heat(bright.numpy())).permute(0, 3, 1, 2)
        draw_images(ax, colours, len(images))
        ax.set_title(kind, loc="left")


def _heat(values: np.ndarray) -> np.ndarray:
    """Colour bytes `[N, H, W]` by a palette whose brightness rises evenly: uint8 `[N, H, W, 3]`."""
    return (255 * colormaps["cividis"](values)[..., :3]).astype(np.uint8)


def draw_progress(ax: Axes, curves: Mapping[str, Sequence[float]], goal: float | None = None) -> Axes:
    """Draw validation accuracy after every epoch, one line a network, and a goal to reach.

    Args:
        ax: where to draw.
        curves: accuracy in percent, one number an epoch, by network.
        goal: accuracy in percent, or None.

    Returns:
        The axes.
    """
    for name, percent in curves.items():
        colour, marker = NETWORK_COLOURS[name], NETWORK_MARKERS[name]
        ax.plot(range(1, len(percent) + 1), percent, color=colour, marker=marker, linewidth=2, label=name)
    if goal is not None:
        ax.axhline(goal, color=GREY, linestyle=":", linewidth=1.5)
        ax.annotate(f"goal: {goal:.0f} %", (1, goal + 2), fontsize=10, color=GREY)
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy on validation (%)")
    ax.set_ylim(0, 100)
    ax.legend(frameon=False, loc="lower right")
    return plain(ax)


def mark_saving(ax: Axes, start: float, end: float, accuracy: float) -> Axes:
    """Draw an arrow at one height of the curve of notebook 00: from the labels of transfer to those of scratch.

    Args:
        ax: where `draw_curve` has drawn.
        start: labels per class with transfer.
        end: labels per class that scratch takes.
        accuracy: what both reach, in percent.

    Returns:
        The axes.
    """
    arrow = {"arrowstyle": "->", "color": "black", "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (end, accuracy), (start, accuracy), arrowprops=arrow)
    text = f"{end / start:.0f} times the labels"
    ax.annotate(text, (1.05 * start, accuracy - 7), fontsize=11)
    return ax


def caption_mistakes(scores: torch.Tensor, data: ImageSet, chosen: torch.Tensor) -> list[str]:
    """Return a short text an image: what it was taken for, what it is, and how sure the network was.

    Args:
        scores: before the softmax, float `[N, classes]`.
        data: the images that were asked about.
        chosen: which of them, int64 `[M]`.

    Returns:
        Texts such as `"9, not 7: 98 %"`.
    """
    confidence, answers = scores.softmax(1).max(1)
    names, labels = data.classes, data.labels
    return [f"{names[answers[i]]}, not {names[labels[i]]}: {100 * confidence[i]:.0f} %" for i in chosen.tolist()]
