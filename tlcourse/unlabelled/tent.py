"""Test-time adaptation: answer each batch by its own statistics, and learn from how sure the answers were (TENT)."""

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlcourse.adaptation.adapt import check_finite
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.entropy import entropy
from tlcourse.evaluation.predict import evaluation_mode
from tlcourse.repro import pick_device


def tent(model: nn.Module, batches: Iterable[torch.Tensor], lr: float = 1e-3) -> Iterator[torch.Tensor]:
    """Answer batches as they come, and after each take one step of Adam down the mean entropy of its answers, in place.

    A batch is images alone, uint8 `[B, 3, H, W]` with B at least 2, as in `images.split(64)`. What is yielded are the
    logits that were given at the time, float32 `[B, classes]` on the CPU: the accuracy of a stream is theirs, and not
    that of a network which is asked again when it has seen everything.

    Scale and shift of batch normalisation move, unless frozen, and nothing else does: the statistics are those of each
    batch, and the running ones stay as they were. Raises ValueError where there is nothing to move, or a batch is of
    one image; TypeError for a batch with labels; ArithmeticError when the loss breaks.

    Source: Wang et al., "Tent: Fully test-time adaptation by entropy minimization", 2021, ICLR.
    """
    model.to(device=pick_device(), memory_format=torch.channels_last)
    moving = scales_and_shifts(model)
    optimizer = torch.optim.Adam(moving, lr=lr)
    for images in batches:
        with torch.enable_grad():  # also for whoever asks under no_grad, as one does for answers
            logits = _answers(model, images)
            loss = entropy(logits).mean()
            check_finite(loss)
            loss.backward(inputs=moving)  # the other weights get no gradient, and so nothing is left behind in them
        optimizer.step()
        optimizer.zero_grad()
        yield logits.detach().float().cpu()


def by_batch_statistics(model: nn.Module, batches: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Answer batches as `tent` does but learn nothing: what TENT has to be compared with, as this alone helps a lot.

    Source: Nado et al., "Evaluating prediction-time batch normalization for robustness under covariate shift", 2020,
    arXiv 2006.10963.
    """
    for images in batches:
        with torch.no_grad():
            logits = _answers(model, images)
        yield logits.float().cpu()


def scales_and_shifts(model: nn.Module) -> list[nn.Parameter]:
    """Return weight and bias of every batch normalisation that is not frozen; ValueError where there is none."""
    found = [p for norm in _batchnorms(model) for p in norm.parameters() if p.requires_grad]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no batch normalisation that may learn, but TENT moves its scale and shift and "
            "nothing else. Free what is frozen, or choose a network with BatchNorm layers, such as tiny_resnet."
        )
    return found


@contextlib.contextmanager
def batch_statistics(model: nn.Module) -> Iterator[torch.device]:
    """Let batch normalisation take each batch's statistics, inside, and leave the running ones alone.

    All other layers are in evaluation mode; the modes are put back at the end. What it gives is the network's device.
    """
    norms = {norm: norm.track_running_stats for norm in _batchnorms(model)}
    with evaluation_mode(model) as device:
        try:
            for norm in norms:
                norm.training, norm.track_running_stats = True, False
            yield device
        finally:
            for norm, tracked in norms.items():
                norm.track_running_stats = tracked


def _answers(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return logits by the statistics of the batch."""
    if isinstance(images, torch.Tensor) and images.ndim == 4 and len(images) == 1:
        raise ValueError(
            "a batch has 1 image, but at least 2 were expected: the statistics of one image say how it differs from "
            "itself. Wait for more images, or answer it by the running statistics, as predict does."
        )
    x = scale(unlabelled(images).images)  # float32 [B, 3, H, W]
    with batch_statistics(model) as device:
        return model(x.to(device).contiguous(memory_format=torch.channels_last))


def _batchnorms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]
