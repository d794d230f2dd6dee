"""What `tlcourse stress` shows: a table, sentences, and a page with curves and a photograph in every state."""

import base64
import io
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from PIL import Image

from tlcourse.evaluation.corruptions import SEVERITIES, corrupt
from tlcourse.notebook.display import drawn
from tlcourse.notebook.figures import GREY, PALETTE, SHAPES, lines
from tlcourse.pages.fill import fill
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.memory import read_for
from tlcourse.photos.read import printable
from tlcourse.photos.stress import Stressed

MIDDLE = 3  # the severity that sentences speak of
FEW = 100  # photographs, below which intervals are so wide that it is said first
HEADER = ("severity", *map(str, SEVERITIES))
NOTES = (
    "What was corrupted is what the network sees: the photograph after resizing and cropping. A bad camera does its "
    "harm before that, and a large picture loses some of it when it is made smaller.",
    "Severity 5 is the worst. Strengths are the course's, set on handwriting of 32 x 32 pixels; lengths are shares of "
    "the side, so that a blur hides as much of a large picture as of a small one. They are no forecast of any one "
    "camera: compare two classifiers by them, or one before and after a change.",
    "Intervals of shares are Wilson's, 95 %, and take photographs as independent; for one thing taken many times they "
    "are too narrow. Whether the classifier learned from some of these photographs cannot be seen here; then all is "
    "too good.",
)


def accuracy_rows(result: Stressed) -> list[list[str]]:
    """Return right answers in percent with intervals, a row a kind, by severity."""
    return [[kind, *(str(result.at(kind, s).accuracy) for s in SEVERITIES)] for kind in result.kinds]


def error_rows(result: Stressed) -> list[list[str]]:
    """Return calibration errors in points, in brackets what chance alone would show."""
    return [[kind, *(_error(result, kind, s) for s in SEVERITIES)] for kind in result.kinds]


def _error(result: Stressed, kind: str, severity: int) -> str:
    found = result.at(kind, severity)
    return f"{found.reliability.error:.1f} ({found.error_by_chance:.1f})"


def in_sentences(result: Stressed) -> list[str]:
    """Say how far accuracy falls, what harms most and least, and whether its confidence follows."""
    many, mean = len(result.photos), result.accuracy(MIDDLE)
    lost = {kind: result.lost(kind, MIDDLE) for kind in result.kinds}
    most, least = (choose(lost, key=lambda kind: lost[kind].mean) for choose in (max, min))
    error, chance, over = result.mean_error(MIDDLE)
    over = f"{abs(over):.1f} points too {'sure' if over > 0 else 'unsure'}"
    said = [
        f"Of {many:,} photographs, {result.clean.accuracy} % are right as they are, and {mean} % at severity {MIDDLE}, "
        f"the mean of {len(lost)} corruptions.",
        f"At that severity {most} costs most, {lost[most]} points, and {least} least, {lost[least]}.",
        f"Its confidence: as they are, the calibration error is {result.clean.reliability.error:.1f} points, where as "
        f"many photographs would show {result.clean.error_by_chance:.1f} by chance alone; at severity {MIDDLE} it is "
        f"{error:.1f} in the mean, by chance {chance:.1f}, and the classifier {over}.",
    ]
    if many < FEW:
        said.insert(1, f"These are {many:,} photographs: intervals are wide, and small differences say nothing.")
    return said


def stress_page(result: Stressed, folder: FolderReport) -> str:
    """Write what was found as HTML."""
    example = result.typical()
    card = result.classifier.card
    return fill(
        "stress.html",
        result=result,
        folders=[folder],
        sentences=in_sentences(result),
        picture=drawn((9.6, 3.9), 2, lambda axes: draw_stress(axes, result)),
        header=HEADER,
        accuracies=accuracy_rows(result),
        errors=error_rows(result),
        example=printable("/".join(result.photos.paths[example].parts[-2:])),
        states=_states(result, example),
        notes=NOTES,
        made={"network": card.backbone, "trained on": card.created[:10], "seed": f"{result.seed}"}
        | dict(card.training),
    )


def draw_stress(axes: Sequence[Axes], result: Stressed) -> str:
    """Draw right answers and calibration error by severity, a line a kind; return the alt text."""
    left, right = axes
    styles = {
        kind: {"color": colour, "marker": shape}
        for kind, colour, shape in zip(result.kinds, (*PALETTE, GREY), (*SHAPES, "X"), strict=False)
    }
    shares, errors = [], []
    for kind in result.kinds:
        for severity in (0, *SEVERITIES):
            where, found = {"severity": severity, "corruption": kind}, result.at(kind, severity)
            shares.append(where | vars(found.accuracy))
            errors.append(where | {"calibration error (points)": found.reliability.error})
    said = lines(left, shares, "severity", "right answers (%)", "corruption", apart=0.09, styles=styles)
    lines(right, errors, "severity", "calibration error (points)", "corruption", styles=styles)
    chance = [result.mean_error(s)[1] for s in SEVERITIES]
    right.plot(SEVERITIES, chance, "--", color="black", label="by chance alone")
    left.set_ylim(0, 102)
    right.set_ylim(bottom=0)
    left.get_legend().remove()
    right.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    error, by_chance, _ = result.mean_error(5)
    return (
        f"{said} At severity 5 the calibration error is {error:.0f} points in the mean, where chance alone would show "
        f"{by_chance:.0f}."
    )


def _states(result: Stressed, example: int) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return for each kind one photograph at every severity, as `parts.photographs` takes them."""
    pixels = read_for(result.photos.paths[example], result.classifier.preprocessing)[None]
    return [(kind, [_state(result, example, pixels, kind, s) for s in SEVERITIES]) for kind in result.kinds]


def _state(result: Stressed, example: int, pixels: torch.Tensor, kind: str, severity: int) -> tuple[str, str, str]:
    found = result.at(kind, severity)
    chance, answer = found.logits[example].softmax(0).max(0)
    verdict = "right" if answer == found.labels[example] else "wrong"
    words = f"{kind} {severity}: {found.classes[answer]} ({100 * chance:.0f} %)"
    return _jpeg(corrupt(pixels, kind, severity, result.seed)[0]), words, verdict


def _jpeg(pixels: torch.Tensor) -> str:
    """Return uint8 `[3, H, W]` as a JPEG in base64."""
    data = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(data, "jpeg", quality=85)
    return base64.b64encode(data.getvalue()).decode()
