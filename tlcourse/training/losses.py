"""Losses and their gradients by hand: how wrong a prediction is, and which way it should move."""

import torch
import torch.nn.functional as F


def mean_squared_error(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return `L = 1/N sum (y - y_hat)^2`, the mean over all numbers.

    It suits quantities, such as an angle: an error of 2 counts four times an error of 1. For classes it is a poor
    choice: behind a softmax, its gradient vanishes where the network is surest of a wrong answer.

    Args:
        predicted: `y_hat`, float, any shape.
        wanted: `y`, float, the same shape.

    Returns:
        The loss, a float scalar, in the square of the unit of `y`.

    Raises:
        ValueError: the shapes differ, or there are no numbers.
    """
    _check_same_shape(predicted, wanted)
    return ((wanted - predicted) ** 2).sum() / wanted.numel()


def mean_squared_error_gradient(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the mean squared error with respect to the predictions: `2/N (y_hat - y)`.

    Args:
        predicted: `y_hat`, float, any shape.
        wanted: `y`, float, the same shape.

    Returns:
        float, the same shape.

    Raises:
        ValueError: the shapes differ, or there are no numbers.
    """
    _check_same_shape(predicted, wanted)
    return 2 / wanted.numel() * (predicted - wanted)


def log_softmax(scores: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the probabilities that scores stand for: `s - log sum exp(s)`.

    The largest score is subtracted first. That changes nothing in exact arithmetic, and without it `exp(1000)` would
    be infinite.

    Args:
        scores: float `[N, classes]`.

    Returns:
        float `[N, classes]`, each at most 0; a row's exponentials sum to 1.
    """
    below_top = scores - scores.amax(1, keepdim=True)  # the largest becomes 0, so no exponential overflows
    return below_top - below_top.exp().sum(1, keepdim=True).log()


def target_probabilities(labels: torch.Tensor, classes: int, smoothing: float = 0.0) -> torch.Tensor:
    """Turn class numbers into the probabilities that a network is asked for.

    Without smoothing, the right class gets 1 and the others 0, which only infinite scores could reach. Label smoothing
    takes a share from the right class and spreads it over all of them, so that finite scores are enough.

    Args:
        labels: class numbers, int64 `[N]`.
        classes: how many classes there are.
        smoothing: the share that is spread evenly over all classes, from 0 to below 1.

    Returns:
        float32 `[N, classes]`; every row sums to 1.

    Raises:
        ValueError: a label is outside the classes, or the smoothing is out of range.

    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, CVPR.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing is {smoothing}, but a share from 0 to below 1 was expected, such as 0.1.")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}, but there are {classes} classes, 0 to "
            f"{classes - 1}. Check the number of scores, or whether counting began at 1."
        )
    return (1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / classes


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return `L = -1/N sum q log p`, where `p` is the softmax of the scores and `q` the target probabilities.

    It suits classes: it is the surprise at the right answer, and a network that says "impossible" to it pays without
    limit.

    Args:
        scores: float `[N, classes]`, before the softmax.
        labels: class numbers, int64 `[N]`.
        smoothing: label smoothing, from 0 to below 1.

    Returns:
        The loss in nats, a float scalar.

    Raises:
        ValueError: shapes do not agree, a label is outside the classes, or the smoothing is out of range.
    """
    _check_scores(scores, labels)
    wanted = target_probabilities(labels, scores.shape[1], smoothing).to(scores.dtype)
    return -(wanted * log_softmax(scores)).sum() / len(scores)


def cross_entropy_gradient(scores: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return the gradient of the cross-entropy with respect to the scores: `1/N (p - q)`.

    What is said minus what is wanted: nothing shorter could be hoped for, and it never vanishes while an answer is
    wrong.

    Args:
        scores: float `[N, classes]`, before the softmax.
        labels: class numbers, int64 `[N]`.
        smoothing: label smoothing, from 0 to below 1.

    Returns:
        float `[N, classes]`; every row sums to 0.

    Raises:
        ValueError: shapes do not agree, a label is outside the classes, or the smoothing is out of range.
    """
    _check_scores(scores, labels)
    wanted = target_probabilities(labels, scores.shape[1], smoothing).to(scores.dtype)
    return (log_softmax(scores).exp() - wanted) / len(scores)


def _check_same_shape(predicted: torch.Tensor, wanted: torch.Tensor) -> None:
    """Broadcasting `[N, 1]` against `[N]` would average over N x N differences without a word."""
    if predicted.shape != wanted.shape or not wanted.numel():
        raise ValueError(
            f"predictions have shape {list(predicted.shape)}, wanted values {list(wanted.shape)}. Expected the same "
            "shape and at least one number; a column against a row is mended with squeeze(1)."
        )


def _check_scores(scores: torch.Tensor, labels: torch.Tensor) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(scores):
        raise ValueError(
            f"scores have shape {list(scores.shape)} and labels {list(labels.shape)}. Expected [N, classes] and [N] "
            "with N at least 1."
        )
