"""Ways to weigh: the sum, uncertainty weighting and GradNorm, each by an independent computation."""

import numpy as np
import pytest
import torch

from tests.multitask.test_network import NAMES, network
from tests.multitask.test_tasks import characters
from tlcourse.data.normalisation import scale
from tlcourse.multitask.combining import Combined, jacobian, with_gradient
from tlcourse.multitask.gradnorm import GradNorm, wanted_lengths
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.pcgrad import pcgrad
from tlcourse.multitask.tasks import answers_to
from tlcourse.multitask.uncertainty import Uncertainty
from tlcourse.multitask.weighing import Weighing


def begun(weighing, names=NAMES):
    """A way to weigh that knows a network, the network's outputs for eight images, and their answers."""
    data, model = characters(), network(names)
    weighing.begin(model)
    return weighing, model, model(scale(data.images)), answers_to(data, names)


def gradients_of(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 2.5)])
def test_the_sum(weights):
    weighing, model, outputs, answers = begun(Weighing(weights))
    losses = task_losses(outputs, answers, model.tasks).detach().numpy()
    assert weighing(outputs, answers).item() == pytest.approx(float(np.dot(weights or (1, 1, 1), losses)), abs=1e-6)


def test_a_weight_of_0_lets_a_task_pull_at_nothing_and_a_frozen_head_still_pulls():
    def pulled(weights, freeze_head):
        weighing, model, _, answers = begun(Weighing(weights))
        model.heads[2].requires_grad_(not freeze_head)
        weighing(model(scale(characters().images)), answers).backward()
        return gradients_of(model)

    left_out, frozen, full = pulled((1, 1, 0), False), pulled((1, 1, 1), True), pulled((1, 1, 1), False)
    assert not left_out["heads.2.weight"].any()
    assert "heads.2.weight" not in frozen
    shared = "trunk.block1.conv1.weight"
    torch.testing.assert_close(frozen[shared], full[shared])
    assert (frozen[shared] - left_out[shared]).abs().max() > 1e-4


def test_uncertainty_by_numpy():
    weighing, model, outputs, answers = begun(Uncertainty())
    losses = task_losses(outputs, answers, model.tasks).detach().numpy()
    log_variance = np.array([0.5, -1.0, 2.0])
    with torch.no_grad():
        weighing.log_variance.copy_(torch.tensor(log_variance))
    variance = np.exp(log_variance)
    expected = losses / variance * (1, 1, 0.5) + np.log(variance) / 2  # class, class, number
    assert weighing(outputs, answers).item() == pytest.approx(expected.sum(), abs=1e-5)


def test_the_best_variance_is_the_loss_of_a_number_and_twice_that_of_a_class():
    weighing, *_ = begun(Uncertainty())
    losses = torch.tensor([0.3, 1.2, 0.05])
    with torch.no_grad():
        weighing.log_variance.copy_((losses * torch.tensor([2, 2, 1])).log())
    weighing.weigh(losses).backward()
    torch.testing.assert_close(weighing.log_variance.grad, torch.zeros(3), atol=1e-6, rtol=0)


def test_at_first_uncertainty_is_the_sum_with_numbers_halved():
    weighing, model, outputs, answers = begun(Uncertainty())
    expected = task_losses(outputs, answers, model.tasks) @ torch.tensor([1, 1, 0.5])
    torch.testing.assert_close(weighing(outputs, answers), expected)
    assert [name for name, _ in weighing.named_parameters()] == ["log_variance"], "the network's are not its own"


def moved_by_numpy(weights, first, losses, lengths, alpha, rate):
    """The first step of Adam goes by the rate against the sign of the slope, whatever its size."""
    left = losses / first
    wanted = (weights * lengths).mean() * (left / left.mean()) ** alpha
    slope = np.sign(weights * lengths - wanted) * lengths
    moved = weights - rate * np.sign(slope)
    return moved * len(weights) / moved.sum()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
def test_gradnorm_by_numpy(alpha):
    weighing, *_ = begun(GradNorm(alpha, rate=0.1))
    weighing.first = torch.tensor([2.0, 1.0, 1.0])
    losses, lengths = np.array([1.0, 0.9, 0.2]), np.array([3.0, 0.5, 1.5])
    weighing.move(torch.tensor(losses).float(), torch.tensor(lengths).float())
    expected = moved_by_numpy(np.ones(3), weighing.first.numpy(), losses, lengths, alpha, 0.1)
    np.testing.assert_allclose(weighing.weights.detach().numpy(), expected, atol=1e-6)


def test_a_task_that_lags_should_pull_harder():
    lengths = torch.ones(3)
    torch.testing.assert_close(wanted_lengths(lengths, torch.tensor([0.9, 0.5, 0.1]), 0.0), lengths)
    wanted = wanted_lengths(lengths, torch.tensor([0.9, 0.5, 0.1]), 1.5)
    assert wanted[0] > wanted[1] > wanted[2]


