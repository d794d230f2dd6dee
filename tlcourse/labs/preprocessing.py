"""The lab of notebook 01, the darkroom: augmentations at every strength, and a cleaner at every threshold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import nn

from tlcourse.cleaning import contrasts, find_wrong_labels, thumbnail_distances
from tlcourse.data.augment import scale
from tlcourse.data.augmentations import Crop, CutOut, Flip, Recolour, Rotate
from tlcourse.data.batches import Transform
from tlcourse.data.dirt import Planted
from tlcourse.data.imageset import ImageSet
from tlcourse.data.mixing import CutMix, Mixing, MixUp, soft_labels
from tlcourse.evaluation import predict
from tlcourse.labs.lab import Lab
from tlcourse.normalisation import denormalise
from tlcourse.plots import GREY, RIGHT, WRONG, draw_images, draw_thresholds
from tlcourse.repro import generator

SHOWN = 12  # images in a picture
ASKED = 200  # images that the reader is asked about
STRENGTHS = tuple(step / 10 for step in range(11))
CHANGING: dict[str, Callable[[float], Transform]] = {
    "crop": lambda strength: Crop(round(16 * strength)),
    "flip": lambda strength: Flip(strength),
    "rotation": lambda strength: Rotate(180 * strength),
    "colour": lambda strength: Recolour(1.5 * strength),
    "cut-out": lambda strength: CutOut(strength),
}
MIXING: dict[str, Callable[[float], Mixing]] = {
    "MixUp": lambda strength: MixUp(strength),
    "CutMix": lambda strength: CutMix(strength),
}
SAME_IN_A_MIRROR = frozenset((0, 1, 8))
SAME_UPSIDE_DOWN = frozenset((0, 1, 2, 5, 8))  # 2 and 5 turn into themselves, 6 and 9 into each other


def label_holds(label: int, augmentation: str, draw: float) -> bool:
    """Say whether a person would still give a digit its label.

    Args:
        label: the digit, 0 to 9.
        augmentation: `"flip"` or `"rotation"`; all others are taken to keep the label.
        draw: for a flip, 1 if this image was mirrored; for a rotation, the angle in degrees.

    Returns:
        False where a digit became another one or none: mirrored, unless it has a mirror axis; turned by more than 45
        degrees, unless it is nearly upside down and looks the same so.
    """
    if augmentation == "flip":
        return not draw or label in SAME_IN_A_MIRROR
    if augmentation == "rotation":
        return abs(draw) <= 45 or label == 0 or (abs(draw) >= 135 and label in SAME_UPSIDE_DOWN)
    return True


@dataclass(frozen=True)
class Exposure:
    """Digits after an augmentation.

    Attributes:
        images: uint8 `[N, 3, 32, 32]`.
        labels: class numbers, int64 `[N]`.
        answers: what the reader says now, int64 `[N]`.
        holds: whether a person would still give each its label, bool `[N]`.
        captions: what to write below each image.
    """

    images: torch.Tensor
    labels: torch.Tensor
    answers: torch.Tensor
    holds: torch.Tensor
    captions: tuple[str, ...]


def compute_exposure(digits: ImageSet, reader: nn.Module, name: str, strength: float, draw: int = 0) -> Exposure:
    """Change or mix a batch of digits, and ask a network that never saw them so what it reads.

    Args:
        digits: the batch.
        reader: a network that reads them well as they are.
        name: one of `CHANGING` or `MIXING`.
        strength: from 0 (nothing) to 1.
        draw: which draw.

    Returns:
        The digits and what became of their labels; a mixed image counts by its larger part.
    """
    x, labels = scale(digits.images), digits.labels
    holds = torch.ones(len(labels), dtype=torch.bool)
    if name in MIXING:
        x, soft = MIXING[name](strength)(x, soft_labels(labels, len(digits.classes)), generator("darkroom", draw))
        labels, captions = soft.argmax(1), [_shares(row) for row in soft]
    else:
        augmentation = CHANGING[name](strength)
        x = augmentation(x, generator("darkroom", draw))
        if isinstance(augmentation, Flip | Rotate):
            draws = augmentation.draw(len(x), generator("darkroom", draw)).tolist()  # the same draws once more
            pairs = zip(labels.tolist(), draws, strict=True)
            holds = torch.tensor([label_holds(label, name, drawn) for label, drawn in pairs])
        captions = []
    answers = predict(reader, [(x, labels)]).argmax(1)
    if not captions:
        captions = [
            str(a) if a == b else f"{a}, read {b}" for a, b in zip(labels.tolist(), answers.tolist(), strict=True)
        ]
    return Exposure(denormalise(x), labels, answers, holds, tuple(captions))


def describe_exposure(exposure: Exposure, name: str, strength: float) -> str:
    """Say in a sentence what an exposure shows."""
    right = 100 * (exposure.answers == exposure.labels).float().mean().item()
    broken = 100 * (~exposure.holds).float().mean().item()
    lost = sorted(set(exposure.labels[~exposure.holds].tolist()))
    which = f" (classes {', '.join(map(str, lost))})" if lost else ""
    return (
        f"{name}, strength {strength:.1f}: by the rule of this lab {broken:.0f} % of {len(exposure.labels)} labels no "
        f"longer hold{which}. The reader, who never saw them so, still gives the label for {right:.0f} %."
    )


def _shares(row: torch.Tensor) -> str:
    """Write a soft label with its two largest parts."""
    (first, second), (a, b) = (part.tolist() for part in row.topk(2))
    return f"{a}" if second < 0.005 else f"{a}: {first:.0%}\n{b}: {second:.0%}"


class AugmentLab(Lab):
    """Every augmentation with its strength, on a batch of digits.

    Args:
        digits: images to show, at least `SHOWN`.
        reader: a network that reads them well as they are.
    """

    def __init__(self, digits: ImageSet, reader: nn.Module) -> None:
        self.digits, self.reader = digits.subset(torch.arange(min(ASKED, len(digits)))), reader
        options = [*CHANGING, *MIXING]
        self.names = widgets.ToggleButtons(options=options, value="rotation", description="augmentation")
        self.names.style.button_width = "auto"
        self.strength = widgets.SelectionSlider(options=[(f"{s:.1f}", s) for s in STRENGTHS], value=0.1)
        self.strength.description = "strength"
        self.draw = widgets.IntSlider(value=0, min=0, max=9, description="draw")
        super().__init__([self.names, self.strength, self.draw])

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentence for the controls' values."""
        name, strength = self.names.value, self.strength.value
        seen = compute_exposure(self.digits, self.reader, name, strength, self.draw.value)
        figure, ax = plt.subplots(figsize=(10, 4.2), layout="constrained")
        right = (seen.answers == seen.labels).tolist()
        kinds = zip(seen.holds.tolist(), right, strict=True)
        colours = [WRONG if not holds else RIGHT if good else GREY for holds, good in kinds][:SHOWN]
        draw_images(ax, seen.images[:SHOWN], 6, seen.captions[:SHOWN], colours)
        ax.set_title("orange: the label no longer holds · grey: misread · green: read as labelled", fontsize=11)
        return figure, describe_exposure(seen, name, strength)


