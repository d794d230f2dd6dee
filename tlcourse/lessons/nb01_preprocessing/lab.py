"""The lab of notebook 01, the darkroom: augmentations at every strength, and a cleaner at every threshold."""

import functools
from collections.abc import Hashable, Sequence

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.defects import Planted
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb01_preprocessing.detectors import (
    VIEWS,
    compute_detectors,
    compute_outcome,
    describe_outcome,
    draw_evidence,
    draw_scores,
    draw_values,
)
from tlcourse.lessons.nb01_preprocessing.exposures import (
    MEASURED,
    compute_curves,
    compute_exposure,
    describe_exposure,
    draw_curves,
    draw_exposure,
)
from tlcourse.lessons.nb01_preprocessing.label_rules import KNOBS
from tlcourse.notebook.handmade_lab import HandmadeLab
from tlcourse.notebook.lab import page

ASKED = 80  # images that the reader is asked about
STEPS = 20  # positions of the strength
ALL = -1  # a list cannot choose `None`
SIZE = (9.3, 4.2)  # inches
# where axes stand (left, bottom, width, height, as shares): fixed, so that nothing moves while a control does
IMAGES, CURVES = (0.005, 0.0, 0.635, 0.93), (0.725, 0.13, 0.255, 0.7)
VALUES, SCORES = (0.725, 0.72, 0.255, 0.2), (0.725, 0.13, 0.255, 0.48)


class KnobLab(HandmadeLab):
    """Buttons that choose what a slider sets; the slider's place is remembered for each of them.

    Args:
        positions: where the slider stands at first, by name, from 0 to `last`.
        last: the slider's last position.
        first: the name to begin with.
        more: further controls.

    Attributes:
        names: the buttons.
        slider: the slider.
        amount: what the slider says, in words.
    """

    def __init__(self, positions: dict[str, int], last: int, first: str, more: Sequence[widgets.Widget] = ()) -> None:
        self._positions, self._chosen, self._drawn = positions, first, None
        self.names = _buttons(list(positions), first)
        self.slider = widgets.IntSlider(value=positions[first], min=0, max=last, readout=False)
        self.slider.style.description_width = "initial"
        self.slider.layout.width = "20em"
        self.amount = widgets.Label(layout={"width": "23em"})
        super().__init__([self.names, self.slider, *more])

    def state(self) -> Hashable:
        """Return all that the picture depends on."""
        raise NotImplementedError(f"{type(self).__name__} has no method `state` that names all values.")

    def close(self) -> None:
        """Take the lab off the page; no thread is left, for it never started one."""
        for row in self.widget.children:
            for control in (*getattr(row, "children", ()), row):
                control.close()
        self.widget.close()

    def _arrange(self, *rows: Sequence[widgets.Widget]) -> None:
        """Put the controls into rows, closer to the sentence than paragraphs usually are."""
        wrap = widgets.Layout(flex_flow="row wrap")
        self.text.layout.margin = "-8px 0 -10px 2px"
        self.widget.children = (*(widgets.HBox(row, layout=wrap) for row in rows), self.text, self.picture)

    def _draw(self) -> None:
        """Draw unless exactly this was drawn last: a new name moves the slider, which draws already."""
        self._settle()
        if self.state() != self._drawn:
            self._drawn = None  # an error leaves nothing that a way back could take for drawn
            super()._draw()
            self._drawn = self.state()

    def _settle(self) -> None:
        """Put the slider where it stood for this name, or remember where it stands now."""
        if self.names.value == self._chosen:
            self._positions[self._chosen] = self.slider.value
        else:
            self._chosen = self.names.value
            self.slider.value = self._positions[self._chosen]


class AugmentLab(KnobLab):
    """Every augmentation with its strength, on a batch of digits.

    Args:
        digits: images to show; the first `ASKED` are used.
        reader: a network that reads them well as they are.
    """

    def __init__(self, digits: ImageSet, reader: nn.Module) -> None:
        self.digits, self.reader = digits.subset(torch.arange(min(ASKED, len(digits)))), reader
        # what was computed is kept: a hand that goes back, or looks at one digit, does not wait for the network again
        self.expose = functools.lru_cache(100)(functools.partial(compute_exposure, self.digits, reader))
        untouched = self.expose("crop", 0.0)  # so it is with every augmentation
        self.exposures = {
            name: [untouched, *(self.expose(name, strength, 0) for strength in MEASURED[1:])] for name in KNOBS
        }
        present = self.digits.labels.unique().tolist()
        self.only = widgets.Dropdown(options=[("all", ALL), *((str(c), c) for c in present)], description="digits")
        self.only.style.description_width, self.only.layout.width = "initial", "9em"
        self.only.tooltip = "look at one digit only"
        self.again = widgets.Button(description="draw again", tooltip="other images are moved, mirrored, turned")
        self.again.layout.width = "8em"
        self.again.on_click(self.draw_again)
        self.draws = 0
        super().__init__(dict.fromkeys(KNOBS, 8) | {"rotation": STEPS}, STEPS, "rotation", [self.only])
        self.names.description, self.names.style.description_width = "augmentation", "7.5em"
        self.names.tooltips = [knob.unit for knob in KNOBS.values()]
        self.slider.description, self.slider.tooltip = "strength", "from nothing to all that is possible"
        self._arrange([self.names], [self.slider, self.amount, self.only, self.again])

    def draw_again(self, _button: widgets.Button | None = None) -> None:
        """Draw all chances anew at the same strength."""
        self.draws += 1
        self._update(None)

    def state(self) -> Hashable:
        """Return all that the picture depends on."""
        digit = None if self.only.value == ALL else self.only.value
        return self.names.value, self.slider.value, digit, self.draws

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        name, position, digit, draw = self.state()
        strength = position / STEPS
        self.amount.value = KNOBS[name].amount(strength)
        seen = self.expose(name, strength, draw).only(digit)
        figure, (images, curves) = page(SIZE, IMAGES, CURVES)
        draw_exposure(images, seen)
        draw_curves(curves, compute_curves(self.exposures[name], digit), name, strength, seen)
        return figure, describe_exposure(seen, name, strength)


