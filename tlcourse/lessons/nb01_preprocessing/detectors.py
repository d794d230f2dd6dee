"""The cleaner's detectors with their thresholds open: what each flags, misses, and how good that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from matplotlib.axes import Axes

from tlcourse.data.cleaning import (
    BLANK,
    NEAR,
    contrasts,
    find_exact_duplicates,
    find_near_duplicates,
    find_wrong_labels,
    thumbnail_distances,
)
from tlcourse.data.defects import Planted
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb01_preprocessing.figures import PRECISION_RECALL, draw_page
from tlcourse.notebook.figures import GREY, RIGHT, WRONG, plain

SHOWN, A_ROW = 18, 6  # images in a picture and in a row
VIEWS = ("last flagged", "false alarms", "missed")
NOTHING = {"last flagged": "nothing is flagged", "false alarms": "no false alarm", "missed": "nothing is missed"}
MISSED, PLANTED, FALSE = ("○ missed", "#0072B2"), ("✓ planted", RIGHT), ("✗ false", WRONG)
SPARE = 1e-6  # floats that were meant to be equal to the threshold count as equal


@dataclass(frozen=True)
class Detector:
    """A detector as the lab moves it: everything whose value is at most the threshold is flagged."""

    values: torch.Tensor  # what is compared with the threshold, float [N]; infinite where nothing was suspected
    right: torch.Tensor  # whether flagging each image would be right, bool [N]
    planted: tuple[int, ...]  # numbers of the images that should be found
    notes: tuple[str, ...]  # what to write below each image when it is flagged
    regrets: Mapping[int, str]  # what to write below a planted one when it is missed, by number
    thresholds: tuple[float, ...]  # positions of the slider, in ascending order; one only if there is nothing to set
    usual: int  # the position that the notebook uses
    unit: str  # what the threshold is
    partners: torch.Tensor | None = None  # for duplicates, what each was taken for a copy of, int64 [N]
    originals: Mapping[int, int] = field(default_factory=dict)  # what a planted one really is a copy of, by number


@dataclass(frozen=True)
class Outcome:
    """What a detector does at one threshold; precision and recall are from 0 to 1, and 1 where there is nothing."""

    flagged: tuple[int, ...]  # numbers of the images, from barely to clearly flagged
    alarms: tuple[int, ...]  # those of them that are false alarms, in the same order
    missed: tuple[int, ...]  # numbers of the planted images that were not found
    precision: float
    recall: float

    def view(self, name: str) -> tuple[int, ...]:
        """Return the numbers of the images of one of `VIEWS`."""
        return dict(zip(VIEWS, (self.flagged, self.alarms, self.missed), strict=True))[name]


def compute_detectors(dirty: ImageSet, truth: Planted, probabilities: torch.Tensor) -> dict[str, Detector]:
    """Measure every image once, so that moving a threshold costs nothing; returns the detectors by name.

    `truth` says what was planted; the probabilities are out of sample, float `[N, classes]`.
    """
    return {
        "exact duplicates": _exact(dirty, truth),
        "near duplicates": _near(dirty, truth),
        "blank": _blank(dirty, truth),
        "wrong labels": _wrong(dirty, truth, probabilities),
    }


def _exact(dirty: ImageSet, truth: Planted) -> Detector:
    values, partners = torch.full((len(dirty),), torch.inf), torch.zeros(len(dirty), dtype=torch.int64)
    for finding in find_exact_duplicates(dirty.images):
        values[finding.which], partners[finding.which] = 0.0, finding.partner
    originals = dict(truth.pairs(truth.exact))
    right = _are_copies(partners, originals)
    notes = ("every pixel equal",) * len(dirty)
    regrets = dict.fromkeys(originals, "every pixel equal")
    rule = ((0.0,), 0, "nothing to set: every pixel has to be equal")
    return Detector(values, right, tuple(originals), notes, regrets, *rule, partners, originals)


def _near(dirty: ImageSet, truth: Planted) -> Detector:
    values, partners = torch.full((len(dirty),), torch.inf), torch.zeros(len(dirty), dtype=torch.int64)
    distances = thumbnail_distances(dirty.images)
    for finding in find_near_duplicates(dirty.images, threshold=2):  # all of them; the lab's threshold comes later
        values[finding.which], partners[finding.which] = distances[finding.which, finding.partner], finding.partner
    originals = dict(truth.pairs(truth.near))
    change = {max(pair): truth.changed[pair[0]] for pair in truth.near.items()}
    right = _are_copies(partners, originals)
    notes = tuple(f"distance {value:.3f}" for value in values.tolist())
    regrets = {i: f"{change[i]}: {float(distances[i, j]):.3f}" for i, j in originals.items()}
    rule = (_steps(0.01, 0.2), round(NEAR / 0.01) - 1, "distance of two thumbnails (0 to 2)")
    return Detector(values, right, tuple(originals), notes, regrets, *rule, partners, originals)


def _blank(dirty: ImageSet, truth: Planted) -> Detector:
    values = contrasts(dirty.images)
    notes = tuple(f"contrast {value:.0f}" for value in values.tolist())
    rule = (_steps(2.5, 50), round(BLANK / 2.5) - 1, "contrast (grey values)")
    return Detector(values, _among(len(dirty), truth.blank), tuple(truth.blank), notes, dict(enumerate(notes)), *rule)


def _wrong(dirty: ImageSet, truth: Planted, probabilities: torch.Tensor) -> Detector:
    doubt, labels = torch.full((len(dirty),), torch.inf), dirty.labels.tolist()
    for finding in find_wrong_labels(probabilities, dirty.labels):
        doubt[finding.which] = 1 - finding.confidence
    answers = zip(labels, probabilities.argmax(1).tolist(), strict=True)
    notes = tuple(f"{label}, or {answer}?" for label, answer in answers)
    regrets = {i: f"{labels[i]}, truly {right}" for i, right in truth.wrong.items()}
    rule = (_steps(0.05, 1), 19, "doubt (1 minus how sure)")
    return Detector(doubt, _among(len(dirty), list(truth.wrong)), tuple(truth.wrong), notes, regrets, *rule)


def _steps(step: float, last: float) -> tuple[float, ...]:
    """Return `step`, twice `step` and so on up to `last`."""
    return tuple(round(step * (i + 1), 6) for i in range(round(last / step)))


def _among(count: int, chosen: Sequence[int]) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.bool).index_fill(0, torch.tensor(list(chosen), dtype=torch.int64), True)


def _are_copies(partners: torch.Tensor, originals: Mapping[int, int]) -> torch.Tensor:
    return torch.tensor([originals.get(i) == j for i, j in enumerate(partners.tolist())], dtype=torch.bool)


def compute_outcome(detector: Detector, threshold: float) -> Outcome:
    """Flag everything up to a threshold, and compare with what was planted."""
    flagged = (detector.values <= threshold + SPARE).nonzero()[:, 0]
    flagged = flagged[detector.values[flagged].argsort(descending=True, stable=True)].tolist()
    found = {i for i in flagged if detector.right[i]}
    return Outcome(
        flagged=tuple(flagged),
        alarms=tuple(i for i in flagged if i not in found),
        missed=tuple(i for i in detector.planted if i not in found),
        precision=len(found) / len(flagged) if flagged else 1.0,
        recall=len(found) / len(detector.planted) if detector.planted else 1.0,
    )


def describe_outcome(outcome: Outcome, detector: Detector, name: str, threshold: float) -> str:
    """Say in two sentences what an outcome is."""
    rule = f"{name}, threshold {threshold:g}" if len(detector.thresholds) > 1 else f"{name}, no threshold"
    hits = len(outcome.flagged) - len(outcome.alarms)
    return (
        f"{rule}: {len(outcome.flagged)} of {len(detector.values)} images flagged, {hits} of them rightly and "
        f"{len(outcome.alarms)} falsely; {len(outcome.missed)} of {len(detector.planted)} planted ones missed. "
        f"Precision {100 * outcome.precision:.0f} %, recall {100 * outcome.recall:.0f} %."
    )


def draw_evidence(ax: Axes, images: torch.Tensor, detector: Detector, outcome: Outcome, view: str) -> Axes:
    """Draw the images, uint8 `[N, 3, 32, 32]`, of one of `VIEWS`, duplicates beside the image that they copy."""
    paired, missed = detector.partners is not None, view == "missed"
    room, columns = (SHOWN // 2, A_ROW // 2) if paired else (SHOWN, A_ROW)
    chosen = list(outcome.view(view))
    captions, colours = [], []
    for i in chosen[:room]:
        sign, colour = MISSED if missed else PLANTED if detector.right[i] else FALSE
        captions.append(f"{sign}\n{detector.regrets[i] if missed else detector.notes[i]}")
        colours.append(colour)
    cards = torch.zeros(0, *_card(images, detector, 0, False).shape, dtype=torch.uint8)
    if chosen:
        cards = torch.stack([_card(images, detector, i, missed) for i in chosen[:room]])
    else:
        ax.text(0.5, 0.5, NOTHING[view], transform=ax.transAxes, ha="center", fontsize=14, color=GREY)
    draw_page(ax, cards, captions, colours, columns, room)
    ax.set_title(f"{view}: {len(captions)} of {len(chosen)}", fontsize=11, y=1.0)
    return ax


def _card(images: torch.Tensor, detector: Detector, i: int, missed: bool) -> torch.Tensor:
    """Return an image, or with its partner beside it."""
    if detector.partners is None:
        return images[i]
    partner = images[detector.originals[i] if missed else int(detector.partners[i])]
    return torch.cat([images[i], torch.full((3, images.shape[2], 2), 255, dtype=torch.uint8), partner], 2)


def draw_values(ax: Axes, detector: Detector, threshold: float) -> Axes:
    """Draw one mark an image at its value, planted ones above all others; what is flagged is shaded."""
    last = detector.thresholds[-1] * 1.04
    ax.axvspan(0, threshold, color="#DDDDDD", linewidth=0)
    for row, (of_row, colour, marker) in enumerate(((~detector.right, WRONG, "x"), (detector.right, RIGHT, "o"))):
        values = detector.values[of_row & (detector.values <= last)]
        rise = row + 0.5 * (torch.arange(len(values)) * 0.618 % 1 - 0.5)  # spread evenly, so that few cover others
        ax.scatter(values, rise, color=colour, marker=marker, s=16, linewidth=1)
    ax.axvline(threshold, color="black", linewidth=1, linestyle="--")
    ax.set_xlim(0, last)
    ax.set_ylim(-0.5, 1.5)
    ax.set_yticks((0, 1), ("others", "planted"))
    ax.set_xticks(())
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title("all images; grey: flagged", fontsize=11, y=1.0)
    return ax


def draw_scores(ax: Axes, detector: Detector, scores: Sequence[tuple[float, float]], threshold: float) -> Axes:
    """Draw precision and recall, from 0 to 1 in `scores`, over the detector's thresholds, and mark the chosen one."""
    if len(detector.thresholds) == 1:
        return _draw_bars(ax, *scores[0])
    for i, (name, style) in enumerate(PRECISION_RECALL.items()):
        percent = [100 * score[i] for score in scores]
        ax.plot(detector.thresholds, percent, markersize=5, linewidth=2, label=name, **style)
    ax.axvline(threshold, color="black", linewidth=1, linestyle="--")
    ax.set_xlim(0, detector.thresholds[-1] * 1.04)
    ax.set_ylim(0, 104)
    ax.set_yticks(range(0, 101, 25))
    ax.set_xlabel(detector.unit)
    ax.set_ylabel("share (%)")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 0.97), ncol=2)
    return plain(ax)


def _draw_bars(ax: Axes, *shares: float) -> Axes:
    """Draw precision and recall of a detector without a threshold."""
    colours = [style["color"] for style in PRECISION_RECALL.values()]
    bars = ax.bar(list(PRECISION_RECALL), [100 * share for share in shares], color=colours, width=0.5)
    ax.bar_label(bars, [f"{share:.0%}" for share in shares])
    ax.set_ylabel("share (%)")
    ax.set_ylim(0, 110)
    return plain(ax)