@dataclass(frozen=True)
class Detector:
    """A detector as the lab moves it: everything whose value is at most the threshold is flagged.

    Attributes:
        values: what is compared with the threshold, float `[N]`.
        right: whether flagging each image would be right, bool `[N]`.
        planted: how many should be found.
        captions: what to write below each image.
        thresholds: positions of the slider, in ascending order.
        unit: what the threshold is.
    """

    values: torch.Tensor
    right: torch.Tensor
    planted: int
    captions: tuple[str, ...]
    thresholds: tuple[float, ...]
    unit: str


def compute_detectors(dirty: ImageSet, truth: Planted, probabilities: torch.Tensor) -> dict[str, Detector]:
    """Measure every image once, so that moving a threshold costs nothing.

    Args:
        dirty: a set with planted dirt.
        truth: what was planted.
        probabilities: out of sample, float `[N, classes]`.

    Returns:
        The detectors by name.
    """
    distance, partner = thumbnail_distances(dirty.images).min(1)
    copies = truth.pairs(truth.exact) | truth.pairs(truth.near)
    is_copy = torch.tensor([pair in copies for pair in enumerate(partner.tolist())])
    contrast = contrasts(dirty.images)
    doubt = torch.full((len(dirty),), float("inf"))  # 1 minus how sure a wrong label is
    for finding in find_wrong_labels(probabilities, dirty.labels):
        doubt[finding.which] = 1 - finding.sure
    answers = probabilities.argmax(1).tolist()
    verdicts = tuple(f"{a}, or {b}?" for a, b in zip(dirty.labels.tolist(), answers, strict=True))
    return {
        "duplicates": Detector(
            *(distance, is_copy, len(copies), tuple(f"{d:.3f}" for d in distance.tolist())),
            *(_steps(0.01, 0.2), "largest distance of two thumbnails (0 to 2)"),
        ),
        "blank": Detector(
            *(
                contrast,
                _marked(len(dirty), truth.blank),
                len(truth.blank),
                tuple(f"{c:.0f}" for c in contrast.tolist()),
            ),
            *(_steps(2.5, 50), "highest contrast (grey values)"),
        ),
        "wrong labels": Detector(
            *(doubt, _marked(len(dirty), list(truth.wrong)), len(truth.wrong), verdicts),
            *(_steps(0.05, 1), "largest doubt (1 minus how sure)"),
        ),
    }


