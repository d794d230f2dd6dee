import pytest
import torch
from torch import nn

from tlcourse.data.augment import Augment
from tlcourse.data.domains import load
from tlcourse.finetuning import count_weights, freeze, trainable, training_mode
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.training import fit


def moved(model, steps=2, **options):
    """Train a little and return the names of all numbers that changed."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batches = load("handwritten-photo").batches(16, steps=steps, transform=Augment())
    optimizer = torch.optim.SGD(trainable(model), lr=0.05, momentum=0.9, weight_decay=0.01)
    fit(model, batches, epochs=1, optimizer=optimizer, progress=False, **options)
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def belonging_to(model, stages):
    return {name for name in model.state_dict() if name.split(".")[0] in stages}


@pytest.mark.parametrize("network", [SmallCNN, TinyResNet])
def test_what_is_frozen_stays_and_the_rest_moves(network):
    for depth in range(len(network().stages()) + 1):
        model = network()
        frozen = freeze(model, depth)
        assert frozen == list(model.stages())[:depth]
        assert moved(model) == set(model.state_dict()) - belonging_to(model, frozen)


def test_by_default_only_the_head_learns():
    model = TinyResNet()
    freeze(model)
    assert moved(model) == {"head.weight", "head.bias"}
    assert count_weights(trainable(model)) == 128 * 10 + 10


def test_adapting_statistics_move_though_no_frozen_weight_does():
    model = TinyResNet()
    freeze(model, batchnorm="adapt")
    statistics = {name for name in model.state_dict() if "running_" in name or "num_batches" in name}
    assert moved(model) == {"head.weight", "head.bias"} | statistics


def test_plain_train_mode_would_move_them_too():
    model = TinyResNet()
    freeze(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.train()
    assert all(norm.training for norm in norms)
    training_mode(model)
    assert not any(norm.training for norm in norms)
    assert model.training


def test_freezing_can_be_undone():
    model = TinyResNet()
    freeze(model)
    freeze(model, 0)
    assert moved(model) == set(model.state_dict())


def test_a_gradient_left_behind_is_dropped():
    model = SmallCNN()
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    freeze(model, 1)
    assert model.conv1.weight.grad is None
    assert model.conv2.weight.grad is None
    assert model.fc2.weight.grad is not None


@pytest.mark.parametrize("depth", [-1, 4])
def test_impossible_depth(depth):
    with pytest.raises(ValueError, match=f"depth is {depth}, but SmallCNN has 3 stages: conv1, conv2, fc1"):
        freeze(SmallCNN(), depth)


def test_unknown_policy():
    with pytest.raises(ValueError, match="batchnorm is 'ignore'"):
        freeze(SmallCNN(), batchnorm="ignore")
