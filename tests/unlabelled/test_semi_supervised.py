"""Semi-supervised learning: the loss by hand, who answers, what is taken, and what never changes."""

import copy
import math

import numpy as np
import pytest
import torch

from tests.adaptation.domains import FEW, network, source, target
from tests.weights import changed, copies, equal
from tlcourse.data.augmentations import Augment
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.fixmatch import FixMatch, sure_answers
from tlcourse.unlabelled.mean_teacher import MeanTeacher, warm_up
from tlcourse.unlabelled.pseudo_labels import PseudoLabels, own_answer
from tlcourse.unlabelled.semi_supervised import (
    Method,
    SemiSupervisedLoss,
    answered_batches,
    learn_with_unlabelled,
    semi_supervised_updates,
)

METHODS = {"labels alone": Method, "pseudo-labels": PseudoLabels, "mean teacher": MeanTeacher, "FixMatch": FixMatch}


def learned(method=None, *, model=None, few=None, images=None, seed=0, recipe=FEW):
    images = target().images if images is None else images
    return learn_with_unlabelled(model or network(), few or source(), images, method or Method(), recipe, seed=seed)


def chances(count=8, classes=3, seed=0):
    return (2 * torch.randn(count, classes, generator=generator("chances", seed))).softmax(1)


def test_sure_answers_by_numpy():
    some, threshold = chances(), 0.6
    expected = np.zeros((8, 3))
    for row, each in zip(expected, some.double().numpy(), strict=True):
        if each.max() >= threshold:
            row[each.argmax()] = 1
    assert 0 < expected.sum() < 8
    np.testing.assert_array_equal(sure_answers(some, threshold), expected)


@pytest.mark.parametrize(("threshold", "taken"), [(0.0, 8), (0.9999, 0)])
def test_a_threshold_takes_all_or_nothing(threshold, taken):
    assert sure_answers(chances(), threshold).sum() == taken


def test_an_answer_that_just_reaches_the_threshold_is_taken():
    assert sure_answers(torch.tensor([[0.5, 0.25, 0.25]]), 0.5).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("name", ["FixMatch", "pseudo-labels", "mean teacher"])
def test_the_loss_by_numpy(name):
    method, draws = METHODS[name](), generator("loss")
    method.weight = 0.7
    logits = torch.randn(8, 3, generator=draws)
    answers = torch.cat([torch.eye(3)[[0, 1, 2, 0]], sure_answers(chances(4), 0.6)])
    log_p, said = logits.double().log_softmax(1).numpy(), answers.double().numpy()
    known = -(said[:4] * log_p[:4]).sum() / 4
    if name == "mean teacher":
        others = ((np.exp(log_p[4:]) - said[4:]) ** 2).sum(1).mean()
    else:
        others = -(said[4:] * log_p[4:]).sum() / 4  # images that are not taken count in the mean, with 0
    loss = SemiSupervisedLoss(method, labelled=4)(logits, answers)
    assert loss.item() == pytest.approx(known + 0.7 * others, abs=1e-6)


def test_what_is_not_taken_pulls_at_nothing():
    logits = torch.randn(8, 3, generator=generator("pull")).requires_grad_()
    answers = torch.cat([torch.eye(3)[[0, 1, 2, 0]], torch.zeros(3, 3), torch.eye(3)[:1]])
    SemiSupervisedLoss(FixMatch(), labelled=4)(logits, answers).backward()
    assert [bool(row.any()) for row in logits.grad] == [True] * 4 + [False] * 3 + [True]


def test_labels_alone_is_the_plain_training():
    batches = list(answered_batches(source(), target().images, Method(), FEW, seed=3))
    plain = list(source().batches(FEW.batch, steps=FEW.updates, seed=3))
    for (x, known), (same, labels) in zip(batches, plain, strict=True):
        assert torch.equal(x, same)
        assert torch.equal(known.argmax(1), labels)


def test_the_method_answers_one_view_and_the_network_learns_another():
    recipe = Recipe(epochs=1, steps=2, batch=8, augment=Augment(light=0.5))
    asked = []

    class Asked(FixMatch):
        def answer(self, weak):
            asked.append(weak)
            return super().answer(weak)

    method = Asked(threshold=0.0)
    method.begin(network())
    for x, answers in answered_batches(source(), target().images, method, recipe):
        assert x.shape[0] == answers.shape[0] == 16
        assert not torch.equal(x[8:], asked[-1])
        assert torch.equal(answers[8:], sure_answers(own_answer(method.teacher, asked[-1]).softmax(1), 0.0))


