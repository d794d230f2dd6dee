"""Pictures of how a classifier does, for every notebook and report: its confusion matrix and its calibration."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from tlcourse.evaluation.calibration import Reliability
from tlcourse.notebook.figures import COLOURS, GREY, WRONG, plain

FEW = 10  # bins with fewer images than this are drawn pale: their accuracy is mostly chance


def draw_confusion(ax: Axes, confusion: torch.Tensor, classes: Sequence[str]) -> str:
    """Draw a confusion matrix, mistakes shaded by how often they happen, and say which are the most frequent."""
    mistakes = confusion.clone().fill_diagonal_(0)
    shades = np.ma.masked_equal(mistakes.numpy(), 0)
    ax.imshow(shades, cmap="Oranges", vmin=-1, vmax=max(2 * mistakes.max().item(), 2 * FEW))  # one mistake is pale
    for row, counts in enumerate(confusion.tolist()):
        for column, count in enumerate(counts):
            if count:
                colour = GREY if row == column else "black"
                ax.text(column, row, count, ha="center", va="center", fontsize=10, color=colour)
    ax.set_xticks(range(len(classes)), classes)
    ax.set_yticks(range(len(classes)), classes)
    ax.set_xlabel("answer")
    ax.set_ylabel("right class")
    ax.spines[:].set_visible(False)
    return describe_confusion(confusion, classes)


def describe_confusion(confusion: torch.Tensor, classes: Sequence[str], most: int = 3) -> str:
    """Say in a sentence which mistakes are the most frequent."""
    mistakes = confusion.clone().fill_diagonal_(0).flatten()
    order = mistakes.argsort(descending=True, stable=True)[:most].tolist()
    n = len(classes)
    parts = [f"{classes[i // n]} read as {classes[i % n]} ({int(mistakes[i])} times)" for i in order if mistakes[i]]
    return f"Confusion matrix of {int(confusion.sum())} images. Most frequent: {', '.join(parts) or 'no mistake'}."


def draw_reliability(ax: Axes, bins: Reliability, name: str = "The network") -> str:
    """Draw accuracy against confidence in bars, the diagonal on which they should end, and the gap between.

    Returns what it shows in words: by how much the network is too sure.
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
    ax.set_title(f"calibration error {bins.error:.1f} points")
    plain(ax)
    lean = "too sure" if bins.overconfidence > 0 else "not sure enough"
    return f"{name}: by {abs(bins.overconfidence):.1f} points {lean}; calibration error {bins.error:.1f} points."
