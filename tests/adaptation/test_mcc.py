"""Class confusion by naive sums, in its limits, and what following its gradient does."""

import numpy as np
import pytest
import torch

from tlcourse.adaptation.adapt import Answers
from tlcourse.adaptation.mcc import MCC, class_confusion
from tlcourse.repro import generator

CLASSES = 4


def logits(count=9, surer=2.0):
    return surer * torch.randn(count, CLASSES, generator=generator("confusion"), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_confusion_as_the_paper_writes_it(temperature):
    z = logits().numpy() / temperature
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    entropy = np.array([-sum(row * np.log(row)) for row in p])
    weight = len(p) * (1 + np.exp(-entropy)) / sum(1 + np.exp(-entropy))
    confusion = 0
    for j in range(CLASSES):
        row = [sum(weight[i] * p[i, j] * p[i, k] for i in range(len(p))) for k in range(CLASSES)]
        confusion += (sum(row) - row[j]) / sum(row) / CLASSES
    assert class_confusion(logits(), temperature).item() == pytest.approx(confusion, abs=1e-9)


def test_weights_of_images_are_taken_as_given_when_the_gradient_is_computed():
    p = logits().softmax(1)
    weight = 1 + (p * p.log()).sum(1).exp()

    def given(z):
        correlation = (weight[:, None] * z.softmax(1)).T @ z.softmax(1)
        return 1 - (correlation / correlation.sum(1, keepdim=True)).trace() / CLASSES

    z = logits().requires_grad_()
    class_confusion(z, temperature=1.0).backward()
    torch.testing.assert_close(z.grad, torch.autograd.functional.jacobian(given, logits()), rtol=1e-9, atol=1e-12)


def test_limits():
    sure = 1000 * torch.eye(CLASSES).repeat(3, 1)
    assert class_confusion(sure).item() == pytest.approx(0, abs=1e-6)
    most = 1 - 1 / CLASSES
    assert class_confusion(torch.zeros(5, CLASSES)).item() == pytest.approx(most), "no image is of any class"
    assert class_confusion(torch.tensor([[30.0, 0, 0, 0]] * 5)).item() == pytest.approx(most, abs=1e-4), "one class"


def test_answers_so_sure_that_a_chance_rounds_to_0_give_a_number_and_a_gradient():
    """Dividing a row of the correlations by its sum gave 0 / 0 for a class whose every chance was 0."""
    z = torch.tensor([[1000.0, 0, 0, 0]] * 5, requires_grad=True)
    value = class_confusion(z)
    value.backward()
    assert value.item() == pytest.approx(1 - 1 / CLASSES)
    assert torch.isfinite(z.grad).all()


def test_neither_order_of_images_nor_names_of_classes_matter():
    value = class_confusion(logits()).item()
    assert class_confusion(logits().flip(0)).item() == pytest.approx(value)
    assert class_confusion(logits().flip(1)).item() == pytest.approx(value)
    assert class_confusion(logits() + 5).item() == pytest.approx(value)


def test_the_term_is_the_confusion_of_the_target_alone_and_falls_along_its_gradient():
    both = torch.stack([logits() * 9, logits(), logits() * 7]).requires_grad_()
    term = MCC(weight=3.0, temperature=1.5)
    value = term(Answers(torch.empty(0), torch.empty(0), both))
    assert value.item() == pytest.approx(3 * class_confusion(logits(), 1.5).item())
    value.backward()
    assert [bool(view.any()) for view in both.grad] == [False, True, False]
    assert term(Answers(torch.empty(0), torch.empty(0), both.detach() - both.grad)) < value
