"""What the lab of notebook 04 draws beside the notebook's own pictures."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb04_evaluation.comparing import Comparison, Repeats
from tlcourse.notebook.figures import GREY, PALETTE, RIGHT, SHAPES, WRONG, draw_images, plain

SHOWN, COLUMNS = 18, 6  # images behind a cell
NOWHERE = 0.01  # where a logarithmic axis, which has no 0, has what is 0: below its end
STAGGER = (-0.15, 0.05, -0.05, 0.15)  # so that seeds with about the same difference do not hide each other
SIDES = {"A": (PALETTE[0], "///"), "open": ("#DDDDDD", ""), "B": (PALETTE[4], "...")}


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
    ax.set_ylim(0, 80)
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


def draw_widths(ax: Axes, widths: Mapping[int, tuple[float, float]], here: int, unit: str) -> Axes:
    """Draw how far intervals reach against the number of seeds or of images, and mark where the control stands."""
    for i, name in enumerate(("luck of seeds", "luck of images")):
        reach = [max(pair[i], NOWHERE) for pair in widths.values()]
        style = {"color": PALETTE[i], "marker": SHAPES[i], "linestyle": ("-", "--")[i]}
        ax.plot(list(widths), reach, linewidth=2, markersize=6, label=name, **style)
        ax.annotate(f"±{widths[here][i]:.1f}", (here, widths[here][i]), (6, 5), textcoords="offset points", fontsize=11)
    ax.axvline(here, color="black", linewidth=1.5, linestyle=":")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(list(widths), [str(n) for n in widths])
    ax.set_yticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.set_ylim(0.4, 60)
    ax.set_xlabel(unit)
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
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        offset = {"xytext": (0, 11), "textcoords": "offset points", "bbox": box}
        ax.annotate(str(interval), (interval.mean, row), ha="center", fontsize=10, **offset)
    ax.axvline(0, color="black", linewidth=1, linestyle="--")
    ax.set_yticks((0, 1, 2), ("every seed", "over seeds", "over images"))
    ax.set_ylim(2.4, -0.9)
    widest = 1.15 * max(abs(x) for x in (*found.differences, found.over_seeds.low, found.over_seeds.high, 5))
    ax.set_xlim(-widest, widest)
    ax.locator_params(axis="x", nbins=7, integer=True)
    ax.set_xlabel(f"← {found.names[1]} better        points        {found.names[0]} better →")
    ax.legend(frameon=False, fontsize=10, loc="upper center", ncols=2, columnspacing=1, handletextpad=0.1)
    plain(ax).grid(visible=False, axis="y")
    return ax


def draw_verdicts(ax: Axes, column: Mapping[int, Repeats], names: tuple[str, str], here: int) -> Axes:
    """Draw what many experiments would say, by their number of seeds, and frame the size that was chosen."""
    shares = [repeats.verdicts() for repeats in column.values()]
    places, bottom = range(len(shares)), [0.0] * len(shares)
    labels = (names[0], "cannot tell", names[1])
    for (colour, hatch), label, heights in zip(SIDES.values(), labels, zip(*shares, strict=True), strict=True):
        ax.bar(places, heights, 0.8, bottom, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=label)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    at = list(column).index(here)
    ax.bar(at, 100, 0.9, fill=False, edgecolor="black", linewidth=2.5)
    ax.axhline(80, color="black", linewidth=1, linestyle="--")  # the power that most plans ask for
    ax.set_xticks(places, [str(n) for n in column])
    ax.set_ylim(0, 100)
    ax.set_xlabel("seeds")
    ax.set_ylabel("experiments that say so (%)")
    ax.legend(frameon=False, fontsize=10, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 0.99), columnspacing=0.8)
    return plain(ax)