class CleanerLab(KnobLab):
    """What a detector flags as its threshold moves, with precision and recall.

    Args:
        dirty: a set with planted dirt.
        truth: what was planted.
        probabilities: out of sample, float `[N, classes]`.
    """

    def __init__(self, dirty: ImageSet, truth: Planted, probabilities: torch.Tensor) -> None:
        self.images, self.detectors = dirty.images, compute_detectors(dirty, truth, probabilities)
        self.outcomes = {n: [compute_outcome(d, at) for at in d.thresholds] for n, d in self.detectors.items()}
        self.views = _buttons(VIEWS, VIEWS[0])
        self.views.description, self.views.style.description_width = "show", "3.5em"
        self.views.tooltips = [
            "what the next step to the left would let go",
            "flagged, though nothing was planted there",
            "planted, but not flagged",
        ]
        last = max(len(detector.thresholds) for detector in self.detectors.values()) - 1
        usual = {name: detector.usual for name, detector in self.detectors.items()}
        super().__init__(usual, last, "near duplicates", [self.views])
        self.names.description, self.names.style.description_width = "detector", "5.5em"
        self.names.tooltips = [d.unit for d in self.detectors.values()]
        self.slider.description, self.slider.tooltip = "threshold", "further to the right, more is flagged"
        self.amount.layout.width = "30em"
        self._arrange([self.names, self.views], [self.slider, self.amount])

    def state(self) -> Hashable:
        """Return all that the picture depends on."""
        return self.names.value, self.slider.value, self.views.value

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        name, position, view = self.state()
        detector, outcomes = self.detectors[name], self.outcomes[name]
        self.slider.disabled = len(outcomes) == 1
        at = min(position, len(outcomes) - 1)
        threshold, outcome = detector.thresholds[at], outcomes[at]
        self.amount.value = detector.unit if self.slider.disabled else f"up to {threshold:g}: {detector.unit}"
        figure, (images, scores, *values) = page(SIZE, IMAGES, SCORES, *([VALUES] if len(outcomes) > 1 else []))
        draw_evidence(images, self.images, detector, outcome, view)
        draw_scores(scores, detector, [(one.precision, one.recall) for one in outcomes], threshold)
        for ax in values:
            draw_values(ax, detector, threshold)
        return figure, describe_outcome(outcome, detector, name, threshold)


def _buttons(options: Sequence[str], value: str) -> widgets.ToggleButtons:
    buttons = widgets.ToggleButtons(options=options, value=value)
    buttons.style.button_width, buttons.style.description_width = "auto", "initial"
    buttons.layout.display = "flex"  # else the name has a line of its own
    return buttons


class Darkroom:
    """Both labs, in two tabs.

    Args:
        augment: the first tab.
        clean: the second tab.

    Attributes:
        widget: both, to be shown as the last line of a cell.
    """

    def __init__(self, augment: AugmentLab, clean: CleanerLab) -> None:
        self.augment, self.clean = augment, clean
        self.widget = widgets.Tab([augment.widget, clean.widget], titles=["augment", "clean"])

    def close(self) -> None:
        """Take both labs off the page."""
        for lab in (self.augment, self.clean):
            lab.close()
        self.widget.close()


def darkroom(
    digits: ImageSet, reader: nn.Module, dirty: ImageSet, truth: Planted, probabilities: torch.Tensor
) -> widgets.Widget:
    """Return both parts of the lab as one widget with two tabs.

    Args:
        digits: images to augment.
        reader: a network that reads them well as they are.
        dirty: a set with planted dirt.
        truth: what was planted.
        probabilities: of that set, out of sample, float `[N, classes]`.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return Darkroom(AugmentLab(digits, reader), CleanerLab(dirty, truth, probabilities)).widget
