"""Does a map show where a network looks? It must point at pixels that the network needs."""

from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.intervals import wilson_interval
from tlcourse.evaluation.predict import predict
from tlcourse.evaluation.saliency import grad_cam, gradient_saliency, hide, occlusion_map, patch_map
from tlcourse.repro import generator

SIDE, STAGE = 32, "block2"  # eight by eight places; later stages have four by four, or two by two


def importance_maps(network: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Ask in three ways which pixels matter for a class, one an image: float `[N, H, W]` by way."""
    return {
        "gradient saliency": gradient_saliency(network, images, classes),
        "Grad-CAM": grad_cam(network, images, classes, STAGE),
        "occlusion": occlusion_map(network, images, classes),
    }


def blind_maps(count: int) -> dict[str, torch.Tensor]:
    """Draw maps that know nothing of any image, float `[count, 32, 32]` each."""
    places = SIDE * torch.rand(2, count, generator=generator("random patch"))
    return {
        "blind: random pixels": torch.rand(count, SIDE, SIDE, generator=generator("random map")),
        "blind: random patch": patch_map(*places),
        "blind: patch in the middle": patch_map(*torch.full((2, count), SIDE / 2)),
    }


def cover_what_matters(network: nn.Module, data: ImageSet, count: int = 64, share: float = 0.1) -> pd.DataFrame:
    """Cover the share of the pixels that a map calls most important, on images that the network reads, and ask again.

    A row a map: `covered by`, and what share of them it still reads, with its Wilson interval.
    """
    good = data.subset((predict(network, data).argmax(1) == data.labels).nonzero()[:count, 0])
    rows = []
    for name, maps in (blind_maps(len(good)) | importance_maps(network, good.images, good.labels)).items():
        hidden = replace(good, images=hide(good.images, maps, share))
        still = int((predict(network, hidden).argmax(1) == good.labels).sum())
        found = wilson_interval(still, len(good))
        rows.append({"covered by": name, "mean": found.mean, "low": found.low, "high": found.high, "n": len(good)})
    return pd.DataFrame(rows)
