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
    describe_augmented,
    draw_augmented,
    draw_curves,
)
from tlcourse.lessons.nb01_preprocessing.detectors import (
    VIEWS,
    compute_detectors,
    compute_outcomes,
    describe_outcome,
    draw_evidence,
    draw_scores,
)
from tlcourse.lessons.nb01_preprocessing.inspection import Inspected
from tlcourse.lessons.nb01_preprocessing.label_rules import AUGMENTATIONS
from tlcourse.notebook.controls import Choice, Dropdown, IntRange, Note
from tlcourse.notebook.jobs import action
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.tabs import Tabs

ASKED = 80  # images that the reader is asked about
STEPS = 20  # positions of a slider
BEGIN = {"rotation": STEPS}  # where the strength stands when an augmentation is chosen; 8 for the others
ALL = -1  # a list cannot choose `None`
SIZE = (9.3, 4.2)  # inches
# where axes stand (left, bottom, width, height, as shares): fixed, so that nothing moves while a control does
IMAGES, CURVES = (0.005, 0.0, 0.635, 0.93), (0.725, 0.13, 0.255, 0.7)


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
        self.digits, self.draw, self.before = digits.subset(torch.arange(min(ASKED, len(digits)))), 0, "rotation"
        # what was computed is kept: a hand that goes back, or looks at one digit, does not wait for the network again
        self.compute = functools.lru_cache(100)(functools.partial(compute_augmented, self.digits, reader))
        self.measured = {name: [self.compute(name, at, 0) for at in MEASURED] for name in AUGMENTATIONS}
        super().__init__()

    def choices(self) -> dict[str, int]:
        """Return the digits that there are."""
        return {"all": ALL, **{str(digit): digit for digit in self.digits.labels.unique().tolist()}}

    @action("draw again", "other images are moved, mirrored, turned", width="8em")
    def again(self) -> None:
        """Draw all chances anew at the same strength."""
        self.draw += 1

    def adjust(self) -> None:
        """Begin with a moderate strength where another augmentation was chosen, and say how strong that is."""
        if self.augmentation != self.before:
            self.before, self.strength = self.augmentation, BEGIN.get(self.augmentation, 8)
        self.amount = AUGMENTATIONS[self.augmentation].amount(self.strength / STEPS)

    def look(self, augmentation: str, strength: int, digit: int) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        share, only = strength / STEPS, None if digit == ALL else digit
        seen = self.compute(augmentation, share, self.draw).only(only)
        figure, (images, curves) = page(SIZE, IMAGES, CURVES)
        draw_augmented(images, seen)
        draw_curves(curves, [batch.only(only) for batch in self.measured[augmentation]], share, seen)
        return figure, describe_augmented(seen, share)


class CleaningLab(Lab):
    """What a detector flags as its threshold moves, with precision and recall; `truth` says what was planted."""

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
        STEPS - 1,
        lambda lab: lab.usual("near duplicates"),
        "further to the right, more is flagged",
        readout=False,
        width="20em",
    )
    amount = Note(width="30em")
    rows = (("detector", "show"), ("threshold", "amount"))

    def __init__(self, inspected: Inspected, truth: Planted) -> None:
        self.images, self.detectors = inspected.images.images, compute_detectors(inspected, truth)
        self.outcomes = {name: compute_outcomes(detector) for name, detector in self.detectors.items()}
        self.before = "near duplicates"
        super().__init__()

    def units(self) -> list[str]:
        """Return the units of all thresholds."""
        return [one.unit for one in self.detectors.values()]

    def usual(self, name: str) -> int:
        """Return the position of the threshold that the notebook uses."""
        return self.detectors[name].position(self.detectors[name].usual)

    def adjust(self) -> None:
        """Begin with the notebook's threshold where another detector was chosen, and say what the threshold means."""
        if self.detector != self.before:
            self.before, self.threshold = self.detector, self.usual(self.detector)
        chosen = self.detectors[self.detector]
        self.amount = f"up to {chosen.threshold(self.threshold):g}: {chosen.unit}"

    def look(self, detector: str, threshold: int, show: str) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        chosen, outcomes = self.detectors[detector], self.outcomes[detector]
        figure, (images, scores) = page(SIZE, IMAGES, CURVES)
        draw_evidence(images, self.images, chosen, outcomes[threshold], show)
        draw_scores(scores, chosen, outcomes, outcomes[threshold].threshold)
        return figure, describe_outcome(outcomes[threshold], chosen, detector)


def preprocessing_lab(digits: ImageSet, reader: nn.Module, inspected: Inspected, truth: Planted) -> Tabs:
    """Return both labs: augmentations of `digits`, which `reader` reads well, and the cleaning of what was planted."""
    labs = {
        "augment": lambda: AugmentationLab(digits, reader),
        "clean": lambda: CleaningLab(inspected, truth),
    }
    return Tabs("look at", labs, ("what augmentations do to labels", "what detectors of defects find"))
