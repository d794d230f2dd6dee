"""Pictures of notebook 01, each with the sentence that says what it shows."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from tlcourse.data.cleaning import find_exact_duplicates, find_near_duplicates, precision_recall
from tlcourse.data.defects import Planted, plant_across
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb01_preprocessing.experiment import gains
from tlcourse.lessons.nb01_preprocessing.inspection import Inspected
from tlcourse.notebook.figures import AXES, COLOURS, GREY, MARKERS, RIGHT, RING, WRONG, budget_of, dots, draw_images
from tlcourse.repro import generator

PRECISION_RECALL = {"precision": {"color": "#0072B2", "marker": "o"}, "recall": {"color": "#D55E00", "marker": "s"}}
Shown = tuple[Figure, str]  # for `tl.show(*...)`


def _figure(width: float, height: float, panels: int = 1, **options: object) -> tuple[Figure, list[Axes]]:
    figure = Figure((width, height), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False, **options)[0])


def draw_page(
    ax: Axes,
    images: torch.Tensor,
    captions: Sequence[str],
    columns: int,
    places: int,
    frames: Sequence[tuple[str, float]],
) -> None:
    """Draw up to `places` images over captions of two lines, with a frame each (colour and width; 0: none).

    The page is always full, so that its size does not jump.
    """
    height, width = images.shape[2:]
    blank = torch.full((places - len(images), *images.shape[1:]), 255, dtype=torch.uint8)
    draw_images(ax, torch.cat([images, blank]), columns, [*captions, *[""] * len(blank)], room=14)
    for text, (colour, line) in zip(ax.texts[-places:], frames, strict=False):
        x, y = text.get_position()
        if line:
            corner = (x - width / 2 - 0.5, y - height - 0.5)
            ax.add_patch(Rectangle(corner, width, height, fill=False, clip_on=False, edgecolor=colour, linewidth=line))


def draw_sizes(photo: Image.Image, resized: Image.Image, box: tuple[int, int, int, int]) -> Shown:
    """Draw a photograph with the window that is cut out, that window, and the whole squashed to the same size."""
    figure, axes = _figure(10, 3.2, 3, width_ratios=[resized.width / resized.height, 1, 1])
    side = (box[2] - box[0], box[3] - box[1])
    pictures = (resized, resized.crop(box), photo.resize(side, Image.Resampling.BILINEAR))
    titles = ("shorter side 256, frame: the window", "centre crop, 224 x 224", "squashed to 224 x 224")
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=11)
        ax.set_axis_off()
    axes[0].add_patch(Rectangle(box[:2], *side, fill=False, edgecolor="white", linewidth=3))
    axes[0].add_patch(Rectangle(box[:2], *side, fill=False, edgecolor="black", linewidth=1.5, linestyle="--"))
    return (
        figure,
        "A photograph with a square window in its middle; the window alone; the whole, squashed into a square.",
    )


def draw_suspects(inspected: Inspected, truth: Planted) -> Shown:
    """Draw the ten surest and the ten least sure suspected labels, each over its label and what it looks like."""
    wrong, answers, images = inspected.surest("wrong label"), inspected.probabilities.argmax(1), inspected.images
    parts = [wrong[:10], wrong[-10:]]
    which = [finding.which for part in parts for finding in part]
    signs = ["✓" if i in truth.wrong else "✗" for i in which]
    captions = [f"{sign} {images.labels[i]}, or {answers[i]}?" for sign, i in zip(signs, which, strict=True)]
    colours = [RIGHT if i in truth.wrong else WRONG for i in which]
    figure, (ax,) = _figure(11, 3.2)
    draw_images(ax, images.images[which], 10, captions, colours)
    ax.set_title("suspected labels, above the surest ten, below the least sure (✓ planted, ✗ false alarm)")
    hits = [sum(finding.which in truth.wrong for finding in part) for part in parts]
    return figure, f"Suspected labels. Planted: {hits[0]} of the ten surest, {hits[1]} of the ten least sure."


def draw_copies_across(train: ImageSet, test: ImageSet) -> Shown:
    """Plant copies of training images among test images, find them, and draw the ten least sure pairs."""
    dirty, truth = plant_across(train, test, generator("across", 0))
    exact, near = (find(dirty.images, train.images) for find in (find_exact_duplicates, find_near_duplicates))
    scores = []
    for kind, found, planted in (("exact", exact, truth.exact), ("near", near, truth.near)):
        precision, recall = precision_recall({(f.which, f.partner) for f in found}, planted.items())
        scores.append(f"{kind} copies: precision {precision:.0%}, recall {recall:.0%}")
    shown = sorted(near, key=lambda finding: finding.confidence)[:10]
    right = [truth.near.get(f.which) == f.partner for f in shown]
    pairs = torch.cat([dirty.images[[f.which for f in shown]], train.images[[f.partner for f in shown]]])
    captions = [""] * len(shown) + ["✓ planted" if planted else "✗ false alarm" for planted in right]
    colours = [GREY] * len(shown) + [RIGHT if planted else WRONG for planted in right]
    figure, (ax,) = _figure(11, 3.4)
    draw_images(ax, pairs, max(1, len(shown)), captions, colours)
    ax.set_title(
        f"{'; '.join(scores)}\nthe ten least sure pairs: above the test image, below the nearest training image"
    )
    return figure, f"{'; '.join(scores)}. Of the ten least sure pairs, {sum(right)} were planted."


def draw_prices(rows: pd.DataFrame) -> Shown:
    """Draw accuracy under every normalisation: of networks as they are, and of what was trained with it."""
    figure, axes = _figure(11, 4, 2, sharey=True)
    longest = f"fine-tuned, {rows['updates'].max():g} updates"
    rows = rows.assign(what=rows["what"].where(rows["updates"] != rows["updates"].max(), longest))
    as_it_is = rows["what"].str.endswith("as it is")
    styles = {
        "tiny_resnet, as it is": {"color": "black", "marker": "D"},
        "small_cnn, as it is": {"color": GREY, "marker": "v"},
        longest: {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"], "markerfacecolor": "white"},
    }
    parts = (
        (rows[as_it_is], "new letters read correctly (%)", "nothing trained"),
        (rows[~as_it_is], AXES["accuracy"], f"5 labels per class\n{budget_of(rows)}"),
    )
    said = []
    for ax, (part, value, title) in zip(axes, parts, strict=True):
        said.append(dots(ax, part.rename(columns={"accuracy": value}), value, "convention", by="what", styles=styles))
        ax.set_title(title, fontsize=11)
        ax.legend(frameon=False, loc="best")
    return figure, " ".join(said)


def draw_worth(rows: pd.DataFrame, live: pd.DataFrame) -> Shown:
    """Draw by how many points each augmentation changes accuracy, compared in pairs with none; rings for `live`.

    One panel for every budget.
    """
    name = "points of accuracy more than without"
    shown, mine = (gains(trials).rename(columns={"gain": name}) for trials in (rows, live))
    figure, axes = _figure(11, 4.6, 2, sharey=True, sharex=True)
    said = []
    for ax, (updates, part) in zip(axes, shown.groupby("updates"), strict=True):
        ax.axvline(0, color="black", linewidth=1)
        own = mine[mine["updates"] == updates]
        words = dots(ax, part, name, "augmentation", by="start", live=own if len(own) else None)
        if len(own):
            ax.plot([], [], markeredgecolor="black", label="run here, one seed", **RING)
        batch, rate = part[["batch", "lr"]].iloc[0]
        budget = f"{updates:g} updates of {batch:g} images, rate up to {rate:g}"
        ax.set_title(f"{budget}\n{part['seed'].nunique()} seeds", fontsize=11)
        ax.legend(frameon=False, loc="lower right")
        said.append(f"{updates} updates: {words}")
    return figure, " ".join(said)
