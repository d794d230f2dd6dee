"""Adapters: after every stage of a frozen network, a small network of two layers whose answer is added."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.evaluation.predict import evaluation_mode
from tlcourse.models.adapters.lora import freeze_but_head
from tlcourse.transfer.freezing import BatchNormPolicy


class Bottleneck(nn.Module):
    """Adds `up(gelu(down(x)))` to features `[B, channels]` or, at every place alike, to maps `[B, channels, H, W]`.

    `up` begins at 0, so that nothing changes at first. In a bottleneck of a few channels, a ReLU could die in all.
    """

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(channels, inside), nn.Linear(inside, channels)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what came in, and what the bottleneck adds to it."""
        last = x.movedim(1, -1)  # linear layers take the channels last
        return x + self.up(F.gelu(self.down(last))).movedim(-1, 1)


def add_adapters(model: nn.Module, inside: int = 4, *, batchnorm: BatchNormPolicy = "keep") -> nn.Module:
    """Freeze a network in place, but for its head, and add a bottleneck `inside` channels wide after every stage.

    Unlike LoRA's, this change cannot be merged: it is not linear, and every answer takes a little longer. The running
    statistics of normalisation stay with `batchnorm="keep"`, see `add_lora`. The new weights are drawn from PyTorch's
    global generator. ValueError for a width below 1, for a network that has adapters already, or whose stages are no
    modules that are called.

    Source: Houlsby et al., "Parameter-efficient transfer learning for NLP", 2019, ICML; for images, Rebuffi, Bilen and
    Vedaldi, "Learning multiple visual domains with residual adapters", 2017, NeurIPS.
    """
    stages = model.stages()
    if inside < 1 or any(hasattr(stage, "adapter") or isinstance(stage, nn.ModuleList) for stage in stages.values()):
        raise ValueError(
            f"got a width of {inside} for the {len(stages)} stages of a {type(model).__name__}. Expected at least 1, "
            "and a network such as TinyResNet, whose stages are layers, without adapters so far."
        )
    widths = _channels(model)
    freeze_but_head(model, batchnorm)
    for name, stage in stages.items():
        stage.adapter = Bottleneck(widths[name], inside).to(next(model.parameters()).device)
        stage.register_forward_hook(_adapted)
    return model


def _adapted(stage: nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    return stage.adapter(output)


@torch.no_grad()
def _channels(model: nn.Module) -> dict[str, int]:
    """How many channels come out of every stage."""
    seen: dict[str, int] = {}
    hooks = [
        stage.register_forward_hook(lambda _stage, _inputs, output, name=name: seen.update({name: output.shape[1]}))
        for name, stage in model.stages().items()
    ]
    try:
        with evaluation_mode(model):
            model(torch.zeros(1, 3, 32, 32, device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return seen