def _steps(step: float, last: float) -> tuple[float, ...]:
    """Return `step`, twice `step` and so on up to `last`."""
    return tuple(round(step * (i + 1), 6) for i in range(round(last / step)))


def _marked(count: int, chosen: Sequence[int]) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.bool).index_fill(0, torch.tensor(list(chosen), dtype=torch.int64), True)


def score_at(detector: Detector, threshold: float) -> tuple[float, float]:
    """Return precision and recall, from 0 to 1, when everything up to the threshold is flagged."""
    flagged = detector.values <= threshold + 1e-6
    hits = int((flagged & detector.right).sum())
    return hits / max(int(flagged.sum()), 1) if flagged.any() else 1.0, hits / detector.planted


class CleanerLab(Lab):
    """What a detector flags as its threshold moves, with precision and recall.

    Args:
        dirty: a set with planted dirt.
        truth: what was planted.
        probabilities: out of sample, float `[N, classes]`.
    """

    def __init__(self, dirty: ImageSet, truth: Planted, probabilities: torch.Tensor) -> None:
        self.images, self.detectors = dirty.images, compute_detectors(dirty, truth, probabilities)
        self.scores = {n: [score_at(d, t) for t in d.thresholds] for n, d in self.detectors.items()}
        self.names = widgets.ToggleButtons(options=list(self.detectors), description="detector")
        self.names.style.button_width = "auto"
        steps = len(next(iter(self.detectors.values())).thresholds)
        self.threshold = widgets.IntSlider(value=4, min=0, max=steps - 1, description="threshold", readout=False)
        super().__init__([self.names, self.threshold])

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentence for the controls' values."""
        name, detector = self.names.value, self.detectors[self.names.value]
        threshold = detector.thresholds[self.threshold.value]
        flagged = (detector.values <= threshold + 1e-6).nonzero()[:, 0]
        last = flagged[detector.values[flagged].argsort(descending=True, stable=True)][:SHOWN]
        figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=(1.05, 1), layout="constrained")
        colours = [RIGHT if detector.right[i] else WRONG for i in last]
        if len(last):
            draw_images(left, self.images[last], 4, [detector.captions[i] for i in last], colours)
        left.set_axis_off()
        left.set_title("the last ones flagged\ngreen: planted · orange: false alarm", fontsize=11)
        draw_thresholds(right, detector.thresholds, self.scores[name], threshold, detector.unit)
        precision, recall = self.scores[name][self.threshold.value]
        return figure, (
            f"{name}, threshold {threshold:g}: {len(flagged)} of {len(self.images)} images flagged. "
            f"Precision {precision:.0%}, recall {recall:.0%} of the {detector.planted} planted."
        )


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
    parts = {"augment": AugmentLab(digits, reader), "clean": CleanerLab(dirty, truth, probabilities)}
    return widgets.Tab([part.widget for part in parts.values()], titles=list(parts))
