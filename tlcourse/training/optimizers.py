"""Gradient descent by hand, and three rules that remember: momentum, Adam and AdamW.

A rule takes the weights `theta` (any shape), the gradient of the loss with respect to them, its memory and the learning
rate; it returns new weights and a new memory, and changes nothing in place.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Memory:
    """What a rule remembers from step to step."""

    step: int = 0  # how many were taken
    first: torch.Tensor | None = None  # the velocity of momentum, or Adam's running mean of gradients
    second: torch.Tensor | None = None  # Adam's running mean of squared gradients


Rule = Callable[[torch.Tensor, torch.Tensor, Memory, float], tuple[torch.Tensor, Memory]]


def gradient_descent(
    theta: torch.Tensor, gradient: torch.Tensor, memory: Memory, lr: float
) -> tuple[torch.Tensor, Memory]:
    """Take one step downhill: `theta <- theta - lr * grad L`."""
    return theta - lr * gradient, Memory(memory.step + 1)


def momentum(
    theta: torch.Tensor, gradient: torch.Tensor, memory: Memory, lr: float, beta: float = 0.9
) -> tuple[torch.Tensor, Memory]:
    """Take one step of a heavy ball: the velocity keeps a share `beta` of itself and gains the gradient.

    What points the same way at every step adds up, to ten times the step; what swings to and fro cancels out. With
    `beta=0` it is plain gradient descent.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964, USSR Computational
    Mathematics and Mathematical Physics.
    """
    velocity = gradient if memory.first is None else beta * memory.first + gradient
    return theta - lr * velocity, Memory(memory.step + 1, velocity)


def adam(
    theta: torch.Tensor,
    gradient: torch.Tensor,
    memory: Memory,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[torch.Tensor, Memory]:
    """Take one step of Adam: the mean gradient, divided by its usual size, for every weight on its own.

    A weight whose gradients are a thousand times smaller moves as fast as the others: by about `lr`. The means, of
    which the shares `betas` stay at every step, begin at 0 and are therefore too small at first; dividing by
    `1 - beta^t` mends that.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, ICLR.
    """
    step = memory.step + 1
    first = torch.zeros_like(theta) if memory.first is None else memory.first
    second = torch.zeros_like(theta) if memory.second is None else memory.second
    first = betas[0] * first + (1 - betas[0]) * gradient
    second = betas[1] * second + (1 - betas[1]) * gradient**2
    mean, square = first / (1 - betas[0] ** step), second / (1 - betas[1] ** step)
    return theta - lr * mean / (square.sqrt() + eps), Memory(step, first, second)


def adamw(
    theta: torch.Tensor,
    gradient: torch.Tensor,
    memory: Memory,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[torch.Tensor, Memory]:
    """Take one step of AdamW: take the share `lr * weight_decay` off every weight, then take a step of Adam.

    Adding the decay to the gradient instead would send it through Adam's division, which all but takes it away from
    weights with large gradients.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, ICLR.
    """
    return adam(theta * (1 - lr * weight_decay), gradient, memory, lr, betas, eps)


def walk(
    slope: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, rule: Rule, lr: float, steps: int
) -> torch.Tensor:
    """Go downhill and return every place on the way, the start included: `[steps + 1, *start.shape]`.

    `slope` takes weights and returns the gradient there. Raises ValueError when the rate is not above 0, there are no
    steps, or the gradient has another shape than the weights.
    """
    if not lr > 0 or steps < 1:
        raise ValueError(f"got a rate of {lr} and {steps} steps. Expected a rate above 0 and at least one step.")
    theta, memory, path = start, Memory(), [start]
    for _ in range(steps):
        gradient = slope(theta)
        if gradient.shape != theta.shape:
            raise ValueError(
                f"the gradient has shape {list(gradient.shape)}, the weights {list(theta.shape)}. Expected the same: "
                "one number for every weight."
            )
        theta, memory = rule(theta, gradient, memory, lr)
        path.append(theta)
    return torch.stack(path)
