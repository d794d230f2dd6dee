"""Consistency: the teacher is the average by hand, answers view 1, and only where it is sure enough."""

import copy

import numpy as np
import pytest
import torch

from tests.adaptation.domains import network
from tests.weights import changed, copies, equal
from tlcourse.adaptation.adapt import Answers
from tlcourse.adaptation.consistency import Consistency
from tlcourse.repro import generator


def answers(count=12):
    draws = generator("consistency")
    images = torch.randn(3, count, 3, 6, 6, generator=draws)
    return Answers(images, torch.empty(0), 2 * torch.randn(3, count, 3, generator=draws))


def shaken(model, seed):
    """Move every weight and statistic of a network, in place."""
    draws = generator("shaken", seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), model.norm.running_mean):
            tensor += torch.randn(tensor.shape, generator=draws)
    return model


def begun(model=None, **options):
    term = Consistency(**options)
    term.begin(model or network())
    return term


def test_the_teacher_is_the_average_of_the_student_by_hand():
    student = network()
    term, mean = begun(student, decay=0.9), None
    for step in range(4):
        shaken(student, step)
        term.after_update(student, step / 4)
        now = {name: p.detach().clone() for name, p in student.named_parameters()}
        mean = now if mean is None else {name: 0.9 * mean[name] + 0.1 * now[name] for name in now}
    last = copy.deepcopy(student)
    term.finish(student)
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(parameter.detach(), mean[name], rtol=1e-5, atol=1e-6)
        assert not torch.equal(parameter, last.get_parameter(name))
    assert torch.equal(student.norm.running_mean, last.norm.running_mean), "statistics are no weights: not averaged"


def test_the_teacher_starts_from_the_student_and_does_not_follow_it_by_itself():
    student = network()
    term, start = begun(student), copies(student)
    shaken(student, 0)
    term.finish(student)
    assert not changed(student, start)


def test_nobody_trains_the_teacher():
    term, given = begun(), answers()
    given = given._replace(images=given.images.requires_grad_(), logits=given.logits.requires_grad_())
    assert not list(term.parameters())
    assert not term.state_dict()
    term(given).backward()
    assert given.images.grad is None
    assert [bool(view.any()) for view in given.logits.grad] == [False, False, True], "the student learns from view 2"


@pytest.mark.parametrize("threshold", [0.0, 0.98, 1.0, 1.02, 9.0])
def test_the_loss_by_numpy(threshold):
    given, weight = answers(), 2.0
    term, teacher = begun(weight=weight, threshold=threshold), network().train()
    with torch.no_grad():
        chances = [teacher(view).double().softmax(1).numpy() for view in given.images[:2]]
    student = given.logits[2].double().log_softmax(1).numpy()
    enough = threshold * np.mean(chances[0].max(1))
    losses = [-row[said.argmax()] if said.max() >= enough else 0 for row, said in zip(student, chances[1], strict=True)]
    assert term(given).item() == pytest.approx(weight * np.mean(losses), abs=1e-6)
    assert np.count_nonzero(losses) in {0.0: [12], 9.0: [0]}.get(threshold, range(1, 12))


def test_a_student_that_agrees_with_its_teacher_has_little_to_learn():
    given, teacher = answers(), network().train()
    with torch.no_grad():
        said = teacher(given.images[1])
    agrees = given._replace(logits=torch.stack([said, said, 50 * said]))
    differs = given._replace(logits=torch.stack([said, said, -50 * said]))
    term = begun(threshold=0.0)
    assert term(agrees) < 0.1 < term(differs)


def test_two_trainings_share_no_teacher():
    term, one, other = Consistency(), network(), network(seed=1)
    term.begin(one)
    term.begin(other)
    student = network(seed=2)
    term.finish(student)
    assert equal(student, other)
