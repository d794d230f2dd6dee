"""How far apart are two domains? Distances between two clouds of features, `[N, D]` and `[M, D]`, of any labels."""

from collections.abc import Sequence

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
    return multi_kernel_mmd(*_checked(a, b)).item()


def multi_kernel_mmd(a: torch.Tensor, b: torch.Tensor, widths: Sequence[float] = (1.0,)) -> torch.Tensor:
    """Return the squared maximum mean discrepancy, the mean over several kernels, as a scalar that can be trained on.

    A kernel is `exp(-d^2 / (width * median))`, and the median of the squared distances is taken as given when the
    gradient is computed. Each point's pair with itself is left out, so that the mean is 0 for one domain, and a single
    value may lie below.

    Source: Long et al., "Learning transferable features with deep adaptation networks", 2015, ICML.
    """
    n, m, both = len(a), len(b), torch.cat([a, b])
    lengths = both.square().sum(1)
    squared = (lengths[:, None] + lengths - 2 * both @ both.T).clamp(min=0)  # [N + M, N + M]
    others = ~torch.eye(n + m, dtype=torch.bool, device=both.device)  # False where a point meets itself
    median = squared.detach()[others].median()
    median = median.where(median > 0, 1)  # it is 0 where most points are the same
    kernel = others * sum((-squared / (width * median)).exp() for width in widths) / len(widths)
    within_a, within_b = kernel[:n, :n].sum() / (n * (n - 1)), kernel[n:, n:].sum() / (m * (m - 1))
    return within_a + within_b - 2 * kernel[:n, n:].mean()


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
