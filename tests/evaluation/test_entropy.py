"""Entropies against NumPy, in their limits, and what following their gradients does."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tlcourse.evaluation.entropy import answered_classes, entropy, information_loss
from tlcourse.repro import generator

CLASSES = 5
UNDECIDED = torch.zeros(20, CLASSES)
ONE_CLASS = torch.tensor([[50.0, 0, 0, 0, 0]]).repeat(20, 1)
BALANCED = 50 * torch.eye(CLASSES).repeat(4, 1)


def logits(count=9, surer=2.0):
    return surer * torch.randn(count, CLASSES, generator=generator("entropy"), dtype=torch.float64)


def probabilities(z):
    scores = np.exp(z.double().numpy())
    return scores / scores.sum(1, keepdims=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_by_numpy(dtype):
    z = logits().to(dtype)
    p = probabilities(z)
    each = [-sum(x * np.log(x) for x in row) for row in p]
    of_mean = -sum(x * np.log(x) for x in p.mean(0))
    np.testing.assert_allclose(entropy(z), each, atol=1e-6)
    assert information_loss(z).item() == pytest.approx(np.mean(each) - of_mean, abs=1e-6)
    assert answered_classes(z) == pytest.approx(np.exp(of_mean), abs=1e-5)


@pytest.mark.parametrize(
    ("z", "unsure", "loss", "classes"),
    [
        (UNDECIDED, np.log(CLASSES), 0, CLASSES),
        (ONE_CLASS, 0, 0, 1),
        (BALANCED, 0, -np.log(CLASSES), CLASSES),
        (BALANCED[:2], 0, -np.log(2), 2),
        (ONE_CLASS[:1], 0, 0, 1),
    ],
    ids=["undecided", "one class", "sure and balanced", "two classes", "one image"],
)
def test_limits(z, unsure, loss, classes):
    assert entropy(z).mean().item() == pytest.approx(unsure, abs=1e-6)
    assert information_loss(z).item() == pytest.approx(loss, abs=1e-6)
    assert answered_classes(z) == pytest.approx(classes, abs=1e-5)


@pytest.mark.parametrize("function", [entropy, information_loss])
def test_answers_so_sure_that_chances_round_to_0_give_a_finite_gradient(function):
    z = torch.tensor([[900.0, -900, 0, 0, 0], [900, 900, -900, 0, 0]], requires_grad=True)
    value = function(z).mean()
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(z.grad).all()


def test_a_class_that_is_ruled_out_counts_for_nothing():
    ruled_out = torch.cat([logits(), torch.full((9, 1), -torch.inf)], 1)
    torch.testing.assert_close(entropy(ruled_out), entropy(logits()))


@pytest.mark.parametrize("function", [entropy, information_loss])
def test_gradients_by_differences(function):
    assert torch.autograd.gradcheck(function, logits().requires_grad_())


def follow(function):
    """The answers that many steps down a function lead to, from answers that lean towards the first class."""
    z = logits(count=30, surer=0.5) + 2 * F.one_hot(torch.tensor(0), CLASSES)
    for _ in range(100):
        z.requires_grad_()
        (slope,) = torch.autograd.grad(function(z).mean(), z)
        z = (z - 30 * slope).detach()
    return z


def test_lower_entropy_alone_makes_all_one_class_and_lower_information_loss_does_not():
    unsure, informed = follow(entropy), follow(information_loss)
    assert max(entropy(z).mean().item() for z in (unsure, informed)) < 0.2, "both become sure"
    assert answered_classes(unsure) < 1.2
    assert answered_classes(informed) > 4


@pytest.mark.parametrize("function", [information_loss, answered_classes])
@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 3, 5)])
def test_what_is_no_table_of_logits_is_refused(function, shape):
    with pytest.raises(ValueError, match=r"Expected \[N, classes\] with N at least 1"):
        function(torch.zeros(shape))
