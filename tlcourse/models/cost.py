"""What a network costs, counted and not timed: multiply-adds, weights, and the bytes that its layers write."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.evaluation.predict import evaluation_mode

Shape = tuple[int, int, int]
SMALL = (3, 32, 32)  # channels, height and width of the course's images


@dataclass(frozen=True)
class Cost:
    """What one image costs in a layer, a stage or a whole network, in the forward pass."""

    multiply_adds: int  # of convolutions and linear layers; a flop counter says twice as many
    weights: int
    activation_bytes: int  # what its layers write, where training has to keep it for the backward pass

    def __add__(self, other: "Cost") -> "Cost":
        activations = self.activation_bytes + other.activation_bytes
        return Cost(self.multiply_adds + other.multiply_adds, self.weights + other.weights, activations)


NOTHING = Cost(0, 0, 0)


def multiply_adds(model: nn.Module, shape: Shape = SMALL) -> int:
    """Count the multiply-adds of convolutions and linear layers for one image of `[channels, height, width]`.

    What has no such layer is not counted: additions of biases, normalisation, activations, and the products of
    attention.
    """
    return sum(cost.multiply_adds for cost in layer_costs(model, shape).values())


def layer_costs(model: nn.Module, shape: Shape = SMALL) -> dict[str, Cost]:
    """Return what every layer with weights costs for one image, by name, in the order in which they are called."""
    costs: dict[str, Cost] = {}

    def watch(name: str) -> Callable[..., None]:
        def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
            costs[name] = costs.get(name, Cost(0, _size(layer), 0)) + Cost(
                output.numel() * _terms(layer), 0, output.numel() * output.element_size()
            )

        return count

    layers = {name: layer for name, layer in model.named_modules() if _size(layer)}
    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad(), evaluation_mode(model) as device:
            model(torch.zeros(1, *shape, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def stage_costs(model: nn.Module, shape: Shape = SMALL) -> dict[str, Cost]:
    """Return what every stage of the backbone and the head cost for one image, by name, from pixels to logits."""
    parts = model.stages() | {model.head_name: getattr(model, model.head_name)}
    stage_of = {id(layer): stage for stage, part in parts.items() for layer in part.modules()}
    totals = dict.fromkeys(parts, NOTHING)
    for name, cost in layer_costs(model, shape).items():
        stage = stage_of.get(id(model.get_submodule(name)))
        if stage is None:
            raise ValueError(f"{name} belongs to no stage of {type(model).__name__}. Expected all layers in stages().")
        totals[stage] += cost
    return totals


def _size(layer: nn.Module) -> int:
    """Count the weights that a layer has itself, and not its children."""
    return sum(parameter.numel() for parameter in layer.parameters(recurse=False))


def _terms(layer: nn.Module) -> int:
    """Count the products that are added up for one number of the output."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return layer.weight[0].numel()  # [in / groups, kernel, kernel] or [in]
    return 0
