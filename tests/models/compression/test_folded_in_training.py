"""Batch normalisation within the convolutions while a network learns: the same learning, and nothing left behind."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.models.compression.folding import folded_in_training
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.photos.finetuning import set_statistics
from tlcourse.training.loop import updates


def images(count=8):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def network():
    """One of 64 bits, whose batch normalisation has seen something."""
    torch.manual_seed(0)
    model = TinyResNet(4).double().train()
    with torch.no_grad():
        model(images(16))
    set_statistics(model, "keep")
    return model


def learned(model):
    """The weights after five updates."""
    batches = [(images(), torch.arange(8) % 4)] * 5
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in updates(model, batches, optimizer):
        pass
    return model.state_dict()


def test_what_is_learned_is_the_same_but_for_rounding(network):
    expected, before = learned(copy.deepcopy(network)), copy.deepcopy(network.state_dict())
    with folded_in_training(network, images(1)) as pairs:
        found = learned(network)
    assert len(pairs) == sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert list(found) == list(expected)
    assert not torch.allclose(found["stem.0.weight"], before["stem.0.weight"])
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=1e-9), name


def test_answers_on_the_way_are_those_of_the_network_as_it_is_then(network):
    x = images()
    with folded_in_training(network, images(1)):
        learned(network)
        within = network.eval()(x)
    assert torch.allclose(network(x), within, atol=1e-9)


def test_the_normalisation_has_nothing_to_do_meanwhile(network, monkeypatch):
    asked = []
    normalise = F.batch_norm
    monkeypatch.setattr(F, "batch_norm", lambda x, *rest: asked.append(x) or normalise(x, *rest))
    network(images())
    assert asked
    with folded_in_training(network, images(1)):
        asked.clear()
        network(images())
    assert not asked


def test_statistics_that_move_are_measured_as_ever(network):
    set_statistics(network, "adapt")
    expected = learned(copy.deepcopy(network))
    with folded_in_training(network, images(1)) as pairs:
        found = learned(network)
    assert pairs == []
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_network_is_plain_again_also_after_an_error(network):
    modes = [layer.training for layer in network.modules()]
    with pytest.raises(RuntimeError, match="broke"), folded_in_training(network, images(1)):
        raise RuntimeError("broke")
    assert [layer.training for layer in network.modules()] == modes
    assert not any("forward" in vars(layer) for layer in network.modules())


class Forks(nn.Module):
    """What its convolution writes goes two ways, so answers would change."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)
        self.norm.running_mean += 5
        self.norm.holds_still = True

    def forward(self, x):
        x = self.conv(x)
        return (x + self.norm(x)).mean((2, 3))


def test_where_answers_would_change_nothing_is_folded():
    model = Forks().double()
    expected = model.eval()(images())
    with folded_in_training(model, images(1)) as pairs:
        assert pairs == []
        assert torch.equal(model.eval()(images()), expected)
