"""Training for several tasks: the taught loop, and what moves what; and whether gradients agree."""

import copy

import pytest
import torch

from tests.multitask.test_network import NAMES, network
from tests.multitask.test_tasks import characters
from tlcourse.data.batches import Batches
from tlcourse.data.normalisation import scale
from tlcourse.multitask.combining import Combined
from tlcourse.multitask.disagreement import WHOLE, cosines, gradient_cosines
from tlcourse.multitask.gradnorm import GradNorm
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.pcgrad import in_drawn_order
from tlcourse.multitask.tasks import CLASS, answers_to, only
from tlcourse.multitask.training import learn_tasks, multitask_updates
from tlcourse.multitask.uncertainty import Uncertainty
from tlcourse.multitask.weighing import Weighing
from tlcourse.repro import pick_device
from tlcourse.training.recipe import Recipe, adamw
from tlcourse.transfer.freezing import freeze
from tlcourse.transfer.weights import weights_moved

SHORT = Recipe(epochs=1, steps=3, batch=8, augment=None)
WAYS = {
    "sum": Weighing,
    "uncertainty": Uncertainty,
    "GradNorm": GradNorm,
    "PCGrad": lambda: Combined(in_drawn_order()),
}


def states(model):
    return {name: tensor.cpu().clone() for name, tensor in model.state_dict().items()}


def test_it_is_the_ordinary_loop():
    data, ours, by_hand = characters(), network(), network()
    losses = list(multitask_updates(ours, data, Weighing((1, 2, 3)), SHORT, seed=4))
    device, answers = pick_device(), answers_to(data, NAMES)
    by_hand.to(device=device, memory_format=torch.channels_last).train()
    optimizer, schedule = adamw(by_hand, SHORT.lr, SHORT.updates, weight_decay=SHORT.weight_decay)
    for found, (x, y) in zip(losses, Batches(data.images, answers, 8, steps=3, seed=4), strict=True):
        x = x.to(device, memory_format=torch.channels_last)
        first, second, third = task_losses(by_hand(x), y.to(device), by_hand.tasks)
        loss = first + 2 * second + 3 * third
        assert found.item() == pytest.approx(loss.item(), abs=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for name, tensor in states(by_hand).items():
        torch.testing.assert_close(states(ours)[name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_moves_the_trunk_and_all_heads_and_comes_again_with_the_seed(way):
    data, model, again = characters(), network(), network()
    before = states(model)
    learn_tasks(model, data, WAYS[way](), SHORT, seed=1)
    learn_tasks(again, data, WAYS[way](), SHORT, seed=1)
    moved = weights_moved(before, states(model))
    assert set(moved.stayed) == {"trunk.head.weight", "trunk.head.bias"}, "the trunk's own head answers nothing"
    assert all(torch.equal(states(again)[name], tensor) for name, tensor in states(model).items())


@pytest.mark.parametrize("way", WAYS)
def test_what_is_frozen_stays(way):
    data, model = characters(), network()
    freeze(model.trunk, 1)
    before = states(model)
    learn_tasks(model, data, WAYS[way](), SHORT)
    moved = weights_moved(before, states(model)).moved
    assert not [name for name in moved if name.startswith("trunk.stem")]
    assert "trunk.block1.conv1.weight" in moved


def test_answers_can_replace_those_of_the_images():
    data, model, other = characters(), network(), network()
    nobody = only(answers_to(data, NAMES), 1, torch.zeros(8, dtype=torch.bool))
    learn_tasks(model, data, Weighing(), SHORT, answers=nobody)
    learn_tasks(other, data, Weighing((1, 0, 1)), SHORT)
    assert torch.equal(states(model)["trunk.stem.0.weight"], states(other)["trunk.stem.0.weight"])


def test_tasks_are_learned():
    """The class is in the colour, and the angle in the brightness: both are learned from 60 images in 30 updates."""
    draws = torch.Generator().manual_seed(0)
    data = characters(60, angle=torch.rand(60, generator=draws) * 40 - 20)
    images = torch.zeros_like(data.images)
    images[torch.arange(60), data.labels] = (120 + 5 * data.attributes["angle"])[:, None, None].byte()
    data = type(data)(images, data.labels, data.classes, data.attributes)
    model = network([CLASS, "angle"], data)
    before = model.errors(data)
    after = learn_tasks(model, data, recipe=Recipe(epochs=3, batch=20, augment=None)).errors(data)
    assert after[CLASS] < 10 < before[CLASS]
    assert after["angle"] < 0.5 * before["angle"]


def test_a_loss_that_breaks_is_said():
    with pytest.raises(ArithmeticError, match="the loss became"):
        learn_tasks(network(), characters(), recipe=Recipe(epochs=1, steps=4, batch=8, lr=1e30, augment=None))


def test_tasks_that_ask_the_same_agree_and_opposite_ones_do_not():
    data = characters(24)
    same, opposite = data.attributes["serif"], 1 - data.attributes["serif"]
    data = characters(24, same=same, opposite=opposite)
    model = network(["serif", "same", "opposite"], data).eval()
    with torch.no_grad():
        for head in model.heads:
            head.weight.copy_(model.heads[0].weight)
            head.bias.zero_()
    x, answers = scale(data.images), answers_to(data, model.tasks)
    found = gradient_cosines(model, x, answers)
    assert list(found) == [*model.trunk.stages(), WHOLE]
    for stage in found.values():
        assert stage[0, 1] == pytest.approx(1, abs=1e-4)
        assert stage[0, 2] < 0.2
        torch.testing.assert_close(stage.diagonal(), torch.ones(3))


def test_looking_at_gradients_changes_nothing():
    data, model = characters(), network().eval()
    before = copy.deepcopy(model.state_dict())
    gradient_cosines(model, scale(data.images), answers_to(data, NAMES))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_cosines_by_hand():
    found = cosines(torch.tensor([[3.0, 0.0], [2.0, 2.0], [-1.0, 0.0]]))
    torch.testing.assert_close(found[0], torch.tensor([1, 0.5**0.5, -1]))
