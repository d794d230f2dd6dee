"""Pictures of notebook 01: detectors, leaking scores, prices of a normalisation, and what augmentations are worth."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from tlcourse.data.cleaning import Finding
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference
from tlcourse.lessons.nb01_preprocessing.augmentation_worth import NOTHING, Worth, worth_of
from tlcourse.lessons.nb01_preprocessing.experiment import Leak, Price
from tlcourse.lessons.nb01_preprocessing.inspection import Detection
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, RIGHT, WRONG, draw_images, plain

PRECISION, RECALL = ("#0072B2", "o"), ("#E69F00", "D")
SHADES = ("#0072B2", "#56B4E9", "#009E73", "#D55E00")
SHAPES = ("o", "^", "D", "s")


def draw_detections(ax: Axes, rows: Sequence[Detection]) -> Axes:
    """Draw precision and recall of every detector with their 95 % intervals, one line a detector.

    Args:
        ax: where to draw.
        rows: at least two seeds a detector.

    Returns:
        The axes.
    """
    kinds = list(dict.fromkeys(row.kind for row in rows))
    for offset, name, (colour, marker) in ((-0.13, "precision", PRECISION), (0.13, "recall", RECALL)):
        for y, kind in enumerate(kinds):
            shown = bootstrap_mean([getattr(row, name) for row in rows if row.kind == kind])
            _point(ax, shown, y + offset, colour, marker, name if y == 0 else None)
    _names(ax, kinds)
    ax.set_xlim(0, 104)
    ax.set_xlabel("share (%)")
    ax.legend(frameon=False, loc="lower left")
    return ax


def describe_detections(rows: Sequence[Detection]) -> str:
    """Say in a sentence what `draw_detections` shows."""
    parts = []
    for kind in dict.fromkeys(row.kind for row in rows):
        means = [np.mean([getattr(row, name) for row in rows if row.kind == kind]) for name in ("precision", "recall")]
        parts.append(f"{kind} {means[0]:.0f} % and {means[1]:.0f} %")
    return f"Mean precision and recall of every detector: {', '.join(parts)}."


def draw_suspects(
    ax: Axes, images: ImageSet, findings: Sequence[Finding], answers: torch.Tensor, planted: Collection[int]
) -> Axes:
    """Draw images with suspected labels, ten a row, each over its label and what it looks like.

    Args:
        ax: where to draw.
        images: the set.
        findings: which of them to draw.
        answers: what each image of the set looks like, class numbers, int64 `[N]`.
        planted: numbers of the images whose label is wrong; their captions are green, those of others orange.

    Returns:
        The axes.
    """
    which = [finding.which for finding in findings]
    captions = [f"{images.classes[images.labels[i]]}, or {images.classes[answers[i]]}?" for i in which]
    colours = [RIGHT if i in planted else WRONG for i in which]
    return draw_images(ax, images.images[which], 10, captions, colours)


def draw_pairs(ax: Axes, above: torch.Tensor, below: torch.Tensor, captions: Sequence[str]) -> Axes:
    """Draw images in two rows, partners one above the other, with captions below.

    Args:
        ax: where to draw.
        above: uint8 `[N, 3, H, W]`.
        below: their partners, uint8 `[N, 3, H, W]`.
        captions: one short text a pair.

    Returns:
        The axes.
    """
    return draw_images(ax, torch.cat([above, below]), len(above), [""] * len(above) + list(captions))


def draw_thresholds(
    ax: Axes, thresholds: Sequence[float], scores: Sequence[tuple[float, float]], chosen: float, unit: str
) -> Axes:
    """Draw precision and recall against the threshold of a detector, and mark the chosen one.

    Args:
        ax: where to draw.
        thresholds: in ascending order.
        scores: precision and recall at each of them, from 0 to 1.
        chosen: the threshold to mark.
        unit: what the threshold is, for the axis.

    Returns:
        The axes.
    """
    for i, (name, (colour, marker)) in enumerate((("precision", PRECISION), ("recall", RECALL))):
        percent = [100 * score[i] for score in scores]
        ax.plot(thresholds, percent, color=colour, marker=marker, markersize=5, linewidth=2, label=name)
    ax.axvline(chosen, color="black", linewidth=1, linestyle="--")
    ax.set_xlabel(unit)
    ax.set_ylabel("share (%)")
    ax.set_ylim(0, 104)
    ax.legend(frameon=False, loc="best")
    return plain(ax)


def draw_leaks(ax: Axes, rows: Sequence[Leak]) -> Axes:
    """Draw what cross-validation said beside what new images say, with 95 % intervals, one line a way to split.

    Args:
        ax: where to draw.
        rows: at least two seeds for every split and method.

    Returns:
        The axes.
    """
    lines = list(dict.fromkeys((row.method, row.split) for row in rows))
    for y, line in enumerate(lines):
        chosen = [row for row in rows if (row.method, row.split) == line]
        said, true = (bootstrap_mean([getattr(row, name) for row in chosen]) for name in ("said", "true"))
        ax.plot([said.mean, true.mean], [y, y], color="#BBBBBB", linewidth=4, zorder=0)
        _point(ax, said, y - 0.13, WRONG, "s", "cross-validation said" if y == 0 else None)
        _point(ax, true, y + 0.13, RIGHT, "o", "new images say" if y == 0 else None)
    _names(ax, [f"{method}\n{split}" for method, split in lines])
    ax.set_xlabel("accuracy (%)")
    ax.legend(frameon=False, loc="best")
    return ax


def describe_leaks(rows: Sequence[Leak]) -> str:
    """Say in a sentence what `draw_leaks` shows: by how much every kind of folds flatters."""
    parts = []
    for line in dict.fromkeys((row.method, row.split) for row in rows):
        chosen = [row for row in rows if (row.method, row.split) == line]
        gap = paired_difference([row.said for row in chosen], [row.true for row in chosen])
        parts.append(f"{' with '.join(line)} {gap.mean:+.0f} points")
    return f"Cross-validated accuracy minus that on new images: {', '.join(parts)}."


def draw_prices(ax: Axes, rows: Sequence[Price], whats: Sequence[str]) -> Axes:
    """Draw accuracy under every normalisation, with 95 % intervals, one colour a measurement.

    Args:
        ax: where to draw.
        rows: at least two seeds for every convention and measurement.
        whats: which measurements, at most four.

    Returns:
        The axes.
    """
    names = list(dict.fromkeys(row.convention for row in rows))
    places = np.linspace(-0.2, 0.2, len(whats))
    for what, offset, colour, marker in zip(whats, places, SHADES, SHAPES, strict=False):
        for y, name in enumerate(names):
            scores = [row.accuracy for row in rows if (row.what, row.convention) == (what, name)]
            _point(ax, bootstrap_mean(scores), y + offset, colour, marker, what if y == 0 else None)
    _names(ax, names)
    ax.set_xlabel("accuracy (%)")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def describe_prices(rows: Sequence[Price]) -> str:
    """Say in a sentence what `draw_prices` shows: the mean under every normalisation."""
    parts = []
    for what in dict.fromkeys(row.what for row in rows):
        names = dict.fromkeys(row.convention for row in rows if row.what == what)
        means = [np.mean([r.accuracy for r in rows if (r.what, r.convention) == (what, name)]) for name in names]
        parts.append(f"{what}: {', '.join(f'{n} {m:.0f} %' for n, m in zip(names, means, strict=True))}")
    return f"Mean accuracy by normalisation. {'; '.join(parts)}."


def draw_worth(ax: Axes, rows: Sequence[Worth], live: Sequence[Worth] = ()) -> Axes:
    """Draw by how many points each augmentation changes accuracy, compared in pairs with none, and 95 % intervals.

    Args:
        ax: where to draw.
        rows: trials with at least two seeds, `"none"` among them.
        live: trials of this session with the same; their means are drawn as rings.

    Returns:
        The axes.
    """
    names = [name for name in dict.fromkeys(row.augmentation for row in rows) if name != NOTHING]
    ax.axvline(0, color="black", linewidth=1)
    for start, offset in (("scratch", -0.14), ("fine-tuned", 0.14)):
        for y, name in enumerate(names):
            gain = worth_gain(rows, name, start)
            _point(ax, gain, y + offset, COLOURS[start], MARKERS[start], start if y == 0 else None)
            if worth_of(live, name, start):
                mean = np.mean(np.subtract(worth_of(live, name, start), worth_of(live, NOTHING, start)))
                ring = {"markerfacecolor": "none", "markeredgecolor": COLOURS[start], "markeredgewidth": 2}
                ax.plot(mean, y + offset, "o", markersize=15, **ring)
    _names(ax, names)
    ax.set_xlabel("points of accuracy more than without augmentation")
    ax.legend(frameon=False, loc="lower right")
    return ax


def worth_gain(rows: Sequence[Worth], augmentation: str, start: str) -> Interval:
    """Return what an augmentation changes, in points of accuracy, compared in pairs with none."""
    return paired_difference(worth_of(rows, augmentation, start), worth_of(rows, NOTHING, start))


def describe_worth(rows: Sequence[Worth]) -> str:
    """Say in a sentence what `draw_worth` shows."""
    names = [name for name in dict.fromkeys(row.augmentation for row in rows) if name != NOTHING]
    parts = []
    for name in names:
        scratch, tuned = (worth_gain(rows, name, start).mean for start in ("scratch", "fine-tuned"))
        parts.append(f"{name} {scratch:+.0f} and {tuned:+.0f}")
    return f"Points of accuracy gained over no augmentation, from scratch and fine-tuned: {', '.join(parts)}."


def draw_readings(ax: Axes, angles: Sequence[float], shares: Mapping[str, Sequence[float]]) -> Axes:
    """Draw against the angle how many turned images are read as what.

    Args:
        ax: where to draw.
        angles: in degrees.
        shares: by what it says, a share from 0 to 1 for every angle, at most four of them.

    Returns:
        The axes.
    """
    for (name, values), colour, marker in zip(shares.items(), SHADES, SHAPES, strict=False):
        percent = [100 * value for value in values]
        ax.plot(angles, percent, color=colour, marker=marker, linewidth=2, label=name)
    ax.set_xlabel("turned by (degrees)")
    ax.set_ylabel("share of the images (%)")
    ax.set_ylim(-2, 102)
    ax.set_xticks(range(0, 181, 30))
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return plain(ax)


def _point(ax: Axes, shown: Interval, y: float, colour: str, marker: str, label: str | None) -> None:
    """Draw a mean with its interval, lying."""
    spread = [[shown.mean - shown.low], [shown.high - shown.mean]]
    ax.errorbar(shown.mean, y, xerr=spread, color=colour, marker=marker, capsize=3, linewidth=2, ls="", label=label)


def _names(ax: Axes, names: Sequence[str]) -> None:
    """Write names beside lying lines, the first on top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(axis="x", color=GREY, alpha=0.25)
    ax.set_axisbelow(True)
