"""TENT: whose answers it gives, what it moves and what it leaves, and how its collapse shows without a label."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.adaptation.domains import TinyNetwork, network, target
from tests.weights import changed, copies
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.entropy import answered_classes, entropy
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.transfer.freezing import trainable
from tlcourse.unlabelled.tent import batch_statistics, by_batch_statistics, scales_and_shifts, tent

MOVING = {"norm.weight", "norm.bias"}


def batches(size=10):
    return target().images.split(size)


def test_the_first_batch_is_answered_by_its_own_statistics_before_anything_is_learned():
    model, images = network(), batches()[0]
    maps = model.conv(scale(images)).detach().double()
    mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), correction=0, keepdim=True)
    features = F.relu((maps - mean) / (variance + model.norm.eps).sqrt()).mean((2, 3))
    expected = model.head(features.float()).detach()
    for answers in (tent(model, batches()), by_batch_statistics(network(), batches())):
        torch.testing.assert_close(next(answers), expected, rtol=1e-5, atol=1e-5)


def test_each_batch_is_answered_with_what_was_learned_before_it():
    """By hand: one step of Adam down the mean entropy after each answer, with gradients by central differences."""
    model, copy = network().double(), network().double()
    model.forward_features = lambda x: TinyNetwork.forward_features(model, x.double())
    given = list(tent(model, batches()[:2], lr=0.1))
    learned = [copy.norm.weight, copy.norm.bias]

    def answer(images):
        with batch_statistics(copy), torch.no_grad():
            return copy(scale(images).double())

    torch.testing.assert_close(given[0], answer(batches()[0]).float())
    step = []
    for parameter in learned:
        for place in range(len(parameter)):
            ends = []
            for move in (1e-6, -1e-6):
                before = parameter.data[place].clone()
                parameter.data[place] += move
                ends.append(entropy(answer(batches()[0])).mean().item())
                parameter.data[place] = before
            slope = (ends[0] - ends[1]) / 2e-6
            step.append(0.1 * slope / (abs(slope) + 1e-8))  # the first step of Adam is as long as its rate
    for parameter, moves in zip(learned, torch.tensor(step).double().split(6), strict=True):
        parameter.data -= moves
    torch.testing.assert_close(given[1], answer(batches()[1]).float(), rtol=1e-4, atol=1e-4)


def test_scale_and_shift_move_and_nothing_else():
    model = network()
    before = copies(model)
    assert len(list(tent(model, batches()))) == 3
    assert changed(model, before) == MOVING
    assert all(parameter.grad is None for parameter in model.parameters())


def test_without_a_rate_or_without_learning_nothing_moves():
    model = network()
    before = copies(model)
    still, alone = list(tent(model, batches(), lr=0.0)), list(by_batch_statistics(model, batches()))
    assert not changed(model, before)
    assert all(torch.equal(a, b) for a, b in zip(still, alone, strict=True))


def test_it_learns_batch_by_batch_as_long_as_somebody_asks():
    model, seen = network(), []
    answers = tent(model, (seen.append(images) or images for images in batches()))
    next(answers)
    assert len(seen) == 1, "the stream is not read ahead"
    after_one = copies(model)
    next(answers)
    assert changed(model, after_one) == MOVING
    after_two = copies(model)
    answers.close()
    assert not changed(model, after_two)


@pytest.mark.parametrize("method", [tent, by_batch_statistics])
def test_modes_and_settings_are_back_between_two_answers(method):
    for mode in (True, False):
        model = network().train(mode)
        for logits in method(model, batches()):
            assert not logits.requires_grad
            assert logits.shape == (10, 3)
            assert {module.training for module in model.modules()} == {mode}
            assert model.norm.track_running_stats


def test_answers_may_be_asked_for_without_gradients():
    model = network()
    before = copies(model)
    with torch.no_grad():
        list(tent(model, batches()))
    assert changed(model, before) == MOVING


def test_what_is_frozen_stays():
    model = network()
    model.norm.bias.requires_grad_(False)
    before = copies(model)
    list(tent(model, batches()))
    assert changed(model, before) == {"norm.weight"}
    assert len(scales_and_shifts(model)) == 1
    assert len(trainable(model)) == 4, "what may move is what it was"


def test_answers_collapse_over_many_passes_and_that_shows_without_a_label():
    """On the same images, fewer classes are answered than before, and ever more surely; after one short pass not."""
    stream = target().images.split(10)
    before, once, often = (
        torch.cat(list(tent(network(), passes * stream, lr))[-3:]) for passes, lr in ((1, 0.0), (1, 0.001), (60, 0.05))
    )
    assert answered_classes(once) == pytest.approx(answered_classes(before), abs=0.05)
    assert answered_classes(often) < answered_classes(before) - 0.5
    assert entropy(often).mean() < 0.5 * entropy(before).mean()


@pytest.mark.parametrize("method", [tent, by_batch_statistics])
def test_a_batch_that_cannot_be_answered_is_refused(method):
    with pytest.raises(ValueError, match="a batch has 1 image, but at least 2 were expected"):
        list(method(network(), batches(29)))
    with pytest.raises(TypeError, match="the target is a tuple, but images alone were expected"):
        list(method(network(), [(batches()[0], target().labels[:10])]))
    with pytest.raises(TypeError, match="carries labels"):
        list(method(network(), [target()]))
    with pytest.raises(ValueError, match=r"\[3, 6, 6\]"):
        list(method(network(), target().images))


def test_a_network_that_has_nothing_to_move_is_refused():
    with pytest.raises(ValueError, match="SmallCNN has no batch normalisation that may learn"):
        next(tent(SmallCNN(3), batches()))
    frozen = network()
    frozen.norm.requires_grad_(False)
    with pytest.raises(ValueError, match="Free what is frozen"):
        next(tent(frozen, batches()))


def test_a_broken_network_is_noticed():
    model = network()
    nn.init.constant_(model.head.bias, torch.nan)
    with pytest.raises(ArithmeticError, match="the loss became nan"):
        next(tent(model, batches()))
