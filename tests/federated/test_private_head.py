"""A private head: its gradients by autograd, its rounds by hand, what noise does, and what must not be looked at."""

import math

import pytest
import torch
import torch.nn.functional as F

from tlcourse.federated.differential_privacy import clip, epsilon
from tlcourse.federated.private_head import Rounds, clipped_sum, private_head, unit_rows
from tlcourse.repro import generator

FEW = Rounds(rounds=5, lr=2.0, norm=0.5)


def clients(sizes=(4, 7, 1), size=6, seed=0):
    """Features whose first three numbers lean towards the class."""
    draws = generator("clients", seed)
    labels = [torch.arange(count) % 3 for count in sizes]
    return [(F.one_hot(own, size) + 0.3 * torch.randn(len(own), size, generator=draws), own) for own in labels]


def together(parts):
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def gradients(weight, x, labels):
    """A row an example, by autograd."""
    weight = weight.clone().requires_grad_()
    losses = [
        F.cross_entropy((weight @ features)[None], label[None]) for features, label in zip(x, labels, strict=True)
    ]
    return torch.stack([torch.autograd.grad(loss, weight)[0].flatten() for loss in losses])


@pytest.mark.parametrize("norm", [0.3, 1.0, 100.0])
def test_the_clipped_sum_is_that_of_gradients_one_by_one(norm):
    x, y = together(clients())
    x = 3 * unit_rows(x)
    weight = torch.randn(3, 7, generator=generator("weight"), dtype=torch.float64)
    expected = clip(gradients(weight, x, y), norm).sum(0).view(3, 7)
    torch.testing.assert_close(clipped_sum(weight, x, y, norm), expected)


def test_without_noise_and_clipping_it_is_gradient_descent():
    x, y = together(clients())
    weight = torch.zeros(3, 7, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=2.0)
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(unit_rows(x) @ weight.T, y).backward()
        optimizer.step()
    head = private_head(clients(), 3, math.inf, 1e-3, Rounds(5, 2.0, 100.0))
    torch.testing.assert_close(head.weight, weight.detach())
    assert head.noise_multiplier == 0
    assert (head(x).argmax(1) == y).double().mean() > 0.9


def test_clipping_bounds_the_first_step():
    x, y = together(clients())
    head = private_head(clients(), 3, math.inf, 1e-3, Rounds(1, 12.0, 0.1))
    expected = -clip(gradients(torch.zeros(3, 7).double(), unit_rows(x), y), 0.1).sum(0)
    torch.testing.assert_close(head.weight.flatten(), expected)
    assert head.weight.norm() <= 12 * 0.1


def test_who_holds_an_example_does_not_matter():
    x, y = together(clients())
    given = [private_head(parts, 3, 2.0, 1e-3, FEW, seed=3) for parts in (clients(), [(x, y)])]
    torch.testing.assert_close(given[0].weight, given[1].weight)


def test_noise_is_what_the_promise_asks_for():
    head = private_head(clients(), 3, 2.0, 1e-3, FEW)
    assert epsilon(head.noise_multiplier, FEW.rounds, 1e-3) == pytest.approx(2.0)
    still = [private_head(clients(), 3, 2.0, 1e-3, FEW, seed=seed).weight for seed in (0, 0, 1)]
    assert torch.equal(still[0], still[1])
    assert not torch.equal(still[0], still[2])


def test_of_one_round_the_noise_is_the_multiplier_times_the_norm():
    parts, recipe = clients(sizes=(4, 4), size=2000), Rounds(1, 8.0, 0.5)
    noisy, plain = (private_head(parts, 3, target, 1e-3, recipe) for target in (2.0, math.inf))
    deviation = (noisy.weight - plain.weight).std().item()
    assert deviation == pytest.approx(noisy.noise_multiplier * 0.5, rel=0.05)


def test_more_promised_is_less_learned():
    parts = clients(sizes=(60, 60), seed=1)
    x, y = together(clients(sizes=(300,), seed=2))

    def mean_loss(target):
        heads = [private_head(parts, 3, target, 1e-3, Rounds(10, 5.0, 1.0), seed=seed) for seed in range(5)]
        return sum(F.cross_entropy(head(x), y).item() for head in heads) / len(heads)

    assert mean_loss(math.inf) < mean_loss(1.0) < mean_loss(0.1)


def test_a_row_is_prepared_without_looking_at_others():
    x, _ = together(clients())
    middle = torch.full((6,), 0.2)
    rows = unit_rows(x, middle)
    torch.testing.assert_close(rows[2:3], unit_rows(x[2:3], middle))
    torch.testing.assert_close(rows[:, :-1].norm(dim=1), torch.ones(len(x)).double())
    assert (rows[:, -1] == 1).all()
    torch.testing.assert_close(rows, unit_rows(7 * x, 7 * middle))
    assert not torch.allclose(rows, unit_rows(x))
    assert unit_rows(torch.zeros(1, 2)).tolist() == [[0, 0, 1]]


def test_the_middle_belongs_to_the_head():
    x, _ = together(clients())
    middle = torch.full((6,), 0.2)
    head = private_head(clients(), 3, math.inf, 1e-3, FEW, middle=middle)
    torch.testing.assert_close(head(x), unit_rows(x, middle) @ head.weight.T)


def test_a_client_without_examples_sends_zeros():
    nobody = (torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64))
    assert torch.equal(
        private_head([*clients(), nobody], 3, 2.0, 1e-3, FEW).weight, private_head(clients(), 3, 2.0, 1e-3, FEW).weight
    )


@pytest.mark.parametrize(
    ("third", "message"),
    [
        ((torch.ones(2, 5), torch.zeros(2).long()), r"client 3 has features of shape \[2, 5\] .* Expected \[N, 6\]"),
        ((torch.ones(2, 6), torch.zeros(3).long()), r"client 3 has features of shape \[2, 6\] and labels \[3\]"),
        ((torch.full((2, 6), torch.nan), torch.zeros(2).long()), "client 3 has a feature that is infinite or not"),
        ((torch.ones(2, 6), torch.tensor([0, 3])), "labels of client 3 go from 0 to 3, but there are 3 classes"),
    ],
)
def test_a_client_that_does_not_fit_is_refused_by_number(third, message):
    with pytest.raises(ValueError, match=message):
        private_head([*clients(), third], 3, 1.0, 1e-3, FEW)


def test_nobody_is_refused():
    with pytest.raises(ValueError, match="no client came"):
        private_head([], 3, 1.0, 1e-3, FEW)
