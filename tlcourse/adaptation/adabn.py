"""AdaBN: the statistics of batch normalisation belong to a domain, so measure them on the target."""

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from tlcourse.adaptation.target import unlabelled
from tlcourse.data.normalisation import scale

BATCH = 300  # images at a time; larger batches have steadier statistics


def adapt_batchnorm(model: nn.Module, target: torch.Tensor) -> nn.Module:
    """Replace the running statistics of every batch normalisation by the target's, in place; no weight changes.

    `target` is images alone, uint8 `[N, 3, H, W]`. A network without batch normalisation stays as it is.

    Source: Li et al., "Revisiting batch normalization for practical domain adaptation", 2016, arXiv 1603.04779.
    """
    images = unlabelled(target).images
    batches = images.chunk(max(1, round(len(images) / BATCH)))  # of nearly the same size, as each counts the same
    update_bn((scale(batch) for batch in batches), model, device=next(model.parameters()).device)
    return model
