"""UPGrad: turn each gradient just as far as it takes to harm no task, and take the mean."""

import torch

from tlcourse.multitask.mgda import choices


def upgrad(products: torch.Tensor) -> torch.Tensor:
    """Return a number for each task, `[T]`, from the products of all pairs of gradients, `[T, T]`.

    A direction harms no task when it has no negative product with any gradient. The one that is nearest to gradient i
    is gradient i plus some of each gradient, the shortest such sum. Tasks are few, so that all choices of those that
    are added are tried.

    Source: Quinton and Rey, "Jacobian descent for multi-objective optimization", 2024, arXiv 2406.16232.
    """
    exact = products.double()
    rows = torch.eye(len(products), dtype=exact.dtype, device=exact.device)
    return torch.stack([_harmless(exact, row) for row in rows]).mean(0).to(products.dtype)


def _harmless(products: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """Return the `w`, nowhere below `least`, for which `w @ products @ w` is smallest, `[T]`."""
    found = [least]
    for added in choices(len(products)):
        added = added.to(products.device)
        more = torch.zeros_like(least)
        more[added] = -torch.linalg.pinv(products[added][:, added], hermitian=True) @ (products @ least)[added]
        if (more >= 0).all():
            found.append(least + more)
    return min(found, key=lambda w: (w @ products @ w).item())
