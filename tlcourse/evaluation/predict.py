"""Asking a trained network: predictions, features, accuracy; and cross-validation, plain and nested."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.data.splits import stratified_folds
from tlcourse.evaluation.metrics import check_logits
from tlcourse.repro import generator

Pairs = Iterable[tuple[torch.Tensor, torch.Tensor]]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def predict(model: nn.Module, data: ImageSet | Pairs, batch_size: int = 500) -> torch.Tensor:
    """Return the network's logits for every image, float32 `[N, classes]` on the CPU, in evaluation mode.

    Dropout is off, and batch normalisation uses its running statistics; the network's own mode is put back afterwards.
    """
    return _ask(model, model, data, batch_size)[0]


def extract_features(model: nn.Module, data: ImageSet | Pairs, batch_size: int = 500) -> torch.Tensor:
    """Return what the backbone makes of every image, before the head: float32 `[N, num_features]` on the CPU."""
    return _ask(model, model.forward_features, data, batch_size)[0]


def accuracy(model: nn.Module, data: ImageSet | Pairs, batch_size: int = 500) -> float:
    """Return the share of images whose highest logit is that of their own class, in percent."""
    return evaluate(model, data, batch_size=batch_size)[1]


def evaluate(
    model: nn.Module, data: ImageSet | Pairs, loss: Loss = F.cross_entropy, batch_size: int = 500
) -> tuple[float, float]:
    """Return mean loss and accuracy in percent; ValueError when a label is outside the network's classes."""
    logits, labels = _ask(model, model, data, batch_size)
    if int(labels.max()) >= logits.shape[1]:
        raise ValueError(
            f"a label is {int(labels.max())}, but the network tells {logits.shape[1]} classes apart, 0 to "
            f"{logits.shape[1] - 1}. Choose images of its own classes, or replace and train the head."
        )
    hits = (logits.argmax(1) == labels).sum().item()
    return loss(logits, labels).item(), 100 * hits / len(labels)


def cross_validate(
    score: Callable[[torch.Tensor, torch.Tensor], float], labels: torch.Tensor, folds: int = 5, seed: int = 0
) -> list[float]:
    """Train and measure as many times as there are folds; every image is held out once.

    `score` trains on the images of the first indices and returns the accuracy on those of the second, in percent. The
    results, one a fold, share training images, so they are not independent measurements.

    Source: Stone, "Cross-validatory choice and assessment of statistical predictions", 1974, Journal of the Royal
    Statistical Society B.
    """
    return [float(score(*indices)) for indices in stratified_folds(labels, folds, generator("folds", seed))]


@dataclass(frozen=True)
class Selection:
    """What came of choosing among candidates by cross-validation inside cross-validation, for every outer fold."""

    chosen: tuple[int, ...]  # number of the candidate that won
    inner_accuracy: tuple[float, ...]  # its mean accuracy in the inner folds, in percent, which made it win
    outer_accuracy: tuple[float, ...]  # its accuracy on the outer fold, which had no part in the choice


def nested_selection(
    score: Callable[[Any, torch.Tensor, torch.Tensor], float],
    candidates: Sequence[Any],
    labels: torch.Tensor,
    folds: tuple[int, int] = (5, 4),
    seed: int = 0,
) -> Selection:
    """Measure what a choice is worth: hold a fold out, choose without it, then measure the winner on it.

    What is measured is the whole way to the answer, the choice included. To have a network at the end, choose once more
    with all images; its expected accuracy is the mean of `outer_accuracy`. `folds` are outer and inner ones.

    Source: Varma and Simon, "Bias in error estimation when using cross-validation for model selection", 2006, BMC
    Bioinformatics.
    """
    if not len(candidates):
        raise ValueError("there is nothing to choose among: no candidate was given. Expected at least one.")
    outer, inner = folds
    chosen, inner_accuracy, outer_accuracy = [], [], []
    for fold, (rest, held_out) in enumerate(stratified_folds(labels, outer, generator("outer folds", seed))):
        deals = stratified_folds(labels[rest], inner, generator("inner folds", seed, fold))
        means = [sum(score(c, rest[a], rest[b]) for a, b in deals) / inner for c in candidates]
        best = max(range(len(candidates)), key=means.__getitem__)  # the first of equals
        chosen.append(best)
        inner_accuracy.append(float(means[best]))
        outer_accuracy.append(float(score(candidates[best], rest, held_out)))
    return Selection(tuple(chosen), tuple(inner_accuracy), tuple(outer_accuracy))


def confident_mistakes(logits: torch.Tensor, labels: torch.Tensor, count: int) -> torch.Tensor:
    """Return the wrong answers of which a network is surest, surest first: indices, at most `count`."""
    check_logits(logits, labels)
    confidence, answers = F.softmax(logits, 1).max(1)
    wrong = (answers != labels).nonzero()[:, 0]
    return wrong[confidence[wrong].argsort(descending=True, stable=True)][:count]


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[torch.device]:
    """Put a network into evaluation mode, give its device, and put the mode of every layer back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield next(model.parameters()).device
    finally:
        for module, training in modes.items():
            module.training = training


@torch.no_grad()  # not inference_mode: what it returns could not be learned from, such as features by a new head
def _ask(
    model: nn.Module, function: Callable[[torch.Tensor], torch.Tensor], data: ImageSet | Pairs, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run `function` over all batches in evaluation mode; return its answers and the labels."""
    answers, labels = [], []
    with evaluation_mode(model) as device:
        for x, y in _in_order(data.to(device) if isinstance(data, ImageSet) else data, batch_size):
            answers.append(function(x.to(device).contiguous(memory_format=torch.channels_last)).float())
            labels.append(y)
    if not answers:
        raise ValueError("there is nothing to evaluate: the data gave no batch. Expected at least one image.")
    return torch.cat(answers).cpu(), torch.cat(labels).cpu()  # at the end, so that a GPU is waited for once


def _in_order(data: ImageSet | Pairs, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of scaled images: those of an image set in its order, those of an iterable as they come."""
    if isinstance(data, torch.Tensor):
        raise TypeError(
            f"got a tensor of shape {list(data.shape)}, but an image set, or batches of (images, labels), was expected."
            " For scaled images alone, call the network itself: model(x)."
        )
    if not isinstance(data, ImageSet):
        yield from data
        return
    for images, labels in zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True):
        yield scale(images), labels
