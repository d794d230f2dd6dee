"""AdaBN: the statistics of batch normalisation belong to a domain, so measure them on the target."""

import torch
from torch import nn

from tlcourse.adaptation.target import unlabelled
from tlcourse.training.weight_space import measure_batchnorm


def adapt_batchnorm(model: nn.Module, target: torch.Tensor) -> nn.Module:
    """Replace the running statistics of every batch normalisation by the target's, in place; no weight changes.

    `target` is images alone, uint8 `[N, 3, H, W]`. A network without batch normalisation stays as it is.

    Source: Li et al., "Revisiting batch normalization for practical domain adaptation", 2016, arXiv 1603.04779.
    """
    return measure_batchnorm(model, unlabelled(target).images)
