"""How good are the answers? Confusion, precision and recall, top-k, and the curves of a threshold, all by hand."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ClassReport:
    """How well each class is found, float64 `[classes]` from 0 to 1."""

    precision: torch.Tensor  # of the images called this class, the share that is
    recall: torch.Tensor  # of the images of this class, the share that is called so
    f1: torch.Tensor  # harmonic mean of the two
    support: torch.Tensor  # images of this class, int64 [classes]

    def macro(self) -> tuple[float, float, float]:
        """Return mean precision, recall and F1; every class counts the same, however rare."""
        return self.precision.mean().item(), self.recall.mean().item(), self.f1.mean().item()


@dataclass(frozen=True)
class ThresholdCurve:
    """What happens while a threshold falls from above the highest score to the lowest, float64 `[T]` each."""

    x: torch.Tensor  # false-positive rate (ROC) or recall (precision-recall), from 0 to 1, rising
    y: torch.Tensor  # true-positive rate (ROC) or precision (precision-recall)
    thresholds: torch.Tensor  # images with this score or a higher one are called positive; from infinity


def confusion_matrix(labels: torch.Tensor, answers: torch.Tensor, classes: int) -> torch.Tensor:
    """Count how often each class is taken for each class, int64 `[classes, classes]`.

    Rows are right classes, columns answers; right answers stand on the diagonal.
    """
    if labels.shape != answers.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"labels have shape {list(labels.shape)}, answers {list(answers.shape)}. Expected one answer for each of "
            "at least one label; turn logits [N, classes] into answers with logits.argmax(1)."
        )
    both = torch.cat([labels, answers])
    if both.min() < 0 or both.max() >= classes:
        raise ValueError(
            f"class numbers go from {int(both.min())} to {int(both.max())}, but 0 to {classes - 1} was expected. "
            "Check the number of classes, or whether counting began at 1."
        )
    return torch.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def class_report(confusion: torch.Tensor) -> ClassReport:
    """Return precision, recall and F1 of every class; where nothing is to be divided by, 0, as scikit-learn has it.

    Source: van Rijsbergen, "Information retrieval", 1979, Butterworths.
    """
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ValueError(
            f"got shape {list(confusion.shape)}, but [classes, classes] was expected. See confusion_matrix."
        )
    right = confusion.diagonal()
    support, called = confusion.sum(1), confusion.sum(0)
    return ClassReport(_share(right, called), _share(right, support), _share(2 * right, support + called), support)


def _share(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """Divide, and give 0 where the whole is 0 (and so is the part)."""
    return part.double() / whole.clamp(min=1)


def roc_curve(positive: torch.Tensor, scores: torch.Tensor) -> ThresholdCurve:
    """Lower a threshold through all scores `[N]`: true-positive rate over false-positive rate, from (0, 0).

    ValueError when one of the two kinds is absent.

    Source: Fawcett, "An introduction to ROC analysis", 2006, Pattern Recognition Letters.
    """
    found, false, thresholds = _counts(positive, scores)
    return ThresholdCurve(false / false[-1], found / found[-1], thresholds)


def _counts(positive: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Count positives and negatives at or above every distinct score: true, false, thresholds, each float64 `[T]`."""
    if positive.dtype != torch.bool or positive.shape != scores.shape or positive.ndim != 1:
        raise ValueError(
            f"got {positive.dtype} {list(positive.shape)} and scores {list(scores.shape)}. Expected bool [N] and one "
            "score an image; for class c use labels == c and softmax(logits)[:, c]."
        )
    if positive.all() or not positive.any() or not torch.isfinite(scores).all():
        raise ValueError(
            f"{int(positive.sum())} of {len(positive)} images are positive. Expected some of both kinds, and finite "
            "scores: without both, there is nothing to tell apart."
        )
    order = scores.double().argsort(descending=True, stable=True)
    ranked, hit = scores.double()[order], positive[order].double()
    last = torch.cat([ranked[1:] != ranked[:-1], torch.tensor([True])])  # equal scores cross the threshold together
    begin = torch.zeros(1, dtype=torch.float64)
    found, false = (torch.cat([begin, kind.cumsum(0)[last]]) for kind in (hit, 1 - hit))
    return found, false, torch.cat([begin + torch.inf, ranked[last]])


def check_logits(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise ValueError for logits that are not `[N, classes]` for labels `[N]`, or a label that has no logit."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"logits have shape {list(logits.shape)}, labels {list(labels.shape)}. Expected [N, classes] and [N]."
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}, but there are logits for 0 to "
            f"{logits.shape[1] - 1}. Check the head, or whether counting began at 1."
        )
