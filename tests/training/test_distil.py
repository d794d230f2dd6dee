"""A student learns what its teacher answers, and nothing but the student moves."""

import copy

import pytest
import torch
import torch.nn.functional as F

from tests.adaptation.domains import FEW, network, source, target
from tests.weights import changed, copies, equal
from tlcourse.models.compression.distillation import distillation_loss
from tlcourse.repro import generator
from tlcourse.training.distil import StudentLoss, ask, distil, student_updates, taught_batches
from tlcourse.training.recipe import train
from tlcourse.transfer.heads import reset_classifier


def taught(student=None, teacher=None, images=None, seed=0, **options):
    images = target().images if images is None else images
    return distil(student or network(1), teacher or network(0), source(), images, FEW, seed=seed, **options)


def test_the_loss_is_the_mixture_where_all_images_have_labels():
    draws = generator("student loss")
    student, teacher = torch.randn(6, 3, generator=draws), torch.randn(6, 3, generator=draws)
    labels = torch.arange(6) % 3
    answers = torch.stack([F.one_hot(labels, 3).float(), (teacher / 2).softmax(1)], 1)
    ours = StudentLoss(2.0, 0.8)(student, answers)
    torch.testing.assert_close(ours, distillation_loss(student, teacher, labels, 2.0, 0.8))
    hidden = answers.clone()
    hidden[4:, 0] = 0  # images without labels
    some = StudentLoss(2.0, 0.0)(student, hidden)
    torch.testing.assert_close(some, F.cross_entropy(student[:4], labels[:4]))
    assert torch.equal(StudentLoss(2.0, 1.0)(student, hidden), StudentLoss(2.0, 1.0)(student, answers))


def test_batches_hold_both_answers_for_the_view_that_the_student_sees():
    teacher = network(0)
    for x, answers in taught_batches(teacher, source(), target().images, FEW, 4.0):
        assert x.shape[0] == answers.shape[0] == 2 * FEW.batch
        assert answers[: FEW.batch, 0].sum() == FEW.batch
        assert answers[FEW.batch :, 0].sum() == 0
        torch.testing.assert_close(answers[:, 1], ask(teacher, x, 4.0).cpu())
    for x, _ in taught_batches(teacher, source(), None, FEW):
        assert len(x) == FEW.batch


def test_the_student_comes_nearer_and_the_teacher_stays():
    teacher, student = network(0), network(1)
    before, start = copies(teacher), copy.deepcopy(student)
    mode = teacher.training
    x = target().images[:50].float() / 127.5 - 1

    def distance(model):
        return (ask(model, x, 1.0) - ask(teacher, x, 1.0)).abs().mean()

    taught(student, teacher, weight=1.0)
    assert distance(student) < distance(start)
    assert not changed(teacher, before)
    assert teacher.training is mode


def test_the_same_seed_gives_the_same_student_and_the_teacher_matters():
    one = taught()
    assert equal(one, taught())
    assert not equal(one, taught(seed=1))
    assert not equal(one, taught(teacher=network(2)))
    assert equal(taught(weight=0.0), taught(weight=0.0, teacher=network(2)))


def test_without_teacher_and_images_it_is_the_usual_training():
    alone, usual = network(1), network(1)
    distil(alone, network(0), source(), None, FEW, weight=0.0)
    train(usual, source(), FEW)
    for one, other in zip(alone.parameters(), usual.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_updates_can_be_watched():
    losses = list(student_updates(network(1), network(0), source(), None, FEW))
    assert len(losses) == FEW.updates


def test_bad_input_is_told():
    other = network(0)
    reset_classifier(other, 7)
    with pytest.raises(ValueError, match=r"the teacher 7, the labels .* Expected the same classes"):
        taught(teacher=other)
    with pytest.raises(TypeError, match="the images without labels are a ImageSet"):
        taught(images=target())
    with pytest.raises(ValueError, match=r"torch.float32 \[50, 3, 32, 32\]. Expected uint8"):
        taught(images=torch.zeros(50, 3, 32, 32))
    with pytest.raises(ValueError, match="weight is 2, but a share"):
        taught(weight=2)
