"""The labs of notebook 01: augmentations at every strength, and detectors of defects at every threshold."""

import functools

import torch
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.defects import Planted
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb01_preprocessing.augmented import (
    MEASURED,
    compute_augmented,
    compute_curves,
    describe_augmented,
    draw_augmented,
    draw_curves,
)
from tlcourse.lessons.nb01_preprocessing.detectors import (
    VIEWS,
    compute_detectors,
    compute_outcome,
    describe_outcome,
    draw_evidence,
    draw_scores,
    draw_values,
)
from tlcourse.lessons.nb01_preprocessing.label_rules import AUGMENTATIONS
from tlcourse.notebook.controls import Choice, Dropdown, IntRange, Note
from tlcourse.notebook.jobs import action
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.tabs import Tabs

ASKED = 80  # images that the reader is asked about
STEPS = 20  # positions of the strength
ALL = -1  # a list cannot choose `None`
SIZE = (9.3, 4.2)  # inches
# where axes stand (left, bottom, width, height, as shares): fixed, so that nothing moves while a control does
IMAGES, CURVES = (0.005, 0.0, 0.635, 0.93), (0.725, 0.13, 0.255, 0.7)
VALUES, SCORES = (0.725, 0.72, 0.255, 0.2), (0.725, 0.13, 0.255, 0.48)


class Positions:
    """Where a slider stood for each of several names, so that it stands there again when the name comes back."""

    def __init__(self, positions: dict[str, int]) -> None:
        self.positions, self.name = positions, None

    def follow(self, name: str, position: int) -> int:
        """Return where the slider is to stand; under the same name as before, that is where it stands."""
        if name == self.name:
            self.positions[name] = position
        self.name = name
        return self.positions[name]


class AugmentationLab(Lab):
    """Every augmentation with its strength, on digits and on a network that reads them well as they are."""

    augmentation = Choice(
        "augmentation", tuple(AUGMENTATIONS), "rotation", tuple(one.unit for one in AUGMENTATIONS.values())
    )
    strength = IntRange(
        "strength", 0, STEPS, STEPS, "from nothing to all that is possible", readout=False, width="20em"
    )
    amount = Note(width="23em")
    digit = Dropdown("digits", lambda lab: lab.choices(), tip="look at one digit only", width="9em")
    rows = (("augmentation",), ("strength", "amount", "digit", "again"))

    def __init__(self, digits: ImageSet, reader: nn.Module) -> None:
        self.digits, self.draw = digits.subset(torch.arange(min(ASKED, len(digits)))), 0
        self.stood = Positions(dict.fromkeys(AUGMENTATIONS, 8) | {"rotation": STEPS})
        # what was computed is kept: a hand that goes back, or looks at one digit, does not wait for the network again
        self.compute = functools.lru_cache(100)(functools.partial(compute_augmented, self.digits, reader))
        untouched = self.compute("crop", 0.0)  # so it is with every augmentation
        self.measured = {
            name: [untouched, *(self.compute(name, strength, 0) for strength in MEASURED[1:])] for name in AUGMENTATIONS
        }
        super().__init__()

    def choices(self) -> dict[str, int]:
        """Return the digits that there are."""
        return {"all": ALL, **{str(digit): digit for digit in self.digits.labels.unique().tolist()}}

    @action("draw again", "other images are moved, mirrored, turned", width="8em")
    def again(self) -> None:
        """Draw all chances anew at the same strength."""
        self.draw += 1

    def adjust(self) -> None:
        """Put the slider where it stood for this augmentation, and say how strong that is."""
        self.strength = self.stood.follow(self.augmentation, self.strength)
        self.amount = AUGMENTATIONS[self.augmentation].amount(self.strength / STEPS)

    def look(self, augmentation: str, strength: int, digit: int) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        share, only = strength / STEPS, None if digit == ALL else digit
        seen = self.compute(augmentation, share, self.draw).only(only)
        figure, (images, curves) = page(SIZE, IMAGES, CURVES)
        draw_augmented(images, seen)
        draw_curves(curves, compute_curves(self.measured[augmentation], only), augmentation, share, seen)
        return figure, describe_augmented(seen, augmentation, share)


class CleaningLab(Lab):
    """What a detector flags as its threshold moves, with precision and recall; `truth` says what was planted.

    The probabilities are out of sample, float `[N, classes]`.
    """

    detector = Choice("detector", lambda lab: tuple(lab.detectors), "near duplicates", lambda lab: lab.units())
    show = Choice(
        "show",
        VIEWS,
        tip=(
            "what the next step to the left would let go",
            "flagged, though nothing was planted there",
            "planted, but not flagged",
        ),
    )
    threshold = IntRange(
        "threshold",
        0,
        lambda lab: max(len(one.thresholds) for one in lab.detectors.values()) - 1,
        lambda lab: lab.detectors["near duplicates"].usual,
        "further to the right, more is flagged",
        readout=False,
        width="20em",
    )
    amount = Note(width="30em")
    rows = (("detector", "show"), ("threshold", "amount"))

    def __init__(self, dirty: ImageSet, truth: Planted, probabilities: torch.Tensor) -> None:
        self.images, self.detectors = dirty.images, compute_detectors(dirty, truth, probabilities)
        self.outcomes = {n: [compute_outcome(d, at) for at in d.thresholds] for n, d in self.detectors.items()}
        self.stood = Positions({name: one.usual for name, one in self.detectors.items()})
        super().__init__()

    def units(self) -> list[str]:
        """Return the units of all thresholds."""
        return [one.unit for one in self.detectors.values()]

    def adjust(self) -> None:
        """Put the slider where it stood for this detector, and say what that means."""
        self.threshold = self.stood.follow(self.detector, self.threshold)
        chosen = self.detectors[self.detector]
        fixed = self.controls["threshold"].disabled = len(chosen.thresholds) == 1
        self.amount = chosen.unit if fixed else f"up to {chosen.thresholds[self.threshold]:g}: {chosen.unit}"

    def look(self, detector: str, threshold: int, show: str) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        chosen, outcomes = self.detectors[detector], self.outcomes[detector]
        limit, outcome = chosen.thresholds[threshold], outcomes[threshold]
        figure, (images, scores, *values) = page(SIZE, IMAGES, SCORES, *([VALUES] if len(outcomes) > 1 else []))
        draw_evidence(images, self.images, chosen, outcome, show)
        draw_scores(scores, chosen, [(one.precision, one.recall) for one in outcomes], limit)
        for ax in values:
            draw_values(ax, chosen, limit)
        return figure, describe_outcome(outcome, chosen, detector, limit)


def preprocessing_lab(
    digits: ImageSet, reader: nn.Module, dirty: ImageSet, truth: Planted, probabilities: torch.Tensor
) -> Tabs:
    """Return both labs: augmentations of `digits`, which `reader` reads well, and the cleaning of `dirty`."""
    labs = {
        "augment": lambda: AugmentationLab(digits, reader),
        "clean": lambda: CleaningLab(dirty, truth, probabilities),
    }
    return Tabs("look at", labs, ("what augmentations do to labels", "what detectors of defects find"))
