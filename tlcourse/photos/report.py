"""One page about a classifier of photographs: what was found, how good it is, where it errs. All of it is inside."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from tlcourse.evaluation.metrics import class_report
from tlcourse.notebook.display import drawn
from tlcourse.notebook.evaluation_figures import draw_reliability
from tlcourse.pages.fill import fill
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.model_card import GOOD_FOR, NOT_FOR
from tlcourse.photos.pipeline import TrainedPhotos
from tlcourse.photos.read import PhotoError, open_photo, printable
from tlcourse.photos.training_figure import draw_tuning
from tlcourse.photos.unlabelled import Worth

MOST_CLASSES = 40  # a larger matrix cannot be read; the most frequent mistakes are listed instead
PALE = 5  # so many mistakes of one kind have the darkest shade at least
THUMBNAIL = 320  # pixels of the longer side


def report_page(result: TrainedPhotos, folders: Sequence[FolderReport]) -> str:
    """Write the report on a classifier, and what the inspection of each folder found, as HTML with its pictures."""
    return fill(
        "classifier.html",
        result=result,
        found=result.evaluation,
        good_for=GOOD_FOR,
        not_for=NOT_FOR,
        training=_training(result),
        classes=_classes(result),
        confusion=confusion_rows(result.evaluation.confusion, result.evaluation.classes),
        frequent=frequent_mistakes(result.evaluation.confusion, result.evaluation.classes),
        calibration=_calibration(result),
        mistakes=_mistakes(result),
        folders=folders,
        worth=result.worth,
        doubtful=doubtful(result.worth) if result.worth else [],
    )


def confusion_rows(confusion: torch.Tensor, classes: Sequence[str]) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return for each class its counts with shades from 0 to 1; nothing where classes are too many for a matrix."""
    if len(classes) > MOST_CLASSES:
        return []
    mistakes = confusion.clone().fill_diagonal_(0)
    shades = mistakes / max(PALE, int(mistakes.max()))
    return [
        (name, list(zip(counts, row, strict=True)))
        for name, counts, row in zip(classes, confusion.tolist(), shades.tolist(), strict=True)
    ]


def frequent_mistakes(confusion: torch.Tensor, classes: Sequence[str], most: int = 30) -> list[tuple[str, str, int]]:
    """Return right class, answer and count of the most frequent mistakes."""
    mistakes = confusion.clone().fill_diagonal_(0)
    order = mistakes.flatten().argsort(descending=True, stable=True)[:most].tolist()
    places = [divmod(place, len(classes)) for place in order]
    return [(classes[r], classes[c], int(mistakes[r, c])) for r, c in places if mistakes[r, c]]


def _classes(result: TrainedPhotos) -> list[tuple[str, int, str, str]]:
    """Return for each class its name, test photographs, and percent found and right when named."""
    report = class_report(result.evaluation.confusion)
    shares = ([f"{100 * share:.0f}" for share in column.tolist()] for column in (report.recall, report.precision))
    return list(zip(result.evaluation.classes, report.support.tolist(), *shares, strict=True))


def _training(result: TrainedPhotos) -> tuple[str, str] | None:
    """Return the curves of the training and what they show, where there was one."""
    return result.tuned and drawn((8, 3.2), 2, lambda axes: draw_tuning(axes, result.tuned))


def _calibration(result: TrainedPhotos) -> tuple[str, str]:
    """Return accuracy against confidence, and what the picture shows."""
    found = result.evaluation.reliability
    return drawn((4.4, 3.8), 1, lambda ax: draw_reliability(ax, found, "At the fitted temperature"))


def _mistakes(result: TrainedPhotos, count: int = 12) -> list[tuple[str, str, str]]:
    """Return thumbnail, words and file name of the wrong answers of which the classifier is surest."""
    found, photos = result.evaluation, result.parts.test
    confidence = found.logits.softmax(1).max(1)[0]
    said = []
    for i in found.mistakes(count).tolist():
        right, answer = found.classes[found.labels[i]], found.classes[found.predictions[i]]
        words = f"{answer} ({100 * confidence[i]:.0f} %), but it is {right}"
        said.append((thumbnail_of(photos.paths[i]), words, printable("/".join(photos.paths[i].parts[-2:]))))
    return said


def doubtful(worth: Worth, count: int = 12) -> list[tuple[str, str, str]]:
    """Return thumbnail, words and file name of those learned from without a label, the least sure answers first."""
    taken = (worth.learned >= 0).nonzero()[:, 0]
    said = []
    for i in taken[worth.confidence[taken].argsort(stable=True)][:count].tolist():
        words = f"{worth.classes[worth.learned[i]]} ({100 * worth.confidence[i]:.0f} %)"
        said.append((thumbnail_of(worth.used.photos.paths[i]), words, printable(worth.used.photos.paths[i].name)))
    return said


def thumbnail_of(path: Path) -> str:
    """Return a photograph as a small JPEG in base64; an empty text where the file is gone."""
    try:
        picture = open_photo(path, at_least=THUMBNAIL)
    except PhotoError:
        return ""
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    data = io.BytesIO()
    picture.save(data, "jpeg", quality=80)
    return base64.b64encode(data.getvalue()).decode()
