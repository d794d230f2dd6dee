"""Gradient descent by hand, and three rules that remember: momentum, Adam and AdamW."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Memory:
    """What a rule remembers from step to step.

    Attributes:
        step: how many steps were taken.
        first: the velocity of momentum, or Adam's running mean of gradients; None before the first step.
        second: Adam's running mean of squared gradients, or None.
    """

    step: int = 0
    first: torch.Tensor | None = None
    second: torch.Tensor | None = None


Rule = Callable[[torch.Tensor, torch.Tensor, Memory, float], tuple[torch.Tensor, Memory]]


def gradient_descent(
    theta: torch.Tensor, gradient: torch.Tensor, memory: Memory, rate: float
) -> tuple[torch.Tensor, Memory]:
    """Take one step downhill: `theta <- theta - eta * grad L`.

    Args:
        theta: the weights, any shape.
        gradient: of the loss with respect to them, the same shape.
        memory: not needed by this rule; only its steps are counted.
        rate: `eta`, the learning rate.

    Returns:
        The new weights and the new memory. Nothing is changed in place.
    """
    return theta - rate * gradient, Memory(memory.step + 1)


def momentum(
    theta: torch.Tensor, gradient: torch.Tensor, memory: Memory, rate: float, friction: float = 0.9
) -> tuple[torch.Tensor, Memory]:
    """Take one step of a heavy ball: the velocity keeps 90 % of itself and gains the gradient.

    What points the same way at every step adds up, to ten times the step; what swings to and fro cancels out.

    Args:
        theta: the weights, any shape.
        gradient: of the loss with respect to them, the same shape.
        memory: its `first` is the velocity.
        rate: the learning rate.
        friction: share of the velocity that stays, from 0 (plain gradient descent) to below 1.

    Returns:
        The new weights and the new memory.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964, USSR Computational
    Mathematics and Mathematical Physics.
    """
    velocity = gradient if memory.first is None else friction * memory.first + gradient
    return theta - rate * velocity, Memory(memory.step + 1, velocity)


def adam(
    theta: torch.Tensor,
    gradient: torch.Tensor,
    memory: Memory,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    tiny: float = 1e-8,
) -> tuple[torch.Tensor, Memory]:
    """Take one step of Adam: the mean gradient, divided by its usual size, for every weight on its own.

    A weight whose gradients are a thousand times smaller moves as fast as the others. The means begin at 0 and are
    therefore too small at first; dividing by `1 - beta^t` mends that.

    Args:
        theta: the weights, any shape.
        gradient: of the loss with respect to them, the same shape.
        memory: its `first` and `second` are running means of the gradient and of its square.
        rate: the learning rate, about the length of a step for every single weight.
        betas: how much of the two means stays at every step.
        tiny: keeps the division away from 0.

    Returns:
        The new weights and the new memory.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, ICLR.
    """
    step = memory.step + 1
    first = torch.zeros_like(theta) if memory.first is None else memory.first
    second = torch.zeros_like(theta) if memory.second is None else memory.second
    first = betas[0] * first + (1 - betas[0]) * gradient
    second = betas[1] * second + (1 - betas[1]) * gradient**2
    mean, square = first / (1 - betas[0] ** step), second / (1 - betas[1] ** step)
    return theta - rate * mean / (square.sqrt() + tiny), Memory(step, first, second)


def adamw(
    theta: torch.Tensor,
    gradient: torch.Tensor,
    memory: Memory,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    tiny: float = 1e-8,
    decay: float = 0.01,
) -> tuple[torch.Tensor, Memory]:
    """Take one step of AdamW: shrink every weight a little towards 0, then take a step of Adam.

    Adding the decay to the gradient instead would send it through Adam's division, which all but takes it away from
    weights with large gradients.

    Args:
        theta: the weights, any shape.
        gradient: of the loss with respect to them, without any decay, the same shape.
        memory: as for `adam`.
        rate: the learning rate.
        betas: how much of the two means stays at every step.
        tiny: keeps the division away from 0.
        decay: weight decay; a step takes the share `rate * decay` off every weight.

    Returns:
        The new weights and the new memory.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, ICLR.
    """
    return adam(theta * (1 - rate * decay), gradient, memory, rate, betas, tiny)


def walk(
    slope: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, rule: Rule, rate: float, steps: int
) -> torch.Tensor:
    """Go downhill and return every place on the way.

    Args:
        slope: takes weights, returns the gradient of the loss there, the same shape.
        start: where to begin, any shape.
        rule: `gradient_descent`, `momentum`, `adam` or `adamw`.
        rate: the learning rate.
        steps: how many steps, at least 1.

    Returns:
        The weights before the first step and after every one, `[steps + 1, *start.shape]`.

    Raises:
        ValueError: the rate is not above 0, there are no steps, or the gradient has another shape than the weights.
    """
    if not rate > 0 or steps < 1:
        raise ValueError(f"got a rate of {rate} and {steps} steps. Expected a rate above 0 and at least one step.")
    theta, memory, path = start, Memory(), [start]
    for _ in range(steps):
        gradient = slope(theta)
        if gradient.shape != theta.shape:
            raise ValueError(
                f"the gradient has shape {list(gradient.shape)}, the weights {list(theta.shape)}. Expected the same: "
                "one number for every weight."
            )
        theta, memory = rule(theta, gradient, memory, rate)
        path.append(theta)
    return torch.stack(path)


def walk_library(
    slope: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    make: Callable[[list[torch.Tensor]], torch.optim.Optimizer],
    steps: int,
) -> torch.Tensor:
    """Go downhill as `walk` does, with an optimiser of PyTorch.

    Args:
        slope: takes weights, returns the gradient of the loss there, the same shape.
        start: where to begin, any shape; not changed.
        make: takes a list with the weights, returns the optimiser.
        steps: how many steps.

    Returns:
        The weights before the first step and after every one, `[steps + 1, *start.shape]`.
    """
    theta = start.clone()
    optimizer, path = make([theta]), [start]
    for _ in range(steps):
        theta.grad = slope(theta)
        optimizer.step()
        path.append(theta.clone())
    return torch.stack(path)
