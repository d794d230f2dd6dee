"""PCGrad, MGDA and UPGrad: by hand, by a numerical optimiser, and at their limits."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls

from tlcourse.multitask.mgda import choices, mgda
from tlcourse.multitask.pcgrad import in_drawn_order, pcgrad
from tlcourse.multitask.upgrad import upgrad

RULES = {"PCGrad": pcgrad, "MGDA": mgda, "UPGrad": upgrad}


def gradients(tasks, numbers=6, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(tasks, numbers, generator=draws, dtype=torch.float64)


def step(rule, rows):
    return rule(rows @ rows.T) @ rows


def test_two_gradients_by_hand():
    rows = torch.tensor([[1.0, 0], [-1, 1]])
    expected = {"PCGrad": [0.5, 1.5], "MGDA": [0.2, 0.4], "UPGrad": [0.25, 0.75]}
    for name, rule in RULES.items():
        torch.testing.assert_close(step(rule, rows), torch.tensor(expected[name]), atol=1e-6, rtol=0)


def projected(rows, order):
    """PCGrad as the paper writes it, with the gradients themselves."""
    total = np.zeros(rows.shape[1])
    for i, gradient in enumerate(rows):
        left = gradient.copy()
        for j in order[i]:
            if j != i and left @ rows[j] < 0:
                left -= left @ rows[j] / (rows[j] @ rows[j]) * rows[j]
        total += left
    return total


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_pcgrad_by_numpy(tasks):
    for seed in range(20):
        rows, draws = gradients(tasks, seed=seed), torch.Generator().manual_seed(seed)
        order = torch.stack([torch.randperm(tasks, generator=draws) for _ in range(tasks)])
        expected = projected(rows.numpy(), order.tolist())
        np.testing.assert_allclose(pcgrad(rows @ rows.T, order) @ rows, expected, atol=1e-6)


def test_the_drawn_order_changes_from_call_to_call_and_comes_again_with_the_seed():
    rows = torch.tensor([[1.0, 0], [-1, 0.5], [-0.5, -1], [0.2, 2]])
    first, again = in_drawn_order(1), in_drawn_order(1)
    steps = [step(first, rows) for _ in range(10)]
    assert all(torch.equal(one, step(again, rows)) for one in steps)
    assert len({tuple(one.tolist()) for one in steps}) > 1


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_mgda_is_the_shortest_mixture(tasks):
    for seed in range(10):
        rows = gradients(tasks, seed=seed)
        products = (rows @ rows.T).numpy()
        sums_to_one = {"type": "eq", "fun": lambda w: w.sum() - 1}
        found = minimize(
            lambda w, products=products: w @ products @ w,
            np.full(tasks, 1 / tasks),
            bounds=[(0, 1)] * tasks,
            constraints=sums_to_one,
            tol=1e-14,
        )
        weights = mgda(rows @ rows.T)
        assert weights.min() >= 0
        assert weights.sum().item() == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(weights @ rows, found.x @ rows.numpy(), atol=1e-4)
        assert (weights @ rows).square().sum() <= found.fun + 1e-9


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_upgrad_by_non_negative_least_squares(tasks):
    for seed in range(10):
        rows = gradients(tasks, numbers=tasks + 1, seed=seed).numpy()
        expected = np.mean([row + nnls(rows.T, -row)[0] @ rows for row in rows], 0)
        np.testing.assert_allclose(step(upgrad, torch.from_numpy(rows)), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_mgda_and_upgrad_harm_no_task(seed):
    rows = gradients(4, numbers=3, seed=seed)
    for rule in (mgda, upgrad):
        assert (rows @ step(rule, rows)).min() >= -1e-9
    assert (rows @ rows.sum(0)).min() < 0 or seed not in (0, 1), "the plain sum does harm one"


def test_what_agrees_is_left_alone():
    rows = gradients(3).abs()
    torch.testing.assert_close(step(pcgrad, rows), rows.sum(0))
    torch.testing.assert_close(step(upgrad, rows), rows.mean(0))


def test_limits():
    rows = torch.tensor([[2.0, 1.0], [-2.0, -1.0]])
    for rule in RULES.values():
        torch.testing.assert_close(step(rule, rows), torch.zeros(2), atol=1e-6, rtol=0)
    for rule in RULES.values():
        torch.testing.assert_close(step(rule, rows[:1]), rows[0])
    still = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    assert step(pcgrad, still).tolist() == [1, 2]
    assert step(mgda, still).abs().max() < 1e-6, "a task that has nothing to gain lets nothing move"
    torch.testing.assert_close(step(upgrad, still), torch.tensor([0.5, 1.0]))


def test_the_same_gradient_twice():
    rows = torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, 0.0]])
    assert all(torch.isfinite(step(rule, rows)).all() for rule in RULES.values())
    torch.testing.assert_close(step(mgda, rows[:2]), rows[0])


def test_units_do_not_matter_to_the_direction():
    rows = gradients(4, seed=3)
    for rule in RULES.values():
        torch.testing.assert_close(step(rule, 1e-4 * rows), 1e-4 * step(rule, rows), atol=1e-9, rtol=1e-6)


def test_every_choice_is_made_once():
    assert [tuple(chosen.int().tolist()) for chosen in choices(2)] == [(0, 1), (1, 0), (1, 1)]
    assert len(list(choices(5))) == 31
