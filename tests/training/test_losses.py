"""Losses and their gradients against PyTorch, autograd and plain NumPy, and at their limits."""

import pytest
import torch
import torch.nn.functional as F

from tlcourse.repro import generator
from tlcourse.training.losses import (
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    target_probabilities,
)

DRAWS = generator("losses")
SCORES = torch.randn(7, 5, generator=DRAWS, dtype=torch.float64) * 3
LABELS = torch.randint(5, (7,), generator=DRAWS)
WANTED = torch.randn(7, 5, generator=DRAWS, dtype=torch.float64)
smoothings = pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])


def autograd(function, x):
    x = x.clone().requires_grad_()
    function(x).backward()
    return x.grad


@smoothings
def test_cross_entropy_is_pytorchs_and_its_gradient_autograds(smoothing):
    theirs = F.cross_entropy(SCORES, LABELS, label_smoothing=smoothing)
    assert torch.allclose(cross_entropy(SCORES, LABELS, smoothing), theirs)
    ours = cross_entropy_gradient(SCORES, LABELS, smoothing)
    for loss in (
        lambda x: F.cross_entropy(x, LABELS, label_smoothing=smoothing),
        lambda x: cross_entropy(x, LABELS, smoothing),
    ):
        assert torch.allclose(ours, autograd(loss, SCORES))
    assert torch.allclose(ours.sum(1), torch.zeros(7, dtype=torch.float64))


def test_smoothed_targets_make_certainty_expensive():
    rows = target_probabilities(torch.tensor([0, 2]), 4, 0.2)
    assert torch.allclose(rows, torch.tensor([[0.85, 0.05, 0.05, 0.05], [0.05, 0.05, 0.85, 0.05]]))
    sure, humble, label = torch.tensor([[30.0, 0.0, 0.0]]), torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([0])
    assert cross_entropy(sure, label) < cross_entropy(humble, label)
    assert cross_entropy(sure, label, 0.1) > cross_entropy(humble, label, 0.1)


def test_huge_scores_do_not_overflow():
    logits = torch.tensor([[1e4, 0.0], [-1e4, 0.0]])
    assert cross_entropy(logits, torch.tensor([0, 1])) == 0
    assert cross_entropy(logits, torch.tensor([1, 0])) == 1e4
    assert torch.isfinite(cross_entropy_gradient(logits, torch.tensor([1, 0]))).all()
    assert torch.equal(log_softmax(logits), F.log_softmax(logits, 1))


@pytest.mark.parametrize("function", [cross_entropy, cross_entropy_gradient])
def test_bad_scores_and_labels(function):
    with pytest.raises(ValueError, match=r"shape \[3\] and labels \[3\]"):
        function(torch.zeros(3), torch.zeros(3).long())
    with pytest.raises(ValueError, match=r"labels \[2\]"):
        function(torch.zeros(3, 4), torch.zeros(2).long())
    with pytest.raises(ValueError, match="labels go from 0 to 4, but there are 4 classes"):
        function(torch.zeros(2, 4), torch.tensor([0, 4]))
    with pytest.raises(ValueError, match="smoothing is 1"):
        function(torch.zeros(2, 4), torch.tensor([0, 1]), 1.0)
