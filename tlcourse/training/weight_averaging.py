"""Averaging the weights of a training: the mean of many good places is often a better one."""

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from tlcourse.evaluation.predict import Pairs


class WeightAverage:
    """An average of a network's weights over the updates of a training; call `add` after each.

    With `decay=None`, all updates count the same (stochastic weight averaging). With a decay such as 0.99, the average
    keeps that share of itself at every update, so older weights fade (exponential moving average). `start` is how many
    updates pass before the first one counts, and after it only one in `every` does. Raises ValueError for a number out
    of range.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018, UAI.
    """

    def __init__(self, decay: float | None = None, start: int = 0, every: int = 1) -> None:
        if (decay is not None and not 0 <= decay < 1) or start < 0 or every < 1:
            raise ValueError(
                f"got decay={decay}, start={start}, every={every}. Expected None or a decay from 0 to below 1, a start "
                "of at least 0 and every of at least 1."
            )
        self.decay, self.start, self.every = decay, start, every
        self.seen, self.counted = 0, 0
        self.mean: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Add the present weights to the average, if this update counts."""
        self.seen += 1
        if self.seen <= self.start or (self.seen - self.start - 1) % self.every:
            return
        share = 1 / (self.counted + 1) if self.decay is None or not self.counted else 1 - self.decay
        for name, parameter in model.named_parameters():
            if not self.counted:
                self.mean[name] = parameter.detach().clone()
            else:
                self.mean[name] += share * (parameter - self.mean[name])
        self.counted += 1

    def write_into(self, model: nn.Module, batches: Pairs | None) -> nn.Module:
        """Give a network the averaged weights, and measure its batch normalisation statistics anew.

        The statistics belong to the weights they were measured with. Averaging the weights and leaving them behind is a
        mistake that raises no error and costs accuracy. They are measured on training batches of `(x, y)`; None leaves
        them, which is right only for networks without batch normalisation. Raises ValueError when nothing was averaged
        yet, or the network has other weights.
        """
        if not self.counted:
            raise ValueError(
                f"nothing was averaged: {self.seen} updates were seen and averaging starts after {self.start}. "
                "Call add(model) after every update, or start earlier."
            )
        own = dict(model.named_parameters())
        if {n: p.shape for n, p in own.items()} != {n: m.shape for n, m in self.mean.items()}:
            raise ValueError(f"the average was made for another network than this {type(model).__name__}.")
        with torch.no_grad():
            for name, mean in self.mean.items():
                own[name].copy_(mean)
        if batches is not None:
            update_bn(batches, model)
        return model