def test_gradnorm_lets_tasks_pull_equally_hard():
    weighing, *_ = begun(GradNorm(alpha=0.0, rate=0.01))
    lengths, losses = torch.tensor([4.0, 1.0, 0.5]), torch.ones(3)
    for _ in range(300):
        weighing.move(losses, lengths)
    pulls = weighing.weights.detach() * lengths
    assert pulls.max() / pulls.min() < 1.1
    assert weighing.weights.sum().item() == pytest.approx(3, abs=1e-5)


def test_gradnorm_is_the_weighted_sum_and_moves_its_weights():
    weighing, model, outputs, answers = begun(GradNorm(alpha=1.5, rate=0.05))
    loss = weighing(outputs, answers)
    torch.testing.assert_close(loss, task_losses(outputs, answers, model.tasks).sum())
    before = weighing.weights.detach().clone()
    assert (before - 1).abs().max() > 0.01
    loss.backward()
    assert model.trunk.stem[0].weight.grad.abs().max() > 0
    assert torch.equal(weighing.weights, before), "the loss itself does not move them"


def test_a_task_without_an_answer_in_a_batch_has_no_say_in_gradnorm():
    weighing, *_ = begun(GradNorm())
    weighing.move(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([2.0, 0.0, 1.0]))
    assert torch.isfinite(weighing.weights).all()
    weighing.move(torch.tensor([1.0, 0.5, 1.0]), torch.tensor([2.0, 0.5, 1.0]))
    assert weighing.first.tolist() == [1, 0.5, 1]


def test_every_head_goes_by_its_own_task_and_the_trunk_by_the_rule():
    weighing, model, outputs, answers = begun(Combined(pcgrad))
    losses = task_losses(outputs, answers, model.tasks)
    rows = jacobian(losses, model.shared())
    heads = torch.autograd.grad(losses.sum(), model.own(), retain_graph=True)
    expected = pcgrad(rows @ rows.T) @ rows
    loss = weighing(outputs, answers)
    torch.testing.assert_close(loss, losses.sum())
    loss.backward()
    found = torch.cat([p.grad.flatten() for p in model.shared()])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    for parameter, gradient in zip(model.own(), heads, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-5)


def test_a_rule_that_leaves_all_as_it_is_gives_the_sum():
    def pulled(weighing):
        weighing, model, outputs, answers = begun(weighing)
        weighing(outputs, answers).backward()
        return gradients_of(model)

    summed, combined = pulled(Weighing()), pulled(Combined(lambda products: torch.ones(len(products))))
    assert summed.keys() == combined.keys()
    for name, gradient in summed.items():
        torch.testing.assert_close(combined[name], gradient, atol=1e-6, rtol=1e-4)


def test_after_one_summed_backward_there_is_nothing_left_to_project():
    rows = torch.tensor([[1.0, 0], [-1, 1]])
    summed = rows.sum(0, keepdim=True)
    assert torch.equal(pcgrad(summed @ summed.T) @ summed, summed[0])
    assert not torch.equal(pcgrad(rows @ rows.T) @ rows, summed[0])


def test_a_frozen_stage_takes_no_part():
    weighing, model, _, answers = begun(Combined(pcgrad))
    model.trunk.stem.requires_grad_(False)
    weighing(model(scale(characters().images)), answers).backward()
    assert model.trunk.stem[0].weight.grad is None
    assert model.trunk.block4.conv2.weight.grad.abs().max() > 0


def test_any_gradient_can_be_given():
    parameters = [torch.randn(3, 2, requires_grad=True), torch.randn(4, requires_grad=True)]
    wanted = torch.arange(10.0)
    loss = with_gradient(torch.tensor(7.0), parameters, wanted)
    assert loss.item() == pytest.approx(7)
    loss.backward()
    assert torch.equal(torch.cat([p.grad.flatten() for p in parameters]), wanted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Weighing((0.0, 0.0)), "one above 0"),
        (lambda: Weighing((1.0, -1.0)), r"weights are \[1.0, -1.0\]"),
        (lambda: Weighing((1.0, float("nan"))), "nan"),
        (lambda: begun(Weighing((1.0, 2.0))), "2 weights were given for 3 tasks"),
        (lambda: GradNorm(alpha=-1), "alpha=-1"),
        (lambda: GradNorm(rate=0), "rate=0"),
        (lambda: jacobian(torch.zeros(2), []), "gradients of 0 tensors"),
        (
            lambda: jacobian(torch.zeros(2), list(network().requires_grad_(False).heads.parameters())),
            "6 of them are frozen",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
