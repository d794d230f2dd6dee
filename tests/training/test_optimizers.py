"""The rules by hand against `torch.optim`, after many steps in float64, and on a valley whose bottom is known."""

import functools

import pytest
import torch

from tlcourse.repro import generator
from tlcourse.training.optimizers import adam, adamw, gradient_descent, momentum, walk

STEPS, RATE = 200, 0.05
START = torch.randn(4, 3, generator=generator("descent"), dtype=torch.float64)
STEEPNESS = torch.tensor([[1.0, 0.5, 4.0]] * 4, dtype=torch.float64)


def loss(theta):
    return (STEEPNESS * (theta - 2) ** 2).sum() / 2 + torch.sin(3 * theta).sum()


def slope(theta):
    return STEEPNESS * (theta - 2) + 3 * torch.cos(3 * theta)


def library(optimizer, **options):
    theta = START.clone().requires_grad_()
    rule, path = optimizer([theta], lr=RATE, **options), [START]
    for _ in range(STEPS):
        rule.zero_grad()
        loss(theta).backward()
        rule.step()
        path.append(theta.detach().clone())
    return torch.stack(path)


CASES = {
    "gradient descent": (gradient_descent, torch.optim.SGD, {}),
    "momentum": (momentum, torch.optim.SGD, {"momentum": 0.9}),
    "less momentum": (functools.partial(momentum, beta=0.5), torch.optim.SGD, {"momentum": 0.5}),
    "adam": (adam, torch.optim.Adam, {}),
    "adam, other betas": (functools.partial(adam, betas=(0.8, 0.95), eps=1e-3), torch.optim.Adam, {}),
    "adamw": (adamw, torch.optim.AdamW, {"weight_decay": 0.01}),
    "adamw, strong decay": (functools.partial(adamw, weight_decay=0.5), torch.optim.AdamW, {"weight_decay": 0.5}),
}
CASES["adam, other betas"][2].update(betas=(0.8, 0.95), eps=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_the_librarys(name):
    rule, optimizer, options = CASES[name]
    ours, theirs = walk(slope, START, rule, RATE, STEPS), library(optimizer, **options)
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    others = [walk(slope, START, other, RATE, 20)[-1] for key, (other, *_) in CASES.items() if key != name]
    assert not any(torch.allclose(ours[20], other, atol=1e-6) for other in others), "the rules should differ"


def test_impossible_walks():
    for rate, steps in ((0.0, 5), (-1.0, 5), (float("nan"), 5), (0.1, 0)):
        with pytest.raises(ValueError, match="Expected a rate above 0 and at least one step"):
            walk(slope, START, adam, rate, steps)
    with pytest.raises(ValueError, match=r"gradient has shape \[\], the weights \[4, 3\]"):
        walk(loss, START, adam, 0.1, 1)
