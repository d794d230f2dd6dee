"""MMD: make the features of both domains alike in every moment that a few Gaussian kernels see."""

import torch

from tlcourse.adaptation.adapt import Answers, Term
from tlcourse.transfer.domain_distance import multi_kernel_mmd

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels, in median squared distances


class MMD(Term):
    """Add the squared maximum mean discrepancy of the features, by five kernels (`multi_kernel_mmd`), `weight` times.

    Source: Long et al., "Learning transferable features with deep adaptation networks", 2015, ICML.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, answers: Answers) -> torch.Tensor:
        """Return what is added to the loss."""
        source, target = answers.features[:2]
        return self.weight * multi_kernel_mmd(source, target, WIDTHS)
