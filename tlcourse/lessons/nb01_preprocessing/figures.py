"""Pictures of notebook 01; those of results return the sentence that says what they show."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import torch
from matplotlib.axes import Axes

from tlcourse.data.cleaning import Finding
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb01_preprocessing.experiment import gains
from tlcourse.notebook.figures import GREY, RIGHT, WRONG, dots, draw_images, lines

if TYPE_CHECKING:
    import pandas as pd

PRECISION_RECALL = {"precision": {"color": "#0072B2", "marker": "o"}, "recall": {"color": "#E69F00", "marker": "D"}}
ASKED = {"cross-validation": {"color": WRONG, "marker": "s"}, "new images": {"color": RIGHT, "marker": "o"}}
PERCENT = {"accuracy": "accuracy (%)"}  # by default, axes say that it is on the test half
OUTSIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the axes


def draw_suspects(
    ax: Axes, images: ImageSet, findings: Sequence[Finding], answers: torch.Tensor, planted: Collection[int]
) -> Axes:
    """Draw images with suspected labels, ten a row, each over its label and what it looks like.

    `answers` are class numbers, int64 `[N]`. Captions of images whose label is wrong, those `planted`, are green; those
    of others are orange.
    """
    which = [finding.which for finding in findings]
    captions = [f"{images.classes[images.labels[i]]}, or {images.classes[answers[i]]}?" for i in which]
    colours = [RIGHT if i in planted else WRONG for i in which]
    return draw_images(ax, images.images[which], 10, captions, colours)


def draw_pairs(ax: Axes, above: torch.Tensor, below: torch.Tensor, captions: Sequence[str]) -> Axes:
    """Draw images, uint8 `[N, 3, H, W]`, in two rows, partners one above the other, a caption a pair."""
    return draw_images(ax, torch.cat([above, below]), len(above), [""] * len(above) + list(captions))


def draw_page(
    ax: Axes, images: torch.Tensor, captions: Sequence[str], colours: Sequence[str], columns: int, places: int
) -> Axes:
    """Draw up to `places` images over captions of two lines; the page is full, so that its size does not jump."""
    blank = torch.full((places - len(images), *images.shape[1:]), 255, dtype=torch.uint8)
    captions, colours = [*captions, *[""] * len(blank)], [*colours, *[GREY] * len(blank)]
    return draw_images(ax, torch.cat([images, blank]), columns, captions, colours, room=14)


def draw_detections(ax: Axes, rows: "pd.DataFrame") -> str:
    """Draw precision and recall of every detector, from the rows of `detection_trial`."""
    rows = rows.rename(columns={"percent": "share (%)"})
    said = dots(ax, rows, "share (%)", "kind", by="measure", styles=PRECISION_RECALL)
    ax.set_xlim(0, 104)
    ax.legend(frameon=False, loc="lower left")
    return said


def draw_leaks(ax: Axes, rows: "pd.DataFrame") -> str:
    """Draw what cross-validation said beside what new images say, a line for every method and split."""
    rows = rows.assign(line=rows["method"] + "\n" + rows["split"])
    means = rows.groupby(["line", "asked"], sort=False)["accuracy"].mean().unstack()
    ax.hlines(range(len(means)), means.min(axis=1), means.max(axis=1), color="#BBBBBB", linewidth=4, zorder=0)
    said = dots(ax, rows.rename(columns=PERCENT), "accuracy (%)", "line", by="asked", styles=ASKED)
    ax.legend(frameon=False, loc="best")
    return said.replace("\n", ", ")


def draw_prices(ax: Axes, rows: "pd.DataFrame") -> str:
    """Draw accuracy under every normalisation, one colour a measurement."""
    said = dots(ax, rows.rename(columns=PERCENT), "accuracy (%)", "convention", by="what")
    ax.legend(**OUTSIDE)
    return said


def draw_worth(ax: Axes, rows: "pd.DataFrame", live: "pd.DataFrame") -> str:
    """Draw by how many points each augmentation changes accuracy, compared in pairs with none; rings for `live`."""
    name = "points of accuracy more than without augmentation"
    shown, mine = (gains(trials).rename(columns={"gain": name}) for trials in (rows, live))
    ax.axvline(0, color="black", linewidth=1)
    said = dots(ax, shown, name, "augmentation", by="start", live=mine)
    ax.legend(frameon=False, loc="lower right")
    return said


def draw_turned(ax: Axes, rows: "pd.DataFrame") -> str:
    """Draw against the angle how many turned sixes and nines are read as what."""
    said = lines(ax, rows, "angle", "percent", by="case")
    ax.set_xlabel("turned by (degrees)")
    ax.set_ylabel("share of the images (%)")
    ax.set_ylim(-2, 102)
    ax.set_xticks(range(0, 181, 30))
    ax.legend(**OUTSIDE)
    return said
