"""What a saved classifier is worth on worse photographs: each kind of corruption in five severities, and as they are.

What is corrupted is what the network sees: the photograph after resizing and cropping. A real camera does its harm
before that, and larger pictures lose some of it when they are made smaller, so this is the harder test.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from tlcourse.data.transforms import Preprocessing
from tlcourse.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from tlcourse.evaluation.intervals import Interval, paired_difference, t_interval
from tlcourse.evaluation.predict import predict
from tlcourse.photos.classifier import Classifier
from tlcourse.photos.evaluation import Evaluation
from tlcourse.photos.memory import Pair, read_for
from tlcourse.photos.photoset import PhotoSet
from tlcourse.repro import progress_bar

AT_A_TIME = 16  # photographs that are read, corrupted and asked about together
AS_THEY_ARE = ("none", 0)
COLUMNS = (
    *("corruption", "severity", "photographs", "accuracy", "low", "high", "lost", "lost_low", "lost_high"),
    *("calibration_error", "error_by_chance", "overconfidence"),
)

Condition = tuple[str, int]  # kind and severity


@dataclass(frozen=True)
class Stressed:
    """How a classifier answers the same photographs as they are, and corrupted."""

    classifier: Classifier
    photos: PhotoSet
    found: dict[Condition, Evaluation]  # as they are, then by kind and severity
    seed: int

    @property
    def clean(self) -> Evaluation:
        """The answers to the photographs as they are."""
        return self.found[AS_THEY_ARE]

    @property
    def kinds(self) -> list[str]:
        """The kinds of corruption."""
        return list(dict.fromkeys(kind for kind, severity in self.found if severity))

    def at(self, kind: str, severity: int) -> Evaluation:
        """The answers at a severity; at 0, those to the photographs as they are."""
        return self.found[kind, severity] if severity else self.clean

    def accuracy(self, severity: int) -> Interval:
        """The mean over the kinds of the share of right answers, in percent, with the t interval over photographs."""
        return t_interval((100 * self._hits(severity).mean(1)).tolist())

    def lost(self, kind: str, severity: int) -> Interval:
        """How many points fewer are right than as they are, photograph by photograph, with the t interval."""
        before, now = (100 * _right(found).double() for found in (self.clean, self.at(kind, severity)))
        return paired_difference(before.tolist(), now.tolist())

    def mean_error(self, severity: int) -> tuple[float, float, float]:
        """Means over the kinds: calibration error, what chance alone would show, and overconfidence, in points."""
        each = [self.at(kind, severity) for kind in self.kinds]
        values = [(one.reliability.error, one.error_by_chance, one.reliability.overconfidence) for one in each]
        return tuple(torch.tensor(values, dtype=torch.float64).mean(0).tolist())

    def typical(self) -> int:
        """Return the number of a photograph that is right as it is, and under corruption as often as others are."""
        often = sum(self._hits(severity).sum(1) for severity in SEVERITIES)
        right = _right(self.clean).nonzero()[:, 0]
        candidates = right if len(right) else torch.arange(len(self.photos))
        return int(candidates[often[candidates].argsort(stable=True)[len(candidates) // 2]])

    def rows(self) -> list[dict[str, object]]:
        """Return what was measured, a row a condition: shares in percent, all else in points, rounded to hundredths."""
        rows = []
        for (kind, severity), one in self.found.items():
            lost = self.lost(kind, severity)
            values = (*_ends(one.accuracy), *_ends(lost))
            errors = (one.reliability.error, one.error_by_chance, one.reliability.overconfidence)
            numbers = [round(value, 2) for value in (*values, *errors)]
            rows.append(dict(zip(COLUMNS, (kind, severity, len(self.photos), *numbers), strict=True)))
        return rows

    def to_csv(self) -> str:
        """Return the rows as a table for programs."""
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows())
        return text.getvalue()

    def _hits(self, severity: int) -> torch.Tensor:
        """Which answers are right at a severity, float64 `[N, kinds]`."""
        return torch.stack([_right(self.at(kind, severity)).double() for kind in self.kinds], 1)


def stress(
    classifier: Classifier,
    photos: PhotoSet,
    kinds: Sequence[str] = tuple(CORRUPTIONS),
    *,
    seed: int = 0,
    progress: bool = True,
    tell: Callable[[str], None] = lambda words: None,
) -> Stressed:
    """Ask a classifier about photographs as they are, and as each corruption at each severity leaves them.

    Classes are numbered as the classifier's, see `with_classes`. The temperature is the classifier's own, fitted on
    photographs that were not corrupted. Raises ValueError where there are fewer than two photographs, and PhotoError
    where a file is gone.
    """
    if len(photos) < 2:
        raise ValueError(f"{len(photos)} usable photographs were found. Expected at least 2, and better hundreds.")
    conditions = [AS_THEY_ARE, *((kind, severity) for kind in kinds for severity in SEVERITIES)]
    tell(f"Every one of {len(photos):,} photographs goes {len(conditions)} times through the network.")
    logits: dict[Condition, list[torch.Tensor]] = {condition: [] for condition in conditions}
    preprocessing = classifier.preprocessing
    parts = progress_bar(_views(photos, preprocessing), "stress", -(-len(photos) // AT_A_TIME), shown=progress)
    for number, (pixels, labels) in enumerate(parts):
        draws = 100_000 * seed + number  # other noise for every part
        for kind, severity in conditions:
            seen = corrupt(pixels, kind, severity, draws) if severity else pixels
            logits[kind, severity].append(predict(classifier.model, [(preprocessing.normalised(seen), labels)]))
    how = (photos.labels, classifier.classes, classifier.temperature)
    found = {where: Evaluation(torch.cat(said) / classifier.temperature, *how) for where, said in logits.items()}
    return Stressed(classifier, photos, found, seed)


def _views(photos: PhotoSet, preprocessing: Preprocessing) -> Iterator[Pair]:
    """Yield what the network sees of photographs, uint8 `[B, 3, crop, crop]`, and their labels, int64 `[B]`."""
    for rows in torch.arange(len(photos)).split(AT_A_TIME):
        pixels = [read_for(photos.paths[row], preprocessing) for row in rows.tolist()]
        yield torch.stack(pixels), photos.labels[rows]


def _right(found: Evaluation) -> torch.Tensor:
    return found.predictions == found.labels


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high
