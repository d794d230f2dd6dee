"""What the lab of notebook 04 draws beside the notebook's own pictures."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb04_evaluation.comparing import Comparison, Verdicts
from tlcourse.notebook.figures import GREY, PALETTE, RIGHT, SHAPES, WRONG, draw_images, plain

SHOWN, COLUMNS = 18, 6  # images behind a cell
STAGGER = (-0.15, 0.05, -0.05, 0.15)  # so that seeds with about the same difference do not hide each other
SIDES = {"A better": (PALETTE[0], "///"), "open": ("#DDDDDD", ""), "B better": (PALETTE[4], "...")}


def draw_behind(ax: Axes, data: ImageSet, behind: torch.Tensor, captions: Sequence[str], right: bool) -> Axes:
    """Draw the first images behind a cell, with a caption each; white where there are fewer."""
    page = torch.full((SHOWN, *data.images.shape[1:]), 255, dtype=torch.uint8)
    page[: len(behind)] = data.images[behind[:SHOWN]]
    texts = [*captions[:SHOWN], *[""] * (SHOWN - min(SHOWN, len(behind)))]
    draw_images(ax, page, COLUMNS, texts, [RIGHT if right else WRONG] * SHOWN)
    if not len(behind):
        ax.text(0.5, 0.5, "no image in this cell", transform=ax.transAxes, ha="center", fontsize=12, color=GREY)
    return ax


def draw_over_temperature(ax: Axes, errors: Mapping[float, float], here: float, best: float) -> Axes:
    """Draw the calibration error against the temperature, the slider's place and the fitted temperature."""
    ax.plot(list(errors), list(errors.values()), color=PALETTE[0], linewidth=2)
    ax.plot(here, errors[here], "o", color="black", markersize=9)
    ax.axvline(best, color=PALETTE[2], linewidth=2, linestyle="--")
    place = {"transform": ax.get_xaxis_transform(), "ha": "right" if best > 1 else "left", "va": "top"}
    ax.text(best, 0.99, f" fitted: {best:.2f} ", fontsize=10, **place)
    ax.set_xscale("log")
    ax.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    ax.minorticks_off()
    ax.set_ylim(0, 1.15 * max(errors.values()))
    ax.set_xlabel("temperature")
    ax.set_title("calibration error (points)", fontsize=12)
    return plain(ax)


def draw_probabilities(ax: Axes, image: torch.Tensor, shares: torch.Tensor, label: int, classes: Sequence[str]) -> Axes:
    """Draw how sure a network is of every class for one image, the image itself inside."""
    answer = int(shares.argmax())
    colours = [RIGHT if c == label else WRONG if c == answer else GREY for c in range(len(classes))]
    ax.bar(range(len(classes)), (100 * shares).tolist(), color=colours)
    ax.set_xticks(range(len(classes)), classes)
    said = f"{classes[answer]} ✓" if answer == label else f"{classes[answer]} ✗ is {classes[label]}"
    ax.set_title(f"{said}, {100 * shares[answer]:.0f} % sure", fontsize=12)
    ax.set_ylim(0, 150)
    ax.set_yticks([0, 50, 100])
    inset = ax.inset_axes((0.35, 0.69, 0.3, 0.3))
    draw_images(inset, image[None], 1)
    ax.set_xlabel("class")
    return plain(ax)


def draw_comparison(ax: Axes, found: Comparison) -> Axes:
    """Draw the difference of every seed, and below it both intervals of the mean."""
    pairs = sorted(zip(found.differences, found.clear, strict=True))
    seeds = [(points, clear, STAGGER[i % len(STAGGER)]) for i, (points, clear) in enumerate(pairs)]
    for clear, marker, colour in ((False, "o", GREY), (True, "s", WRONG)):
        at, rows = [s[0] for s in seeds if s[1] == clear], [s[2] for s in seeds if s[1] == clear]
        name = "McNemar: p < 0.05" if clear else "could be chance"
        ax.plot(at, rows, marker, color=colour, markersize=7, alpha=0.75, label=name)
    for row, interval in enumerate((found.over_seeds, found.over_images), 1):
        reach = [[interval.mean - interval.low], [interval.high - interval.mean]]
        style = {"color": PALETTE[row - 1], "marker": SHAPES[row], "markersize": 8, "capsize": 6, "linewidth": 2.5}
        ax.errorbar(interval.mean, row, xerr=reach, **style)
    ax.axvline(0, color="black", linewidth=1, linestyle="--")
    ax.set_yticks((0, 1, 2), ("every seed", f"over seeds\n{found.over_seeds}", f"over images\n{found.over_images}"))
    ax.set_ylim(2.4, -0.9)
    widest = 1.15 * max(abs(x) for x in (*found.differences, found.over_seeds.low, found.over_seeds.high, 5))
    ax.set_xlim(-widest, widest)
    ax.locator_params(axis="x", nbins=7, integer=True)
    ax.set_xlabel("← B better          A minus B (points)          A better →")
    ax.legend(frameon=False, fontsize=10, loc="upper center", ncols=2, columnspacing=1, handletextpad=0.1)
    plain(ax).grid(visible=False, axis="y")
    return ax


def draw_verdicts(ax: Axes, verdicts: Mapping[int, Verdicts], here: int) -> Axes:
    """Draw what many experiments would say, by their number of seeds, and frame the size that was chosen."""
    places, bottom = range(len(verdicts)), [0.0] * len(verdicts)
    for (label, (colour, hatch)), heights in zip(SIDES.items(), zip(*verdicts.values(), strict=True), strict=True):
        ax.bar(places, heights, 0.8, bottom, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    at = list(verdicts).index(here)
    ax.bar(at, 100, 0.9, fill=False, edgecolor="black", linewidth=2.5)
    ax.axhline(80, color="black", linewidth=1, linestyle="--")  # the power that most plans ask for
    ax.set_xticks(places, [str(n) for n in verdicts])
    ax.set_ylim(0, 100)
    ax.set_xlabel("seeds")
    ax.set_ylabel("experiments that say so (%)")
    ax.legend(frameon=False, fontsize=10, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 0.99), columnspacing=0.8)
    return plain(ax)
