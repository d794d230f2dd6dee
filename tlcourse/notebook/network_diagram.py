"""One picture of the course's network, used wherever parts of it are carried over, frozen or made anew."""

from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from tlcourse.notebook.figures import COLOURS, GREY

# what comes out of each part, for an image of 32x32 pixels: channels, height, width
PARTS = {
    "stem": (16, 16, 16),
    "block1": (16, 16, 16),
    "block2": (32, 8, 8),
    "block3": (64, 4, 4),
    "block4": (128, 2, 2),
}
HEAD = "head"
NAMES = (*PARTS, HEAD)
# what happens to a part: its edge, and what fills it; the word stands over the box, so that colour is not needed
NEW, TRAINED, FROZEN = "new", "carried over", "frozen"
FILLS = {NEW: "#FBE3D3", TRAINED: "#D6E8F5", FROZEN: "#E8E8E8"}
EDGES = {NEW: COLOURS["scratch"], TRAINED: COLOURS["fine-tuned"], FROZEN: GREY}
STEP, WIDTH = 1.5, 1.16  # between the middles of two boxes, and of a box


def draw_network(
    ax: Axes, *, frozen: Collection[str] = (), new: Collection[str] = (HEAD,), classes: int = 10, title: str = ""
) -> str:
    """Draw TinyResNet from image to scores, and what happens to every part; return the alt text.

    The parts are `stem`, `block1` to `block4` and `head`. Those in `new` begin with random weights, the others are
    carried over; `frozen` ones stay as they are, all others learn. Raises ValueError for a name that is no part, and
    for one that is both: weights that stay random serve nobody.
    """
    _check(frozen, new)
    fates = {name: NEW if name in new else FROZEN if name in frozen else TRAINED for name in NAMES}
    heights = {name: 0.5 + 0.045 * side for name, (_, side, _) in PARTS.items()} | {HEAD: 0.5}
    shapes = {name: "×".join(map(str, shape)) for name, shape in PARTS.items()} | {HEAD: f"{classes} scores"}
    _write(ax, 0, "image\n3×32×32")
    for place, name in enumerate(NAMES, start=1):
        middle = (place + (name == HEAD)) * STEP  # the averages stand before the head
        _box(ax, middle, heights[name], name, fates[name])
        ax.text(middle, -0.78, shapes[name], ha="center", va="top", fontsize=10, color=GREY)
    _write(ax, (len(PARTS) + 1) * STEP, "average\n128 features")
    for place in range(len(NAMES) + 1):
        _arrow(ax, place * STEP)
    ax.set_xlim(-0.75, (len(NAMES) + 1) * STEP + 0.75)
    ax.set_ylim(-1.1, 1.05)
    ax.set_title(title)
    ax.set_axis_off()
    return f"The network from image to scores: {', '.join(f'{name} {fate}' for name, fate in fates.items())}."


def _check(frozen: Collection[str], new: Collection[str]) -> None:
    unknown = [name for name in (*frozen, *new) if name not in NAMES]
    if isinstance(frozen, str) or isinstance(new, str) or unknown:
        raise ValueError(f"got frozen={frozen!r} and new={new!r}. Expected lists of names from: {', '.join(NAMES)}.")
    both = sorted(set(frozen) & set(new))
    if both:
        raise ValueError(f"{', '.join(both)} would be new and frozen, and stay random. Expected one of the two.")


def _box(ax: Axes, middle: float, height: float, name: str, fate: str) -> None:
    style = {"facecolor": FILLS[fate], "edgecolor": EDGES[fate], "linewidth": 2}
    corner = (middle - WIDTH / 2, -height / 2)
    ax.add_patch(FancyBboxPatch(corner, WIDTH, height, boxstyle="round,pad=0,rounding_size=0.08", **style))
    ax.text(middle, 0, name, ha="center", va="center", fontsize=11, fontweight="bold")
    ax.text(middle, 0.72, fate, ha="center", va="bottom", fontsize=10, color=EDGES[fate])


def _write(ax: Axes, middle: float, text: str) -> None:
    ax.text(middle, 0, text, ha="center", va="center", fontsize=10)


def _arrow(ax: Axes, left: float) -> None:
    """From what stands at `left` to the next."""
    gap = (STEP - WIDTH) / 2 - 0.03
    middle = left + STEP / 2
    ax.annotate("", (middle + gap, 0), (middle - gap, 0), arrowprops={"arrowstyle": "->", "color": GREY})
