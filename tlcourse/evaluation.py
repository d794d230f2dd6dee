"""Asking a trained network: predictions, features, accuracy."""

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.augment import scale
from tlcourse.data.imageset import ImageSet

Pairs = Iterable[tuple[torch.Tensor, torch.Tensor]]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def predict(model: nn.Module, data: ImageSet | Pairs, batch_size: int = 500) -> torch.Tensor:
    """Return the network's scores for every image; dropout is off, batch normalisation uses its running statistics.

    Args:
        model: the network; its mode (training or evaluation) is as before afterwards.
        data: an image set, or batches of `(x, y)`.
        batch_size: images at a time, for image sets.

    Returns:
        Scores before the softmax, float32 `[N, classes]`, on the CPU.
    """
    return _ask(model, model, data, batch_size)[0]


def extract_features(model: nn.Module, data: ImageSet | Pairs, batch_size: int = 500) -> torch.Tensor:
    """Return what the backbone makes of every image, before the head.

    Args:
        model: a network with `features`; its mode is as before afterwards.
        data: an image set, or batches of `(x, y)`.
        batch_size: images at a time, for image sets.

    Returns:
        float32 `[N, feature_size]`, on the CPU.
    """
    return _ask(model, model.features, data, batch_size)[0]


def accuracy(model: nn.Module, data: ImageSet | Pairs, batch_size: int = 500) -> float:
    """Return the share of images whose highest score is that of their own class, in percent.

    Args:
        model: the network; its mode is as before afterwards.
        data: an image set, or batches of `(x, y)`.
        batch_size: images at a time, for image sets.

    Returns:
        From 0 to 100.
    """
    return evaluate(model, data, batch_size=batch_size)[1]


def evaluate(
    model: nn.Module, data: ImageSet | Pairs, loss: Loss = F.cross_entropy, batch_size: int = 500
) -> tuple[float, float]:
    """Return mean loss and accuracy in percent.

    Args:
        model: the network; its mode is as before afterwards.
        data: an image set, or batches of `(x, y)`.
        loss: takes scores `[N, classes]` and labels `[N]`, returns their mean loss.
        batch_size: images at a time, for image sets.

    Returns:
        Loss and accuracy.
    """
    scores, labels = _ask(model, model, data, batch_size)
    hits = (scores.argmax(1) == labels).sum().item()
    return loss(scores, labels).item(), 100 * hits / len(labels)


@torch.inference_mode()
def _ask(
    model: nn.Module, function: Callable[[torch.Tensor], torch.Tensor], data: ImageSet | Pairs, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run `function` over all batches in evaluation mode; return its answers and the labels."""
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    answers, labels = [], []
    model.eval()
    try:
        for x, y in _in_order(data, batch_size):
            answers.append(function(x.to(device).contiguous(memory_format=torch.channels_last)).float().cpu())
            labels.append(y.cpu())
    finally:
        for module, training in modes.items():
            module.training = training
    if not answers:
        raise ValueError("there is nothing to evaluate: the data gave no batch. Expected at least one image.")
    return torch.cat(answers), torch.cat(labels)


def _in_order(data: ImageSet | Pairs, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of scaled images: those of an image set in its order, those of an iterable as they come."""
    if not isinstance(data, ImageSet):
        yield from data
        return
    for images, labels in zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True):
        yield scale(images), labels
