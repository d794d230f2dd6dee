"""PCGrad: where two gradients point against each other, take from each what goes against the other."""

import torch

from tlcourse.multitask.combining import Rule
from tlcourse.repro import generator


def pcgrad(products: torch.Tensor, order: torch.Tensor | None = None) -> torch.Tensor:
    """Return a number for each task, `[T]`, from the products of all pairs of gradients, `[T, T]`.

    Each gradient in turn is projected onto the plane across every other one that it has an angle of more than 90
    degrees with, and all are added. `order`, int64 `[T, T]`, has for each task the order in which it meets the others
    (and itself, which is passed over); the paper draws it, here it is that of the tasks unless given. With two tasks it
    makes no difference.

    Source: Yu et al., "Gradient surgery for multi-task learning", 2020, NeurIPS.
    """
    count = len(products)
    mixes = torch.eye(count, dtype=products.dtype, device=products.device)  # row i: gradient i as a sum of all of them
    for task in range(count):
        others = range(count) if order is None else order[task].tolist()
        for other in others:
            along = mixes[task] @ products[:, other]  # of what is left of gradient `task` with gradient `other`
            if other != task and along < 0:
                mixes[task, other] -= along / products[other, other]
    return mixes.sum(0)


def in_drawn_order(seed: int = 0) -> Rule:
    """Return `pcgrad` as the paper has it: at each call, every gradient meets the others in an order of its own."""
    draws = generator("pcgrad", seed)

    def rule(products: torch.Tensor) -> torch.Tensor:
        return pcgrad(products, torch.stack([torch.randperm(len(products), generator=draws) for _ in products]))

    return rule
