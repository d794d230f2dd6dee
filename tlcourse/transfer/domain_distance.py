"""How far apart are two domains? Distances between two clouds of features, `[N, D]` and `[M, D]`, of any labels."""

import torch

from tlcourse.repro import generator
from tlcourse.transfer.transferability import probe_accuracy


def frechet_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the squared Fréchet distance of two normal distributions with the means and covariances of the clouds.

    Source: Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017,
    NeurIPS (there with features of an Inception network, as FID).
    """
    a, b = _checked(a, b)
    first, second = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()  # trace of (first second)^(1/2)
    return ((a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * overlap).item()


def squared_mmd(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the squared maximum mean discrepancy with a Gaussian kernel, without bias: 0 on average for one domain.

    The kernel is `exp(-d^2 / median)` of *squared* distances and the median of those over both clouds.

    Source: Gretton et al., "A kernel two-sample test", 2012, Journal of Machine Learning Research.
    """
    a, b = _checked(a, b)
    both = torch.cat([a, b])
    squared = torch.cdist(both, both).square()
    pairs = squared[~torch.eye(len(both), dtype=torch.bool)]
    kernel = (-squared / pairs.median()).exp()
    n, m = len(a), len(b)
    within_a, within_b = kernel[:n, :n].sum() - n, kernel[n:, n:].sum() - m  # without each point and itself
    return (within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * kernel[:n, n:].mean()).item()


def proxy_a_distance(a: torch.Tensor, b: torch.Tensor, seed: int = 0) -> float:
    """Return 2 (1 - 2 error) of a linear classifier that tells the clouds apart on held-out points: 0 to 2.

    The larger cloud is thinned at random, so that guessing has an error of one half.

    Source: Ben-David et al., "Analysis of representations for domain adaptation", 2006, NeurIPS.
    """
    a, b = _checked(a, b)
    n, draws = min(len(a), len(b)), generator("proxy", seed)
    some = [cloud[torch.randperm(len(cloud), generator=draws)[:n]] for cloud in (a, b)]
    error = 1 - probe_accuracy(torch.cat(some), torch.arange(2).repeat_interleave(n), seed=seed) / 100
    return max(0.0, 2 * (1 - 2 * error))


def _checked(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both as float64, or say what is wrong with them."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(
            f"got features of shape {list(a.shape)} and {list(b.shape)}. Expected [N, D] and [M, D] by the same "
            "network, with at least two images each."
        )
    if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise ValueError("a feature is infinite or not a number. Look for images or weights that are not finite.")
    return a.cpu().double(), b.cpu().double()
