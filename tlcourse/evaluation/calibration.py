"""Is "90 % sure" right nine times in ten? Reliability, its summary in one number, and temperature scaling."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tlcourse.evaluation.metrics import check_logits

COLDEST, HOTTEST = 0.05, 20.0  # temperatures outside are not looked for
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Reliability:
    """Images sorted into bins by how sure the network was; confidence and accuracy are 0 where a bin is empty."""

    edges: torch.Tensor  # borders, float64 [bins + 1] from 0 to 1; a bin holds its upper border
    count: torch.Tensor  # images a bin, int64 [bins]
    confidence: torch.Tensor  # mean a bin, float64 [bins] from 0 to 1
    accuracy: torch.Tensor  # share of right answers a bin, float64 [bins] from 0 to 1

    @property
    def error(self) -> float:
        """The expected calibration error (ECE), in points: the mean gap of confidence and accuracy over all images."""
        gaps = (self.confidence - self.accuracy).abs()
        return 100 * (gaps * self.count).sum().item() / self.count.sum().item()

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy, in points: positive where the network is too sure."""
        return 100 * ((self.confidence - self.accuracy) * self.count).sum().item() / self.count.sum().item()


def reliability(logits: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> Reliability:
    """Sort images by confidence, the softmax probability of the answer, into equally wide bins, and measure each.

    Logits are float `[N, classes]`, all finite.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017, ICML.
    """
    _check(logits, labels)
    if bins < 1:
        raise ValueError(f"{bins} bins were asked for. Expected at least 1; 10 or 15 are usual.")
    confidence, answers = F.softmax(logits.double(), 1).max(1)
    hits = (answers == labels).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    where = torch.bucketize(confidence, edges[1:-1])  # [N], which bin; a border belongs to the bin below
    count = torch.bincount(where, minlength=bins)
    sums = (torch.bincount(where, weights, minlength=bins) for weights in (confidence, hits))
    mean_confidence, accuracy = (total / count.clamp(min=1) for total in sums)
    return Reliability(edges, count, mean_confidence, accuracy)


def calibration_error(logits: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> float:
    """Return the expected calibration error (ECE), in points; arguments as for `reliability`."""
    return reliability(logits, labels, bins).error


def chance_calibration_error(logits: torch.Tensor, bins: int = 10, repeats: int = 200, seed: int = 0) -> float:
    """Return the calibration error, in points, that a perfectly calibrated network with these confidences would show.

    Few images a bin give a gap even where there is none: let every answer be right with exactly its confidence, and
    measure the error; the mean over `repeats`.
    """
    if repeats < 1:
        raise ValueError(f"{repeats} repeats were asked for. Expected at least 1.")
    confidence, answers = F.softmax(logits.double(), 1).max(1)
    draws = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(repeats):
        right = torch.rand(len(answers), generator=draws, dtype=torch.float64) < confidence
        invented = torch.where(right, answers, (answers + 1) % logits.shape[1])
        errors.append(reliability(logits, invented, bins).error)
    return sum(errors) / repeats


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> float:
    """Find the number by which to divide all logits so that their probabilities fit the labels best.

    Above 1 it makes the network less sure, below 1 more. The order of the logits stays, so no answer changes. Fit it on
    validation images: on those that trained the network, it would look too sure of itself with reason, and on those of
    the test, the test would be spent.

    The cross-entropy falls and then rises along the temperature (it is convex in 1 / temperature), so a golden-section
    search finds its lowest point: it keeps an interval around it, and each step cuts away the 38 % that cannot hold it.
    The result is from 0.05 to 20; an end of this range means that the best lies beyond. `smoothing` spreads a share of
    each target over all classes, for so few images that all answers may be right, for which no temperature is low
    enough.

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017, ICML.
    """
    _check(logits, labels)
    low, high = math.log(COLDEST), math.log(HOTTEST)
    exact = logits.double()
    for _ in range(40):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        losses = [
            F.cross_entropy(exact / math.exp(at), labels, label_smoothing=smoothing).item() for at in (left, right)
        ]
        low, high = (low, right) if losses[0] <= losses[1] else (left, high)
    return math.exp((low + high) / 2)


def _check(logits: torch.Tensor, labels: torch.Tensor) -> None:
    check_logits(logits, labels)
    if not torch.isfinite(logits).all():
        raise ValueError(
            "a logit is infinite or not a number. Expected finite ones, from before the softmax; look at the images "
            "that gave them, and at the training."
        )
