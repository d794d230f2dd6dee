"""Does a map show where a network looks? It must point at pixels that the network needs."""

from dataclasses import replace

import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.evaluation.saliency import gradient_saliency, hide, occlusion_map, patch_map
from tlcourse.repro import generator

SIDE = 32


def importance_maps(network: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Ask in two ways which pixels matter for a class, one an image: float `[N, H, W]` by way."""
    return {
        "gradient saliency": gradient_saliency(network, images, classes),
        "occlusion": occlusion_map(network, images, classes),
    }


def control_maps(count: int) -> dict[str, torch.Tensor]:
    """Draw maps that know nothing of any image, float `[count, 32, 32]` each."""
    places = SIDE * torch.rand(2, count, generator=generator("random patch"))
    return {
        "random pixels": torch.rand(count, SIDE, SIDE, generator=generator("random map")),
        "random patch": patch_map(*places),
        "patch in the middle": patch_map(*torch.full((2, count), SIDE / 2)),
    }


def still_read(network: nn.Module, data: ImageSet, importance: torch.Tensor, share: float = 0.1) -> int:
    """Count the images that a network still reads when the share of pixels that matters most is covered."""
    hidden = replace(data, images=hide(data.images, importance, share))
    return int((predict(network, hidden).argmax(1) == data.labels).sum())
