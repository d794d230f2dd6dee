"""Answer only where it is safe: what share can be answered at a promised accuracy, and the rest goes to a person."""

import math
from dataclasses import dataclass

import torch

STEPS = 5  # shares of the held-out images that are looked at, the surest first; more would begin with too few images,
# where a single mistake ends it


@dataclass(frozen=True)
class Promise:
    """Which answers to give so that a promised share of them is right, as held-out images have it."""

    threshold: float  # answers of this confidence or more are given; infinite where nothing can be promised
    answered: float  # share of the held-out images that get an answer, in percent
    accuracy: float  # of these, the share of right answers in percent; nan where there is none
    bound: float  # as much as is certain of that accuracy, in percent: what is promised, or more; 0 where there is none


@dataclass(frozen=True)
class RiskCoverage:
    """What happens while more and more is answered, the surest first: float64 `[T]` each, one for every confidence."""

    coverage: torch.Tensor  # share of the images that are answered, from 0 to 1, rising
    risk: torch.Tensor  # of these, the share of wrong answers
    thresholds: torch.Tensor  # the confidence from which on is answered, falling


def risk_coverage(confidence: torch.Tensor, right: torch.Tensor) -> RiskCoverage:
    """Lower a threshold through all confidences, float `[N]`, of answers that are right or not, bool `[N]`.

    Source: El-Yaniv and Wiener, "On the foundations of noise-free selective classification", 2010, Journal of Machine
    Learning Research.
    """
    answered, correct, thresholds = _counts(confidence, right)
    return RiskCoverage(answered / len(right), 1 - correct / answered, thresholds)


def lower_bound(right: int, answered: int, level: float = 0.95) -> float:
    """Return the accuracy in percent above which the truth lies with certainty `level`, after so many right answers.

    It is the one-sided interval of Clopper and Pearson: the lowest accuracy with which so many right answers, or more,
    would be no surprise. 60 right answers of 60 make 95.1 % certain, and no more.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    1934, Biometrika.
    """
    from scipy.special import betaincinv  # here, because importing SciPy takes a while

    if not 0 <= right <= answered or answered < 1:
        raise ValueError(
            f"got {right} right of {answered} answers. Expected at least 1 answer, and 0 to as many right."
        )
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but a share strictly between 0 and 1 was expected, such as 0.95.")
    return 100 * float(betaincinv(right, answered - right + 1, 1 - level)) if right else 0.0


def keep_promise(
    confidence: torch.Tensor, right: torch.Tensor, promise: float, level: float = 0.95, steps: int = STEPS
) -> Promise:
    """Find how much can be answered so that at least `promise` percent are right, with certainty `level`.

    `confidence`, float `[N]`, and `right`, bool `[N]`, are of held-out images, which taught the network nothing. The
    surest fifth comes first, then two fifths, and so on; the first share that does not prove the promise ends it.
    Whoever looks at all shares and takes the best finds one that was merely lucky; in a fixed order that ends there,
    a wrong promise has to pass one test, its own. The promise holds for images of the same kind, and no others.

    Sources: Geifman and El-Yaniv, "Selective classification for deep neural networks", 2017, NeurIPS, for the promise;
    Angelopoulos et al., "Learn then test: calibrating predictive algorithms to achieve risk control", 2021, arXiv
    2110.01052, for tests in a fixed order.
    """
    if not 0 < promise < 100:
        raise ValueError(f"promise is {promise}, but a number of percent between 0 and 100 was expected, such as 95.")
    answered, correct, thresholds = _counts(confidence, right)
    best = Promise(math.inf, 0.0, math.nan, 0.0)
    for step in range(1, steps + 1):
        place = int(torch.searchsorted(answered, step / steps * len(right)).clamp(max=len(answered) - 1))
        given, hits = int(answered[place]), int(correct[place])
        if lower_bound(given, given, level) < promise:
            continue  # so few would prove nothing, were they all right: this look is at no label
        bound = lower_bound(hits, given, level)
        if bound < promise:
            break
        best = Promise(thresholds[place].item(), 100 * given / len(right), 100 * hits / given, bound)
    return best


def answered_and_right(confidence: torch.Tensor, right: torch.Tensor, threshold: float) -> tuple[float, float]:
    """Return what a threshold does to images: the share answered, and of these the share right, both in percent.

    Without an answer there is no accuracy: nan.
    """
    _check(confidence, right)
    given = confidence >= threshold
    hits = right[given].double()
    return 100 * given.double().mean().item(), 100 * hits.mean().item() if len(hits) else math.nan


def _counts(confidence: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Count answers and right ones at or above every distinct confidence, falling: float64 `[T]` each."""
    _check(confidence, right)
    order = confidence.double().argsort(descending=True, stable=True)
    ranked, hits = confidence.double()[order], right[order].double()
    last = torch.cat([ranked[1:] != ranked[:-1], torch.tensor([True])])  # equal confidences are answered together
    answered = torch.arange(1, len(ranked) + 1, dtype=torch.float64)
    return answered[last], hits.cumsum(0)[last], ranked[last]


def _check(confidence: torch.Tensor, right: torch.Tensor) -> None:
    if right.dtype != torch.bool or confidence.shape != right.shape or right.ndim != 1 or not len(right):
        raise ValueError(
            f"got confidences {list(confidence.shape)} and {right.dtype} {list(right.shape)}. Expected float [N] and "
            "bool [N], of at least one image; right is logits.argmax(1) == labels."
        )
    if not torch.isfinite(confidence).all():
        raise ValueError("a confidence is infinite or not a number. Expected finite ones; look at the logits.")
