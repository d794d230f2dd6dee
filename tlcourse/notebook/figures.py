"""What all pictures share: colours and markers, results over seeds as lines or dots, images in rows, plain axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes

if TYPE_CHECKING:
    import pandas as pd

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, "Color universal design", 2008).
# Each start also has a marker of its own, so that nothing depends on colour alone.
COLOURS = {"scratch": "#D55E00", "linear probe": "#56B4E9", "fine-tuned": "#0072B2"}
MARKERS = {"scratch": "s", "linear probe": "^", "fine-tuned": "o"}
RIGHT, WRONG, GREY = "#009E73", "#D55E00", "#666666"
# colours and markers of all other names, in order
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("o", "s", "D", "^", "v", "P")
AXES = {
    "accuracy": "accuracy on the test pool (%)",
    "loss": "training loss (nats)",
    "per_class": "labelled images per class",
}
LOGARITHMIC = ("per_class", "updates")
RING = {"marker": "o", "linestyle": "none", "markersize": 15, "markerfacecolor": "none", "markeredgewidth": 2}
MEAN = {"color": "black", "marker": "|", "markersize": 14, "linewidth": 2}  # where there is nothing to tell apart

Styles = dict[str, dict[str, Any]]


def styles_of(names: Sequence[str], styles: Styles | None = None) -> dict[str, dict[str, Any]]:
    """How each name is drawn: a start as everywhere in the course, others in the colours and markers that are left."""
    known = {name: {"color": COLOURS[name], "marker": MARKERS[name]} for name in names if name in COLOURS}
    colours = [colour for colour in PALETTE if colour not in {style["color"] for style in known.values()}]
    markers = [marker for marker in SHAPES if marker not in {style["marker"] for style in known.values()}]
    others = {}
    for place, name in enumerate(name for name in names if name not in known):
        others[name] = {"color": colours[place % len(colours)], "marker": markers[place % len(markers)]}
    return {name: {"linewidth": 2} | (known | others)[name] | (styles or {}).get(name, {}) for name in names}


def lines(
    ax: Axes,
    rows: "pd.DataFrame | list[dict[str, Any]]",
    x: str,
    y: str = "accuracy",
    by: str = "start",
    *,
    live: "pd.DataFrame | None" = None,
    apart: float = 0,
    styles: Styles | None = None,
) -> str:
    """Draw the mean of the column `y` against `x`, one line for each value of `by`, and return the alt text.

    Rows are trials, whose 95 % intervals are then drawn as bands, or what `intervals` and `paired` returned, or single
    values without an interval; a list of dictionaries will do. Lines that lie on each other are set `apart`, in units
    of `x`, and get whiskers in place of bands. `live` holds trials of this session: their means are drawn as rings.
    """
    summary = _summary(rows, y, [by, x])
    drawn = styles_of(summary[by].drop_duplicates().tolist(), styles)
    said = []
    for place, (name, style) in enumerate(drawn.items()):
        shift = (place - (len(drawn) - 1) / 2) * apart
        line = summary[summary[by] == name].sort_values(x)
        if apart:
            ax.errorbar(line[x] + shift, line["mean"], _reach(line), capsize=3, label=name, **style)
        else:
            ax.plot(line[x], line["mean"], label=name, **style)
            ax.fill_between(line[x], line["low"], line["high"], color=style["color"], alpha=0.2, linewidth=0)
        if live is not None:
            means = live[live[by] == name].groupby(x)[y].mean()
            ax.plot(means.index + shift, means, markeredgecolor=style["color"], **RING)
        ends = [f"{mean:.3g} at {at:g}" for at, mean in zip(line[x], line["mean"], strict=True)]
        said.append(f"{name} from {ends[0]} to {ends[-1]}")
    if live is not None and live[by].isin(list(drawn)).any():
        ax.plot([], [], markeredgecolor="black", label="your runs", **RING)
    if x in LOGARITHMIC:
        _logarithmic(ax, sorted({*summary[x], *(live[x] if live is not None else ())}))
    ax.set_xlabel(AXES.get(x, x))
    ax.set_ylabel(AXES.get(y, y))
    ax.legend(frameon=False)
    plain(ax)
    return f"Mean {AXES.get(y, y)} against {AXES.get(x, x)}: {'; '.join(said)}."


def dots(
    ax: Axes,
    rows: "pd.DataFrame",
    x: str,
    y: str,
    by: str | None = None,
    *,
    live: "pd.DataFrame | None" = None,
    seeds: bool = False,
    order: Sequence[str] = (),
    styles: Styles | None = None,
) -> str:
    """Draw the mean of the column `x` with its 95 % interval, one row for each value of `y`, and return the alt text.

    Rows and `live` are what they are for `lines`. With `by`, each row has a dot for each of its values; without, the
    means are written at the dots. `seeds` also shows every trial, faintly. `order` names the rows from top to bottom,
    those without a dot too; by default they follow their first appearance.
    """
    summary = _summary(rows, x, [by, y] if by else [y])
    names = list(order) or summary[y].drop_duplicates().tolist()
    drawn = styles_of(summary[by].drop_duplicates().tolist(), styles) if by else {None: MEAN}
    for place, (kind, style) in enumerate(drawn.items()):
        shift = (place - (len(drawn) - 1) / 2) * 0.6 / len(drawn)
        heights = {name: row + shift for row, name in enumerate(names)}
        shown, trials, mine = (_of_kind(frame, by, kind) for frame in (summary, rows, live))
        if seeds:
            faint = style["color"] if by else PALETTE[-1]
            ax.scatter(trials[x], trials[y].map(heights), color=faint, s=22, alpha=0.6, linewidth=0)
        places = shown[y].map(heights)
        ax.errorbar(shown["mean"], places, xerr=_reach(shown), capsize=3, linestyle="none", label=kind, **style)
        if not by:
            _write_means(ax, shown["mean"], places)
        if mine is not None:
            means = mine.groupby(y)[x].mean()
            ax.plot(means, means.index.map(heights), markeredgecolor=style["color"] if by else WRONG, **RING)
    _name_rows(ax, names)
    ax.set_xlabel(AXES.get(x, x))
    if by:
        ax.legend(frameon=False)
    return f"Mean {AXES.get(x, x)} and 95 % interval: {_in_words(summary, y, by)}."


def budget_of(rows: "pd.DataFrame") -> str:
    """Say in a caption what the trainings in a frame could spend; its columns are those of `Recipe.budget`.

    Where trainings differ, all values are said: `200 or 600 updates of 50 images, rate up to 0.005, augmented`. Raises
    ValueError when a column is missing.
    """
    missing = [name for name in ("updates", "batch", "lr", "augmented") if name not in rows]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}. Expected rows of trials that name their budget.")

    def said(name: str) -> str:
        return " or ".join(f"{value:g}" for value in sorted(rows[name].dropna().unique()))

    augmented = {True: "augmented", False: "as they are"}
    how = " or ".join(augmented[value] for value in (True, False) if (rows["augmented"] == value).any())
    return f"{said('updates')} updates of {said('batch')} images, rate up to {said('lr')}, {how}"


def _summary(rows: "pd.DataFrame | list[dict[str, Any]]", value: str, by: list[str]) -> "pd.DataFrame":
    """Means with intervals: as they are, or from trials; a value that stands alone is its own mean."""
    import pandas as pd  # here, because that takes a while

    from tlcourse.notebook.results import intervals

    rows = pd.DataFrame(rows)
    if "mean" in rows:
        return rows
    if rows.duplicated(by).any():
        return intervals(rows, value, by)
    return rows[by].assign(mean=rows[value], low=rows[value], high=rows[value])


def _of_kind(frame: "pd.DataFrame | None", by: str | None, kind: str | None) -> "pd.DataFrame | None":
    return frame if frame is None or by is None else frame[frame[by] == kind]


def _reach(summary: "pd.DataFrame") -> np.ndarray:
    """How far intervals reach below and above their means, `[2, N]`."""
    return np.stack([summary["mean"] - summary["low"], summary["high"] - summary["mean"]])


def _in_words(summary: "pd.DataFrame", y: str, by: str | None) -> str:
    """`fine-tuned 88.6 [87.6, 89.5]; ...`, or by groups: `crop: scratch 40.1 [...], fine-tuned ...; ...`."""
    from tlcourse.notebook.results import as_texts

    said = summary.assign(text=as_texts(summary))
    if by is None:
        return "; ".join(f"{name} {text}" for name, text in zip(said[y], said["text"], strict=True))
    parts = []
    for name, group in said.groupby(y, sort=False):
        texts = [f"{kind} {text}" for kind, text in zip(group[by], group["text"], strict=True)]
        parts.append(f"{name}: {', '.join(texts)}")
    return "; ".join(parts)


def _write_means(ax: Axes, means: Sequence[float], heights: Sequence[float]) -> None:
    for mean, height in zip(means, heights, strict=True):
        ax.annotate(f"{mean:.1f}", (mean, height - 0.18), ha="center", va="bottom", fontsize=10)


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Write names beside lying dots, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    plain(ax)
    ax.grid(axis="x", color="#E5E5E5")


def _logarithmic(ax: Axes, ticks: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def draw_images(
    ax: Axes,
    images: torch.Tensor,
    columns: int = 10,
    captions: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    room: int | None = None,
) -> Axes:
    """Draw uint8 images `[N, 3, H, W]` in rows of `columns`, each over its caption and in its colour, if given.

    `room` is for the captions, in pixels below each image; a third of its height is enough for one line.
    """
    count, _, height, width = images.shape
    below = (room or height // 3) if captions else 2
    rows = -(-count // columns)
    page = np.full((rows * (height + below), columns * (width + 2), 3), 255, dtype=np.uint8)
    for i, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):  # [H, W, 3]
        top, left = i // columns * (height + below), i % columns * (width + 2)
        page[top : top + height, left : left + width] = image
        if captions:
            colour = colours[i] if colours else "black"
            ax.text(left + width / 2, top + height, captions[i], ha="center", va="top", fontsize=10, color=colour)
    if count:  # there may be no image on which two networks differ
        ax.imshow(page, interpolation="nearest")
    ax.set_axis_off()
    return ax


def plain(ax: Axes) -> Axes:
    """Take away what carries no information, add a light grid to read values from, and return the axes."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#E5E5E5")
    ax.set_axisbelow(True)
    return ax