def test_a_strong_view_is_for_methods_that_ask_for_one():
    def black(x, draws):
        return torch.zeros_like(x)

    for name, blackened in {"FixMatch": True, "mean teacher": False, "pseudo-labels": False}.items():
        method = METHODS[name]()
        method.begin(network())
        x, _ = next(answered_batches(source(), target().images, method, FEW, strong=black))
        assert bool((x[8:] == 0).all()) is blackened
        assert bool(x[:8].any())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_everything_and_repeats_itself(name):
    before = copies(network())
    one, again, other = (learned(METHODS[name](), seed=seed) for seed in (0, 0, 1))
    assert changed(one, before) >= {"conv.weight", "norm.weight", "head.weight", "head.bias"}
    assert equal(one, again)
    assert not equal(one, other)


@pytest.mark.parametrize("name", ["pseudo-labels", "mean teacher", "FixMatch"])
def test_images_without_labels_make_a_difference(name):
    plain = learned(Method(), recipe=Recipe(epochs=1, steps=12, batch=8, augment=None))
    method = METHODS[name](**({"threshold": 0.0} if name == "FixMatch" else {}))
    taught = learned(method, recipe=Recipe(epochs=1, steps=12, batch=8, augment=None))
    assert not torch.allclose(plain.head.weight, taught.head.weight, atol=1e-4)


def test_with_a_threshold_that_nobody_reaches_the_answers_do_not_count():
    taught = []
    for weight in (0.0, 1.0, 100.0):
        method = FixMatch(threshold=0.999, weight=weight)
        taught.append(learned(method))
    assert equal(taught[0], taught[1])
    assert equal(taught[0], taught[2])
    assert not equal(taught[0], learned(FixMatch(threshold=0.0)))


@pytest.mark.parametrize("name", ["mean teacher", "FixMatch"])
def test_the_teacher_is_what_is_kept(name):
    method, student = METHODS[name](decay=0.5), network()
    for _ in semi_supervised_updates(student, source(), target().images, method, FEW):
        last = copies(student)
        kept = copies(method.present(student))
    assert student.head.weight.equal(kept["head.weight"])
    assert not student.head.weight.equal(last["head.weight"])


def test_the_teacher_is_the_average_by_hand():
    student, method = network(), MeanTeacher(decay=0.9)
    method.begin(student)
    mean, draws = None, generator("average")
    for step in range(3):
        with torch.no_grad():
            student.head.weight += torch.randn(3, 6, generator=draws)
        method.after_update(student, step / 3)
        now = student.head.weight.detach().clone()
        mean = now if mean is None else 0.9 * mean + 0.1 * now
    torch.testing.assert_close(method.present(student).head.weight, mean)


def test_pseudo_labels_count_more_and_more():
    method, counted = PseudoLabels(weight=2.0, begins=0.1, full=0.6), []
    for share in (0.05, 0.1, 0.35, 0.6, 1.0):
        method.after_update(network(), share)
        counted.append(method.weight)
    assert counted == pytest.approx([0, 0, 1, 2, 2])


def test_a_mean_teacher_counts_more_and_more():
    assert [warm_up(share) for share in (0, 0.5, 1)] == pytest.approx([math.exp(-5), math.exp(-1.25), 1])
    method = MeanTeacher(weight=10)
    method.begin(network())
    assert method.weight == pytest.approx(10 * math.exp(-5))
    method.after_update(network(), 1.0)
    assert method.weight == 10


def test_a_network_that_knows_more_gives_other_pseudo_labels():
    model, method = network(), PseudoLabels()
    method.begin(model)
    some = torch.randn(8, 3, 6, 6, generator=generator("images"))
    before = method.answer(some)
    with torch.no_grad():
        model.head.bias += torch.tensor([0.0, 99.0, 0.0])
    assert not torch.equal(method.answer(some), before)
    assert method.answer(some).argmax(1).tolist() == [1] * 8


def test_statistics_are_those_of_the_images_without_labels_at_the_end():
    bright = target()
    dark = copy.deepcopy(bright.images) // 4
    means = [learned(images=images).norm.running_mean for images in (bright.images, dark)]
    assert not torch.allclose(*means, atol=0.02)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"images": target()}, TypeError, "carries labels"),
        ({"images": target().images.float()}, TypeError, "uint8"),
        ({"model": network(classes=4)}, ValueError, "4 classes"),
    ],
)
def test_what_it_cannot_use(change, error, said):
    with pytest.raises(error, match=said):
        learned(**change)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, 90])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValueError, match="probability from 0"):
        FixMatch(threshold=threshold)


def test_a_training_that_breaks_says_so():
    with pytest.raises(ArithmeticError, match="finite"):
        learned(model=_broken())


def _broken():
    model = network()
    with torch.no_grad():
        model.head.weight.fill_(float("inf"))
    return model
