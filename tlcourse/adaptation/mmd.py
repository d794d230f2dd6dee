"""MMD: make the features of both domains alike in every moment that a few Gaussian kernels see."""

from collections.abc import Sequence

import torch

from tlcourse.adaptation.adapt import Answers, Term

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, in median squared distances


def mmd(source: torch.Tensor, target: torch.Tensor, widths: Sequence[float] = WIDTHS) -> torch.Tensor:
    """Return the squared maximum mean discrepancy of features `[N, D]` and `[M, D]`, the mean over several kernels.

    A kernel is `exp(-d^2 / (width * median))`, with the median of the squared distances of all pairs, which is taken
    as given when the gradient is computed. Each point's pair with itself is left out, so that the mean is 0 for one
    domain, and a single value may lie below.

    Source: Long et al., "Learning transferable features with deep adaptation networks", 2015, ICML.
    """
    n, m = len(source), len(target)
    both = torch.cat([source, target])
    lengths = both.square().sum(1)
    squared = (lengths[:, None] + lengths - 2 * both @ both.T).clamp(
        min=0
    )  # [N + M, N + M]; cdist has no gradient at 0
    others = 1 - torch.eye(n + m, device=both.device, dtype=both.dtype)  # 0 where a point meets itself
    median = squared.detach()[others.bool()].median()
    kernel = others * sum((-squared / (width * median)).exp() for width in widths) / len(widths)
    within_source, within_target = kernel[:n, :n].sum() / (n * (n - 1)), kernel[n:, n:].sum() / (m * (m - 1))
    return within_source + within_target - 2 * kernel[:n, n:].mean()


class MMD(Term):
    """Add the squared maximum mean discrepancy of the features, `weight` times."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, answers: Answers) -> torch.Tensor:
        """Return what is added to the loss."""
        source, target = answers.features[:2]
        return self.weight * mmd(source, target)
