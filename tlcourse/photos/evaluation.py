"""How good a classifier of photographs is, on photographs that nothing was learned from or chosen by."""

import functools
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.evaluation.calibration import Reliability, chance_calibration_error, fit_temperature, reliability
from tlcourse.evaluation.intervals import Interval, wilson_interval
from tlcourse.evaluation.metrics import class_report, confusion_matrix
from tlcourse.evaluation.predict import confident_mistakes
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.one_pass import one_pass

FEW = 500  # photographs


@dataclass(frozen=True)
class Evaluation:
    """What a classifier answered on test photographs, and what that is worth."""

    logits: torch.Tensor  # divided by the temperature, before the softmax, float32 [N, classes]
    labels: torch.Tensor  # int64 [N]
    classes: tuple[str, ...]
    temperature: float = 1.0

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
        """Confidence against accuracy, in bins; its `error` is the calibration error in points."""
        return self._binned(self.logits)

    @property
    def error_before(self) -> float:
        """The calibration error in points without the temperature."""
        return self._binned(self.temperature * self.logits).error

    @functools.cached_property
    def error_by_chance(self) -> float:
        """The calibration error in points that perfectly calibrated answers of these confidences would show."""
        return chance_calibration_error(self.logits, self._bins)

    def fitted_temperature(self) -> float:
        """Return the temperature that suits these answers best: for validation photographs, not for the test."""
        return careful_temperature(self.logits, self.labels)

    def mistakes(self, count: int = 12) -> torch.Tensor:
        """Return the wrong predictions of which the classifier is surest, int64 `[M]`, surest first."""
        return confident_mistakes(self.logits, self.labels, count)

    @property
    def _bins(self) -> int:
        """Ten bins, of few photographs five: a bin of one says nothing."""
        return 5 if len(self.labels) < FEW else 10

    def _binned(self, logits: torch.Tensor) -> Reliability:
        return reliability(logits, self.labels, self._bins)

    def metrics(self) -> dict[str, Interval | float]:
        """Return what a model card shows."""
        return {
            "accuracy on test photographs in % [95 % interval]": self.accuracy,
            "balanced accuracy in %": self.balanced_accuracy,
            "calibration error in points": self.reliability.error,
            "calibration error without the temperature": self.error_before,
        }

    def __str__(self) -> str:
        error, before = self.reliability.error, self.error_before
        text = (
            f"{len(self.labels):,} test photographs: accuracy {self.accuracy} %, balanced "
            f"{self.balanced_accuracy:.1f} %, calibration error {error:.1f} points"
        )
        if self.temperature == 1:
            return text
        what = "lowered" if error < before else "did not lower"
        return f"{text}; the temperature of {self.temperature:.2f} {what} it: without it, {before:.1f}"


def evaluate_photos(
    model: nn.Module, photos: PhotoSource, temperature: float = 1.0, progress: bool = False
) -> Evaluation:
    """Ask a network about test photographs; the temperature, by which logits are divided, is fitted on validation."""
    shown = "test" if progress else None
    logits = one_pass(model, photos.prepared, len(photos), photos.preprocessing.crop, progress=shown)
    return Evaluation(logits / temperature, photos.labels, photos.classes, temperature)


def careful_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Fit the temperature on the logits `[N, classes]` of validation photographs, prepared for there being few of them.

    Where all answers on 50 photographs are right, the best temperature would be 0: certainty. As in Platt's scaling,
    the targets are 1 - 1/(N + 2) and not 1, which is what N right answers out of N let one believe. Raises ValueError
    where shapes do not agree, or a logit is not finite.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999, Advances in Large Margin Classifiers; Guo,
    Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017, ICML.
    """
    return fit_temperature(logits, labels, smoothing=1 / (len(labels) + 2))
