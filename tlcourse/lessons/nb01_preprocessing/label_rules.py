"""When a label no longer holds: a fixed rule for every augmentation, in words; no network is asked."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tlcourse.data.augmentations import Crop, CutOut, Flip, Recolour, Rotate
from tlcourse.data.batches import Transform
from tlcourse.data.cleaning import BLANK, contrasts
from tlcourse.data.mixing import CutMix, Mixing, MixUp
from tlcourse.repro import generator

SAME_IN_A_MIRROR = frozenset((0, 1, 8))
SAME_UPSIDE_DOWN = frozenset((0, 1, 2, 5, 8))
ANOTHER_UPSIDE_DOWN = {6: 9, 9: 6}
FARTHEST = 8  # pixels of 32 by which a digit can move and still be seen
MOST_HIDDEN = 0.5  # share of the middle, where the digit is
MIDDLE = slice(8, 24)  # rows and columns

Rule = Callable[[int, float], str]  # from the label and what was measured to what became of the digit; "": it holds


def turned(label: int, degrees: float) -> str:
    """Say what became of a digit: it stands up to 45 degrees, lies up to 135, and is upside down beyond."""
    if abs(degrees) <= 45 or label == 0:
        return ""
    if abs(degrees) < 135:
        return "lying"
    if label in SAME_UPSIDE_DOWN:
        return ""
    return f"now a {ANOTHER_UPSIDE_DOWN[label]}" if label in ANOTHER_UPSIDE_DOWN else "inverted"


def mirrored(label: int, was_mirrored: float) -> str:
    """Say what became of a digit that was mirrored (1) or not (0)."""
    return "mirrored" if was_mirrored and label not in SAME_IN_A_MIRROR else ""


@dataclass(frozen=True)
class Adjustable:
    """An augmentation as the lab turns it; without a rule, it mixes labels."""

    make: Callable[[float], Transform | Mixing]  # from a value between 0 and `most`
    most: float  # the value at full strength
    unit: str  # what the value is, for an axis
    says: str  # the value in words, a format for one number
    rule: Rule | None = None

    def at(self, strength: float) -> Transform | Mixing:
        """Return the augmentation at a strength from 0 to 1."""
        return self.make(self.most * strength)

    def amount(self, strength: float) -> str:
        """Say how strong that is."""
        return self.says.format(self.most * strength)


AUGMENTATIONS = {
    "crop": Adjustable(
        lambda value: Crop(round(value)),
        16,
        "moved by up to (pixels)",
        "moved by up to {:.0f} pixels",
        lambda _, pixels: "" if pixels <= FARTHEST else "cut off",
    ),
    "flip": Adjustable(
        lambda value: Flip(value / 100), 100, "share mirrored (%)", "{:.0f} % of the images mirrored", mirrored
    ),
    "rotation": Adjustable(Rotate, 180, "turned by up to (degrees)", "turned by up to {:.0f} degrees", turned),
    "colour": Adjustable(
        Recolour,
        1.5,
        "strength (0 to 1.5)",
        "contrast, light and tint, strength {:.2f}",
        lambda _, contrast: "" if contrast > BLANK else "too faint",
    ),
    "cut-out": Adjustable(
        lambda value: CutOut(value / 100),
        100,
        "side of the square (%)",
        "square with {:.0f} % of the side",
        lambda _, hidden: "" if hidden <= MOST_HIDDEN else "hidden",
    ),
    "MixUp": Adjustable(MixUp, 1, "alpha (0 to 1)", "shares drawn with alpha {:.1f}"),
    "CutMix": Adjustable(CutMix, 1, "alpha (0 to 1)", "shares drawn with alpha {:.1f}"),
}


def shared(row: torch.Tensor) -> str:
    """Name both parts of a soft label, float `[classes]`; nothing where one class has practically all of it."""
    (first, second), (a, b) = (part.tolist() for part in row.topk(2))
    return "" if second < 0.005 else f"{first:.0%} a {a}\n+ {second:.0%} a {b}"


def measure_change(augmentation: Transform, draw: int, after: torch.Tensor) -> torch.Tensor:
    """Measure what the rule of an augmentation looks at, by the very draws that were used; not for mixing.

    `after` are the images afterwards, uint8 `[N, 3, 32, 32]`; returns float `[N]`: pixels moved, whether mirrored,
    degrees, contrast, or the share of the middle that is hidden.
    """
    count, draws = len(after), generator("lab", draw)
    if isinstance(augmentation, Crop):
        return augmentation.draw(count, draws).abs().amax(0).float()
    if isinstance(augmentation, Flip | Rotate):
        return augmentation.draw(count, draws).float()
    if isinstance(augmentation, Recolour):
        return contrasts(after)
    traced = augmentation(torch.ones(count, 1, *after.shape[2:]), draws)  # the same squares, on white
    return (traced[:, 0, MIDDLE, MIDDLE] == 0).float().mean((1, 2))
