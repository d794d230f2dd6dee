"""DANN: train a second network to tell the domains apart, and the features so that it cannot."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adapt import Answers, Term
from tlcourse.repro import seeded

HIDDEN = 128  # neurons of the discriminator


class _Reversed(torch.autograd.Function):
    """The identity on the way forward; on the way back, the gradient times `-strength`."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, strength: float) -> torch.Tensor:  # noqa: ANN001
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ANN001
        return -ctx.strength * gradient, None


def reverse_gradient(x: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Return `x` as it is; its gradient will come back multiplied by `-strength`."""
    return _Reversed.apply(x, strength)


def warm_up(share: float) -> float:
    """Return how strongly the gradient is reversed when a share of the training, 0 to 1, is done: from 0 to almost 1.

    Source: Ganin et al., "Domain-adversarial training of neural networks", 2016, Journal of Machine Learning Research.
    """
    return 2 / (1 + math.exp(-10 * share)) - 1


class DANN(Term):
    """Add the loss of a discriminator of the domains, behind a reversed gradient that is warmed up.

    The discriminator goes down its loss, the network below it up. Ganin et al., 2016, Journal of Machine Learning
    Research.
    """

    def __init__(self, weight: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.weight, self.seed, self.strength = weight, seed, 0.0
        self.discriminator = nn.Identity()  # made for the network, in `begin`

    def inputs(self, model: nn.Module) -> int:
        """Return how many numbers of an image the discriminator sees."""
        return model.num_features

    def seen(self, answers: Answers) -> torch.Tensor:
        """Return what the discriminator sees of source and target, `[2, B, inputs]`."""
        return answers.features[:2]

    def begin(self, model: nn.Module) -> None:
        """Make the discriminator, with weights drawn by the seed."""
        device = next(model.parameters()).device
        with seeded("discriminator", self.seed):
            layers = nn.Linear(self.inputs(model), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
        self.discriminator, self.strength = nn.Sequential(*layers).to(device), 0.0

    def after_update(self, model: nn.Module, share: float) -> None:
        """Reverse more strongly the more of the training is done."""
        self.strength = warm_up(share)

    def forward(self, answers: Answers) -> torch.Tensor:
        """Return what is added to the loss."""
        seen = reverse_gradient(self.seen(answers), self.strength)
        logits = self.discriminator(seen).squeeze(2)  # [2, B]
        is_target = torch.tensor([[0.0], [1.0]], device=logits.device).expand_as(logits)
        # the mean over all images of both domains; the paper adds the means of each, which is twice as much
        return self.weight * F.binary_cross_entropy_with_logits(logits, is_target)
