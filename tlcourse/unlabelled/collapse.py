"""Collapse: have all images the same embedding? Two measures that need no label."""

import math

import torch
import torch.nn.functional as F


def embedding_spread(z: torch.Tensor) -> float:
    """Return how far embeddings, float `[N, D]`, spread over the sphere: about 1 all over it, 0 when all are the same.

    This is the standard deviation of every dimension of the embeddings, each brought to length 1, times sqrt(D), and
    the mean over dimensions. It does not notice embeddings that lie in few dimensions: see `effective_rank`.

    Source: Chen and He, "Exploring simple Siamese representation learning", 2021, CVPR.
    """
    _check(z)
    unit = F.normalize(z.double())
    return math.sqrt(z.shape[1]) * unit.std(0, correction=0).mean().item()


def effective_rank(z: torch.Tensor) -> float:
    """Return in how many dimensions embeddings, float `[N, D]`, lie: from 1 to min(N, D), and 0 when all are zeros.

    This is e to the entropy of the singular values, each as a share of their sum, so that k dimensions of equal weight
    count as k, and a faint one hardly counts.

    Sources: Roy and Vetterli, "The effective rank: A measure of effective dimensionality", 2007, EUSIPCO; to judge
    embeddings by it Garrido et al., "RankMe: Assessing the downstream performance of pretrained self-supervised
    representations by their rank", 2023, ICML.
    """
    _check(z)
    singular = torch.linalg.svdvals(z.double())
    if not singular.any():
        return 0.0
    return torch.special.entr(singular / singular.sum()).sum().exp().item()


def _check(z: torch.Tensor) -> None:
    if z.ndim != 2 or len(z) < 2 or not z.shape[1] or not z.is_floating_point():
        raise ValueError(
            f"embeddings are {z.dtype} of shape {list(z.shape)}. Expected floats [N, D] of at least 2 images, such as "
            "extract_features(model, data) returns."
        )
    if not torch.isfinite(z).all():
        raise ValueError("an embedding is infinite or not a number. Look for a training that broke.")
