"""Averaging the weights of a training: the mean of many good places is often a better one."""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from tlcourse.evaluation.predict import Pairs


class WeightAverage:
    """The mean of a network's weights over the updates of a training, but for the first `start`; `add` after each.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018, UAI.
    """

    def __init__(self, start: int = 0) -> None:
        self.start, self.seen = start, 0
        self.average: AveragedModel | None = None

    def add(self, model: nn.Module) -> None:
        """Add the present weights to the average, if this update counts."""
        self.seen += 1
        if self.seen > self.start:
            self.average = self.average or AveragedModel(model)
            self.average.update_parameters(model)

    def write_into(self, model: nn.Module, batches: Pairs) -> nn.Module:
        """Give a network the averaged weights, and measure its batch normalisation statistics anew.

        The statistics belong to the weights they were measured with. Averaging the weights and leaving them behind is a
        mistake that raises no error and costs accuracy. They are measured on training batches of `(x, y)`. Raises
        ValueError when nothing was averaged yet.
        """
        if self.average is None:
            raise ValueError(
                f"nothing was averaged: {self.seen} updates were seen and averaging starts after {self.start}. "
                "Call add(model) after every update, or start earlier."
            )
        update_bn(batches, self.average, device=next(model.parameters()).device)
        model.load_state_dict(self.average.module.state_dict())
        return model


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy whose `update_parameters(model)` moves each weight to `decay * its own + (1 - decay) * model's`.

    It is frozen and in training mode: it answers by the statistics of the batch itself, and its running statistics
    become those of its own answers.
    """
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    return average.requires_grad_(False).train()
