"""FedProx: a spring holds each client near the weights that the round began with."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.evaluation.predict import Loss
from tlcourse.federated.fedavg import FedAvg


class FedProx(FedAvg):
    """FedAvg with `mu / 2 |w - w_round|^2` in every client's loss; 0 is FedAvg.

    The length is *squared*, so that the pull grows with the distance: its gradient is `mu (w - w_round)`. Without the
    square the pull would be as strong near the start as far away, and undefined at the start itself. Running statistics
    have no gradient and are not held. Raises ValueError for a negative `mu`.

    Source: Li et al., "Federated optimization in heterogeneous networks", 2020, MLSys.
    """

    def __init__(self, mu: float) -> None:
        if mu < 0:
            raise ValueError(f"mu is {mu}, but 0 or more was expected: below 0 the spring would push away.")
        self.mu = mu

    def loss(self, model: nn.Module) -> Loss:
        """Return cross entropy plus the pull towards the weights that the network has now."""
        begun = [parameter.detach().clone() for parameter in model.parameters()]

        def proximal(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            pairs = zip(model.parameters(), begun, strict=True)
            moved = sum((now - then).square().sum() for now, then in pairs)
            return F.cross_entropy(logits, labels) + self.mu / 2 * moved

        return proximal
