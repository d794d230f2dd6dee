"""Distillation's loss against PyTorch's divergence and NumPy, and the ways in which it is often averaged wrongly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tlcourse.models.compression.distillation import distillation_loss, soft_loss, soften
from tlcourse.repro import generator


def logits(key, count=6, classes=5):
    return 3 * torch.randn(count, classes, dtype=torch.float64, generator=generator("logits", key))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_the_soft_loss_is_pytorchs_divergence_averaged_over_images(temperature):
    student, teacher = logits("student"), logits("teacher")
    kl = F.kl_div(F.log_softmax(student / temperature, 1), (teacher / temperature).softmax(1), reduction="batchmean")
    ours = soft_loss(student, soften(teacher, temperature), temperature)
    torch.testing.assert_close(ours, temperature**2 * kl)


@pytest.mark.filterwarnings("ignore:reduction.*mean.*divides")
def test_the_mean_over_classes_too_is_too_small_by_their_number():
    student, teacher = logits("student"), logits("teacher")
    wrong = F.kl_div(F.log_softmax(student, 1), teacher.softmax(1), reduction="mean")
    torch.testing.assert_close(soft_loss(student, soften(teacher, 1.0), 1.0), 5 * wrong)


def test_the_mixture_by_numpy():
    student, teacher, labels = logits("student").numpy(), logits("teacher").numpy(), np.array([0, 1, 2, 3, 4, 0])

    def softmax(z):
        return np.exp(z) / np.exp(z).sum(1, keepdims=True)

    p, q = softmax(teacher / 3), softmax(student / 3)
    soft = 9 * np.mean([sum(a * np.log(a / b) for a, b in zip(*rows, strict=True)) for rows in zip(p, q, strict=True)])
    hard = -np.log(softmax(student)[np.arange(6), labels]).mean()
    ours = distillation_loss(*map(torch.from_numpy, (student, teacher, labels)), temperature=3, weight=0.7)
    assert ours.item() == pytest.approx(0.7 * soft + 0.3 * hard, rel=1e-12)


def test_limiting_cases():
    student, labels = logits("student"), torch.arange(6) % 5
    assert soft_loss(student, soften(student)).item() == pytest.approx(0, abs=1e-12)
    alone = distillation_loss(student, logits("teacher"), labels, weight=0.0)
    torch.testing.assert_close(alone, F.cross_entropy(student, labels))
    certain = F.one_hot(labels, 5).double()  # 0 log 0 is 0
    torch.testing.assert_close(soft_loss(student, certain, 1.0), F.cross_entropy(student, labels))


def test_the_factor_keeps_gradients_of_one_size():
    """At high temperatures the gradient tends to that of half the squared distance of centred logits, over classes."""
    student, teacher = logits("student").requires_grad_(), logits("teacher")
    sizes = []
    for temperature in (100.0, 200.0):
        (gradient,) = torch.autograd.grad(soft_loss(student, soften(teacher, temperature), temperature), student)
        sizes.append(gradient)
    torch.testing.assert_close(*sizes, rtol=0.05, atol=1e-3)
    difference = student.detach() - teacher
    limit = (difference - difference.mean(1, keepdim=True)) / (5 * len(student))
    torch.testing.assert_close(sizes[1], limit, rtol=0.05, atol=2e-3)


def test_nothing_flows_into_the_teacher():
    student, teacher = logits("student").requires_grad_(), logits("teacher").requires_grad_()
    distillation_loss(student, teacher, torch.arange(6) % 5).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_bad_input_is_told():
    with pytest.raises(ValueError, match=r"temperature is 0, but a finite number above 0 was expected"):
        soften(logits(1), 0)
    with pytest.raises(ValueError, match=r"shape \[6, 5\] and the teacher's answers \[6, 4\]. Expected \[N, classes\]"):
        soft_loss(logits(1), soften(logits(1, classes=4)))
    with pytest.raises(ValueError, match=r"weight is 90, but a share from 0"):
        distillation_loss(logits(1), logits(2), torch.zeros(6, dtype=torch.int64), weight=90)
