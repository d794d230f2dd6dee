"""What one task keeps for itself when many share a backbone: a small dictionary of tensors."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlcourse.storage import Tensors


def task_weights(model: nn.Module) -> Tensors:
    """Return copies of all that training moves, by name: weights that are not frozen, and statistics that adapt."""
    own = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name, layer in model.named_modules():
        if isinstance(layer, _BatchNorm) and not getattr(layer, "holds_still", False):
            own |= {f"{name}.{buffer}": value for buffer, value in layer.named_buffers()}
    return {name: tensor.detach().cpu().clone() for name, tensor in own.items()}


@torch.no_grad()
def load_task(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """Make a shared network do another task, in place: copy in what `task_weights` of a network like it returned.

    ValueError when names or shapes are not those that this network keeps for a task; nothing is copied then.
    """
    wanted = task_weights(model)
    wrong = [
        name
        for name in wanted.keys() | weights.keys()
        if name not in wanted or name not in weights or wanted[name].shape != weights[name].shape
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} of {len(wanted)} tensors do not fit, such as {sorted(wrong)[:3]}. Expected what "
            "task_weights returns for a network with the same adapters and as many classes."
        )
    state = model.state_dict()
    for name, tensor in weights.items():
        state[name].copy_(tensor)
    return model


def megabytes(weights: Mapping[str, torch.Tensor]) -> float:
    """Return how many million bytes tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in weights.values()) / 1e6
