"""Losses and their gradients by hand: how wrong a prediction is, and which way it should move."""

import torch
import torch.nn.functional as F


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the probabilities that logits `[N, classes]` stand for: `z - log sum exp(z)`.

    The largest is subtracted first. That changes nothing in exact arithmetic, and without it `exp(1000)` would be
    infinite.
    """
    below_top = logits - logits.amax(1, keepdim=True)  # the largest becomes 0, so no exponential overflows
    return below_top - below_top.exp().sum(1, keepdim=True).log()


def target_probabilities(labels: torch.Tensor, classes: int, smoothing: float = 0.0) -> torch.Tensor:
    """Turn class numbers `[N]` into the probabilities `[N, classes]` that a network is asked for.

    Without smoothing, the right class gets 1 and the others 0, which only infinite logits could reach. Label smoothing
    takes a share, from 0 to below 1, from the right class and spreads it over all of them, so that finite logits are
    enough. Raises ValueError for a label outside the classes, or another share.

    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, CVPR.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing is {smoothing}, but a share from 0 to below 1 was expected, such as 0.1.")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels go from {int(labels.min())} to {int(labels.max())}, but there are {classes} classes, 0 to "
            f"{classes - 1}. Check the number of logits, or whether counting began at 1."
        )
    return (1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / classes


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return `L = -1/N sum q log p` in nats, where `p` is the softmax of the logits and `q` the target probabilities.

    It suits classes: it is the surprise at the right answer, and a network that says "impossible" to it pays without
    limit. Logits are `[N, classes]`, labels class numbers `[N]`; raises ValueError for others.
    """
    _check_logits(logits, labels)
    wanted = target_probabilities(labels, logits.shape[1], smoothing).to(logits.dtype)
    return -(wanted * log_softmax(logits)).sum() / len(logits)


def cross_entropy_gradient(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return the gradient of the cross-entropy with respect to the logits, `[N, classes]`: `1/N (p - q)`.

    What is said minus what is wanted: nothing shorter could be hoped for, and it never vanishes while an answer is
    wrong.
    """
    _check_logits(logits, labels)
    wanted = target_probabilities(labels, logits.shape[1], smoothing).to(logits.dtype)
    return (log_softmax(logits).exp() - wanted) / len(logits)


def _check_logits(logits: torch.Tensor, labels: torch.Tensor) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(logits):
        raise ValueError(
            f"logits have shape {list(logits.shape)} and labels {list(labels.shape)}. Expected [N, classes] and [N] "
            "with N at least 1."
        )
