"""How good a classifier of photographs is, on photographs that nothing was learned from or chosen by."""

from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.evaluation.calibration import Reliability, reliability
from tlcourse.evaluation.intervals import Interval, wilson_interval
from tlcourse.evaluation.metrics import class_report, confusion_matrix
from tlcourse.evaluation.predict import confident_mistakes, predict
from tlcourse.photos.memory import PhotoSource


@dataclass(frozen=True)
class Evaluation:
    """What a classifier answered on test photographs, and what that is worth."""

    logits: torch.Tensor  # divided by the temperature, before the softmax, float32 [N, classes]
    labels: torch.Tensor  # int64 [N]
    classes: tuple[str, ...]

    @property
    def predictions(self) -> torch.Tensor:
        """The class with the highest score, int64 `[N]`."""
        return self.logits.argmax(1)

    @property
    def accuracy(self) -> Interval:
        """Share of right predictions in percent, with the 95 % interval of Wilson (1927)."""
        return wilson_interval(int((self.predictions == self.labels).sum()), len(self.labels))

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes of the share that is found, in percent: rare classes count as much as others."""
        report = class_report(self.confusion)
        return 100 * report.recall[report.support > 0].mean().item()

    @property
    def confusion(self) -> torch.Tensor:
        """How often each class was taken for each, int64 `[classes, classes]`; rows are right classes."""
        return confusion_matrix(self.labels, self.predictions, len(self.classes))

    @property
    def reliability(self) -> Reliability:
        """Confidence against accuracy in ten bins; its `error` is the calibration error in points."""
        return reliability(self.logits, self.labels)

    def mistakes(self, count: int = 12) -> torch.Tensor:
        """Return the wrong predictions of which the classifier is surest, int64 `[M]`, surest first."""
        return confident_mistakes(self.logits, self.labels, count)

    def metrics(self) -> dict[str, Interval | float]:
        """Return what a model card shows."""
        return {
            "accuracy on test photographs in % [95 % interval]": self.accuracy,
            "balanced accuracy in %": self.balanced_accuracy,
            "calibration error in points": self.reliability.error,
        }

    def __str__(self) -> str:
        return (
            f"{len(self.labels):,} test photographs: accuracy {self.accuracy} %, balanced "
            f"{self.balanced_accuracy:.1f} %, calibration error {self.reliability.error:.1f} points"
        )


def evaluate_photos(model: nn.Module, photos: PhotoSource, temperature: float = 1.0) -> Evaluation:
    """Ask a network about test photographs; the temperature, by which logits are divided, is fitted on validation."""
    return Evaluation(predict(model, photos.in_order()) / temperature, photos.labels, photos.classes)
