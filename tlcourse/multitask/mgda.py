"""MGDA: the shortest of all mixtures of the gradients, along which no task becomes worse."""

import itertools
from collections.abc import Iterator

import torch


def mgda(products: torch.Tensor) -> torch.Tensor:
    """Return the weights, `[T]`, at least 0 and with the sum 1, of the shortest mixture of gradients.

    `products` are those of all pairs of gradients, `[T, T]`. Some tasks have the weight 0; among the others, the
    shortest mixture is where it has the same product with each of their gradients, a linear equation. Tasks are few, so
    that all choices of these others are tried. Where the mixture is 0, there is no direction that is good for all: a
    Pareto-stationary point.

    Sources: Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization", 2012, Comptes
    Rendus Mathématique; Sener and Koltun, "Multi-task learning as multi-objective optimization", 2018, NeurIPS.
    """
    scaled = products.double() / products.diagonal().max().clamp(min=torch.finfo(products.dtype).tiny)
    candidates = [_even(scaled, chosen) for chosen in choices(len(products))]
    lengths = [
        (weights @ scaled @ weights).item() if (weights >= -1e-12).all() else float("inf") for weights in candidates
    ]
    return candidates[lengths.index(min(lengths))].clamp(min=0).to(products.dtype)


def choices(count: int) -> Iterator[torch.Tensor]:
    """Yield every choice of at least one of some things, bool `[count]`, the smallest first."""
    for chosen in sorted(itertools.product((False, True), repeat=count), key=sum):
        if any(chosen):
            yield torch.tensor(chosen)


def _even(products: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return weights with the sum 1, 0 where not chosen, by which a mixture has one product with all chosen ones."""
    chosen, size = chosen.to(products.device), int(chosen.sum())
    system = products.new_ones(size + 1, size + 1)  # the last row says that the sum is 1
    system[:size, :size], system[size, size] = products[chosen][:, chosen], 0
    right = products.new_zeros(size + 1)
    right[size] = 1
    weights = products.new_zeros(len(products))
    weights[chosen] = (torch.linalg.pinv(system, hermitian=True) @ right)[:size]
    return weights
