"""The cleaner's detectors with their thresholds open: what each flags, misses, and how good that is."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes

from tlcourse.data.cleaning import BLANK, NEAR, contrasts, find_near_duplicates, find_wrong_labels, thumbnail_distances
from tlcourse.data.defects import Planted
from tlcourse.lessons.nb01_preprocessing.figures import PRECISION_RECALL, draw_page
from tlcourse.lessons.nb01_preprocessing.inspection import Inspected
from tlcourse.notebook.figures import GREY, RIGHT, WRONG, plain

SHOWN, A_ROW = 18, 6  # images in a picture and in a row
VIEWS = ("last flagged", "false alarms", "missed")
NOTHING = {"last flagged": "nothing is flagged", "false alarms": "no false alarm", "missed": "nothing is missed"}
SPARE = 1e-6  # floats that were meant to be equal to the threshold count as equal


@dataclass(frozen=True)
class Detector:
    """A detector as the lab moves it: everything whose value is at most the threshold is flagged."""

    values: torch.Tensor  # what is compared with the threshold, float [N]; infinite where nothing was suspected
    planted: Mapping[int, object]  # what should be found, by number of the image: of a copy, its original
    notes: Mapping[int, str]  # what to write below an image that is flagged
    regrets: Mapping[int, str]  # what to write below a planted one that is missed
    step: float  # between two thresholds
    last: float  # the largest threshold
    usual: float  # the one that the notebook uses
    unit: str  # what the threshold is
    partners: Mapping[int, int] | None = None  # for duplicates, what each was taken for a copy of

    def threshold(self, position: int) -> float:
        """Return what a position of the slider, from 0, stands for."""
        return round(self.step * (position + 1), 6)

    def position(self, threshold: float) -> int:
        """Return the position of the slider that stands for a threshold."""
        return round(threshold / self.step) - 1

    def is_right(self, i: int) -> bool:
        """Say whether flagging an image is right; of a copy, the right original must be named."""
        return i in self.planted and (self.partners is None or self.partners[i] == self.planted[i])


@dataclass(frozen=True)
class Outcome:
    """What a detector does at one threshold; precision and recall are in percent, and 100 where there is nothing."""

    threshold: float
    views: Mapping[str, tuple[int, ...]]  # numbers of the images, from barely to clearly flagged, by one of `VIEWS`
    precision: float
    recall: float


def compute_detectors(inspected: Inspected, truth: Planted) -> dict[str, Detector]:
    """Measure every image once, so that moving a threshold costs nothing; `truth` says what was planted."""
    return {
        "near duplicates": _near(inspected, truth),
        "blank": _blank(inspected, truth),
        "wrong labels": _wrong(inspected, truth),
    }


def _near(inspected: Inspected, truth: Planted) -> Detector:
    images = inspected.images.images
    values, distances = torch.full((len(images),), torch.inf), thumbnail_distances(images)
    partners = {f.which: f.partner for f in find_near_duplicates(images, threshold=2)}  # all that come before
    for i, partner in partners.items():
        values[i] = distances[i, partner]
    change = {max(pair): truth.changed[pair[0]] for pair in truth.near.items()}
    originals = dict(truth.pairs(truth.near))
    notes = {i: f"distance {values[i]:.3f}" for i in partners}
    regrets = {i: f"{change[i]}: {distances[i, original]:.3f}" for i, original in originals.items()}
    unit = "distance of two thumbnails (0 to 2)"
    return Detector(values, originals, notes, regrets, 0.01, 0.2, NEAR, unit, partners)


def _blank(inspected: Inspected, truth: Planted) -> Detector:
    values = contrasts(inspected.images.images)
    notes = {i: f"contrast {value:.0f}" for i, value in enumerate(values.tolist())}
    return Detector(values, dict.fromkeys(truth.blank), notes, notes, 2.5, 50, BLANK, "contrast (grey values)")


def _wrong(inspected: Inspected, truth: Planted) -> Detector:
    labels, doubt = inspected.images.labels.tolist(), torch.full((inspected.checked,), torch.inf)
    for finding in find_wrong_labels(inspected.probabilities, inspected.images.labels):
        doubt[finding.which] = 1 - finding.confidence
    answers = enumerate(inspected.probabilities.argmax(1).tolist())
    notes = {i: f"{labels[i]}, or {answer}?" for i, answer in answers}
    regrets = {i: f"{labels[i]}, truly {right}" for i, right in truth.wrong.items()}
    return Detector(doubt, truth.wrong, notes, regrets, 0.05, 1, 1, "doubt (1 minus how sure)")


def compute_outcomes(detector: Detector) -> list[Outcome]:
    """Flag everything up to each threshold, and compare with what was planted."""
    order = detector.values.argsort(descending=True, stable=True).tolist()
    count = detector.position(detector.last) + 1
    return [_outcome(detector, order, detector.threshold(position)) for position in range(count)]


def _outcome(detector: Detector, order: list[int], threshold: float) -> Outcome:
    flagged = tuple(i for i in order if detector.values[i] <= threshold + SPARE)
    alarms = tuple(i for i in flagged if not detector.is_right(i))
    missed = tuple(i for i in detector.planted if i not in set(flagged) - set(alarms))
    hits = len(flagged) - len(alarms)
    precision = 100 * hits / len(flagged) if flagged else 100.0
    recall = 100 * hits / len(detector.planted) if detector.planted else 100.0
    return Outcome(threshold, dict(zip(VIEWS, (flagged, alarms, missed), strict=True)), precision, recall)


def describe_outcome(outcome: Outcome, detector: Detector, name: str) -> str:
    """Say in two sentences what an outcome is."""
    flagged, alarms, missed = (len(outcome.views[view]) for view in VIEWS)
    return (
        f"{name}, threshold {outcome.threshold:g}: {flagged} of {len(detector.values)} images flagged, "
        f"{flagged - alarms} of them rightly and {alarms} falsely; {missed} of {len(detector.planted)} planted ones "
        f"missed. Precision {outcome.precision:.0f} %, recall {outcome.recall:.0f} %."
    )


def draw_evidence(ax: Axes, images: torch.Tensor, detector: Detector, outcome: Outcome, view: str) -> None:
    """Draw the images, uint8 `[N, 3, 32, 32]`, of one of `VIEWS`, duplicates beside the image that they copy."""
    paired, missed, chosen = detector.partners is not None, view == "missed", outcome.views[view]
    room, columns = (SHOWN // 2, A_ROW // 2) if paired else (SHOWN, A_ROW)
    captions, frames, cards = [], [], []
    for i in chosen[:room]:
        sign, colour = (
            ("○ missed", GREY) if missed else ("✓ planted", RIGHT) if detector.is_right(i) else ("✗ false", WRONG)
        )
        captions.append(f"{sign}\n{detector.regrets[i] if missed else detector.notes[i]}")
        frames.append((colour, 2.0))
        partner = (detector.planted if missed else detector.partners)[i] if paired else None
        gap = torch.full((3, images.shape[2], 2), 255, dtype=torch.uint8)
        cards.append(images[i] if partner is None else torch.cat([images[i], gap, images[partner]], 2))
    if not cards:
        ax.text(0.5, 0.5, NOTHING[view], transform=ax.transAxes, ha="center", fontsize=14, color=GREY)
        cards = [torch.full((3, 32, 66 if paired else 32), 255, dtype=torch.uint8)]
        captions, frames = [""], [(GREY, 0.0)]
    draw_page(ax, torch.stack(cards), captions, columns, room, frames)
    ax.set_title(f"{view}: {min(len(chosen), room)} of {len(chosen)}", fontsize=11, y=1.0)


def draw_scores(ax: Axes, detector: Detector, outcomes: list[Outcome], threshold: float) -> None:
    """Draw precision and recall over the detector's thresholds, and mark the chosen one."""
    for name, style in PRECISION_RECALL.items():
        percent = [getattr(outcome, name) for outcome in outcomes]
        ax.plot([one.threshold for one in outcomes], percent, markersize=5, linewidth=2, label=name, **style)
    ax.axvline(threshold, color="black", linewidth=1, linestyle="--")
    ax.set_xlim(0, detector.last * 1.04)
    ax.set_ylim(0, 104)
    ax.set_yticks(range(0, 101, 25))
    ax.set_xlabel(detector.unit)
    ax.set_ylabel("share (%)")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncol=2)
    plain(ax)
