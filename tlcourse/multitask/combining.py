"""Combining the gradients of tasks rather than their losses: each task goes backward on its own, and a rule decides.

Every rule here answers with a number for each task, and the step is the sum of the gradients times these numbers. They
depend on lengths and angles alone, so that the products of all pairs of gradients are all that a rule has to see.
"""

from collections.abc import Callable

import torch
from torch import nn

from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.weighing import Weighing

Rule = Callable[[torch.Tensor], torch.Tensor]  # from products of gradients, [T, T], to a number for each task, [T]


class Combined(Weighing):
    """Combine the gradients of the trunk by a rule such as `pcgrad`; each head gets the gradient of its own task.

    An update goes backward as many times as there are tasks. What it is to go down is known as a gradient only, so the
    loss that it returns has the value of the sum of the tasks' losses, and that gradient.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, outputs: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the loss of an update, from outputs `[B, sum of outputs]` and answers `[B, T]`."""
        network = self.network[0]
        losses = task_losses(outputs, answers, network.tasks)
        trunk, heads = network.shared(), network.own()
        rows = jacobian(losses, [*trunk, *heads])  # [T, P]
        size = sum(parameter.numel() for parameter in trunk)
        together, apart = rows[:, :size], rows[:, size:]
        gradient = torch.cat([self.rule(together @ together.T) @ together, apart.sum(0)])
        return with_gradient(losses.sum(), [*trunk, *heads], gradient)


def jacobian(losses: torch.Tensor, parameters: list[nn.Parameter]) -> torch.Tensor:
    """Return the gradient of every loss, a row each, `[T, P]`, with P numbers in all parameters together.

    The graph of the losses `[T]` is kept, as it is gone through backward once for each. ValueError for parameters that
    are frozen, since nothing would be known of them.
    """
    frozen = sum(not parameter.requires_grad for parameter in parameters)
    if frozen or not parameters:
        raise ValueError(
            f"gradients of {len(parameters)} tensors were asked for, and {frozen} of them are frozen. Expected at "
            "least one, and all of them trained: freeze(trunk, 0) frees all stages."
        )
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True) for loss in losses]
    return torch.stack([torch.cat([gradient.flatten() for gradient in row]) for row in rows])


def with_gradient(value: torch.Tensor, parameters: list[nn.Parameter], gradient: torch.Tensor) -> torch.Tensor:
    """Return a scalar of this value whose `backward()` gives the parameters this gradient, `[P]`."""
    pieces = gradient.split([parameter.numel() for parameter in parameters])
    pull = sum((p * g.view_as(p).detach()).sum() for p, g in zip(parameters, pieces, strict=True))
    return pull + (value - pull).detach()
