"""When a label no longer holds: a fixed rule for every augmentation, in words and by a sign; no network is asked."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tlcourse.data.augmentations import Crop, CutOut, Flip, Recolour, Rotate
from tlcourse.data.batches import Transform
from tlcourse.data.cleaning import BLANK, contrasts
from tlcourse.data.mixing import CutMix, Mixing, MixUp
from tlcourse.repro import generator

HOLDS, FAILS, SHARED = "✓", "✗", "◐"
SAME_IN_A_MIRROR = frozenset((0, 1, 8))
SAME_UPSIDE_DOWN = frozenset((0, 1, 2, 5, 8))
ANOTHER_UPSIDE_DOWN = {6: 9, 9: 6}
FARTHEST = 8  # pixels of 32 by which a digit can move and still be seen
MOST_HIDDEN = 0.5  # share of the middle, where the digit is
MIDDLE = slice(8, 24)  # rows and columns


@dataclass(frozen=True)
class Verdict:
    """Whether a person would still give an image its label."""

    sign: str  # HOLDS, FAILS or SHARED
    words: str = ""  # what became of the digit, in one to three words; empty where the label holds

    @property
    def holds(self) -> bool:
        """Whether the label holds."""
        return self.sign == HOLDS


@dataclass(frozen=True)
class Adjustable:
    """An augmentation as the lab turns it."""

    make: Callable[[float], Transform | Mixing]  # from a value between 0 and `most`
    most: float  # the value at full strength
    unit: str  # what the value is, for an axis
    says: str  # the value in words, a format for one number

    def at(self, strength: float) -> Transform | Mixing:
        """Return the augmentation at a strength from 0 to 1."""
        return self.make(self.most * strength)

    def amount(self, strength: float) -> str:
        """Say how strong that is."""
        return self.says.format(self.most * strength)


AUGMENTATIONS = {
    "crop": Adjustable(lambda value: Crop(round(value)), 16, "moved by up to (pixels)", "moved by up to {:.0f} pixels"),
    "flip": Adjustable(lambda value: Flip(value / 100), 100, "share mirrored (%)", "{:.0f} % of the images mirrored"),
    "rotation": Adjustable(Rotate, 180, "turned by up to (degrees)", "turned by up to {:.0f} degrees"),
    "colour": Adjustable(Recolour, 1.5, "strength (0 to 1.5)", "contrast, light and tint, strength {:.2f}"),
    "cut-out": Adjustable(
        lambda value: CutOut(value / 100), 100, "side of the square (%)", "square with {:.0f} % of the side"
    ),
    "MixUp": Adjustable(MixUp, 1, "alpha (0 to 1)", "shares drawn with alpha {:.1f}"),
    "CutMix": Adjustable(CutMix, 1, "alpha (0 to 1)", "shares drawn with alpha {:.1f}"),
}
MIXING = ("MixUp", "CutMix")


def check_crop(label: int, moved: float) -> Verdict:
    """Look at a digit that was moved by so many pixels, the larger of both directions."""
    return Verdict(HOLDS) if moved <= FARTHEST else Verdict(FAILS, "cut off")


def check_flip(label: int, mirrored: float) -> Verdict:
    """Look at a digit that was mirrored (1) or not (0)."""
    return Verdict(HOLDS) if not mirrored or label in SAME_IN_A_MIRROR else Verdict(FAILS, "mirrored")


def check_rotation(label: int, degrees: float) -> Verdict:
    """Look at a digit that was turned: it stands up to 45 degrees, lies up to 135, and is upside down beyond."""
    if abs(degrees) <= 45 or label == 0:
        return Verdict(HOLDS)
    if abs(degrees) < 135:
        return Verdict(FAILS, "lying")
    if label in SAME_UPSIDE_DOWN:
        return Verdict(HOLDS)
    other = ANOTHER_UPSIDE_DOWN.get(label)
    return Verdict(FAILS, "inverted" if other is None else f"now a {other}")


def check_colour(label: int, contrast: float) -> Verdict:
    """Look at the contrast that is left, as the cleaner does with blank images."""
    return Verdict(HOLDS) if contrast > BLANK else Verdict(FAILS, "too faint")


def check_cut_out(label: int, hidden: float) -> Verdict:
    """Look at the share of the middle that is painted over."""
    return Verdict(HOLDS) if hidden <= MOST_HIDDEN else Verdict(FAILS, "hidden")


def check_mixed(row: torch.Tensor) -> Verdict:
    """Look at a soft label, float `[classes]`: it is shared unless one class has practically all of it."""
    (first, second), (a, b) = (part.tolist() for part in row.topk(2))
    return Verdict(HOLDS) if second < 0.005 else Verdict(SHARED, f"{first:.0%} a {a}\n+ {second:.0%} a {b}")


RULES: dict[str, Callable[[int, float], Verdict]] = {
    "crop": check_crop,
    "flip": check_flip,
    "rotation": check_rotation,
    "colour": check_colour,
    "cut-out": check_cut_out,
}


def measure_change(augmentation: Transform, draw: int, after: torch.Tensor) -> torch.Tensor:
    """Measure what the rule of an augmentation looks at, by the very draws that were used; not for mixing.

    `after` are the images afterwards, uint8 `[N, 3, 32, 32]`; returns float `[N]`: pixels moved, whether mirrored,
    degrees, contrast, or the share of the middle that is hidden.
    """
    count, draws = len(after), generator("darkroom", draw)
    if isinstance(augmentation, Crop):
        return augmentation.draw(count, draws).abs().amax(0).float()
    if isinstance(augmentation, Flip | Rotate):
        return augmentation.draw(count, draws).float()
    if isinstance(augmentation, Recolour):
        return contrasts(after)
    traced = augmentation(torch.ones(count, 1, *after.shape[2:]), draws)  # the same squares, on white
    return (traced[:, 0, MIDDLE, MIDDLE] == 0).float().mean((1, 2))
