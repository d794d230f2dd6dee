"""Costs are counted, and PyTorch's own counter agrees."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import mobilenet_v2

from tests.weights import copies
from tlcourse.models.cost import Cost, layer_costs, multiply_adds, stage_costs
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import NarrowResNet, TinyResNet


@pytest.mark.parametrize("network", [SmallCNN, TinyResNet, NarrowResNet, mobilenet_v2])
def test_multiply_adds_are_half_of_the_operations_that_pytorch_counts(network):
    model = network()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, 32, 32))
    assert 2 * multiply_adds(model) == counter.get_total_flops()


def test_one_layer_by_hand():
    model = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(6))
    costs = layer_costs(model, (4, 8, 8))
    assert costs["0"] == Cost(6 * 4 * 4 * (2 * 9), 6 * 2 * 9 + 6, 4 * 6 * 4 * 4)
    assert costs["1"] == Cost(0, 12, 4 * 6 * 4 * 4)
    assert multiply_adds(model, (4, 16, 16)) == 4 * multiply_adds(model, (4, 8, 8))


def test_a_layer_that_is_called_twice_costs_twice_and_has_its_weights_once():
    layer = nn.Conv2d(3, 3, 1)
    assert layer_costs(nn.Sequential(layer, layer), (3, 2, 2)) == {"0": Cost(2 * 36, 12, 2 * 48)}


def test_stages_and_head_are_the_whole():
    model = TinyResNet(10)
    before, mode = copies(model), model.training
    stages = stage_costs(model)
    assert list(stages) == [*model.stages(), "head"]
    assert sum(cost.multiply_adds for cost in stages.values()) == multiply_adds(model)
    assert sum(cost.weights for cost in stages.values()) == sum(p.numel() for p in model.parameters())
    assert model.training is mode
    assert not any(layer._forward_hooks for layer in model.modules())
    for name, tensor in model.state_dict().items():  # statistics of batch normalisation too
        assert torch.equal(tensor, before[name])


def test_the_student_has_a_quarter_of_the_multiply_adds():
    assert 0.24 < multiply_adds(NarrowResNet(10)) / multiply_adds(TinyResNet(10)) <= 0.25


def test_a_layer_outside_all_stages_is_named():
    class Loose(TinyResNet):
        def forward(self, x):
            return self.head(self.extra(self.forward_features(x)))

    model = Loose()
    model.extra = nn.Linear(128, 128)
    with pytest.raises(ValueError, match="extra belongs to no stage of Loose"):
        stage_costs(model)
