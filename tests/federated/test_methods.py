"""What FedProx adds to a client's loss, what FedBN keeps at home, and what personalising moves."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.federated.clients import Client
from tlcourse.federated.fedbn import FedBN, batchnorm_names
from tlcourse.federated.fedprox import FedProx
from tlcourse.federated.home import HomeWork
from tlcourse.federated.personal import personalise
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import generator

LABELS = torch.tensor([0, 1, 0, 1])


def moved_line(mu, far):
    """A line that begins at 1, 2 and is moved by `far`; its proximal loss and its gradient."""
    line = nn.Linear(2, 2, bias=False)
    nn.init.constant_(line.weight, 1.0)
    loss = FedProx(mu).loss(line)
    with torch.no_grad():
        line.weight += far
    logits = line(torch.eye(4, 2))
    value = loss(logits, LABELS)
    value.backward()
    plain = F.cross_entropy(line(torch.eye(4, 2)), LABELS)
    return value - plain, line.weight.grad - torch.autograd.grad(plain, line.weight)[0]


def test_the_spring_is_half_mu_times_the_squared_length():
    added, pull = moved_line(mu=3.0, far=0.5)  # four weights, each 0.5 away
    assert added.item() == pytest.approx(3 / 2 * 4 * 0.25, abs=1e-6)
    torch.testing.assert_close(pull, torch.full((2, 2), 3 * 0.5), atol=1e-6, rtol=0)


def test_the_pull_grows_with_the_distance():
    """Which that of a length that is not squared does not: it is the same near and far."""
    near, far = (moved_line(1.0, distance)[1] for distance in (0.1, 0.2))
    torch.testing.assert_close(far, 2 * near)


def test_the_spring_begins_without_a_pull_and_is_finite():
    added, pull = moved_line(mu=3.0, far=0.0)
    assert added == 0
    assert torch.isfinite(pull).all()
    torch.testing.assert_close(pull, torch.zeros(2, 2), atol=1e-7, rtol=0)


def test_a_negative_mu_is_refused():
    with pytest.raises(ValueError, match="mu is -1"):
        FedProx(-1)


def test_fedbn_keeps_all_of_batch_normalisation_and_nothing_else():
    network = TinyResNet()
    names = FedBN().stays_at_home(network)
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(names) == 5 * len(layers)  # weight, bias, mean, variance, counter
    assert {"stem.1.running_var", "block2.shortcut_bn.weight", "block4.bn2.num_batches_tracked"} <= names
    weights = {"stem.0.weight", "block1.conv1.weight", "block2.shortcut_conv.weight", "head.weight", "head.bias"}
    assert weights <= set(network.state_dict()) - names


def test_a_network_without_batch_normalisation_shares_everything():
    assert batchnorm_names(SmallCNN()) == set()


def someone():
    images = torch.randint(256, (20, 3, 32, 32), generator=generator("someone")).byte()
    return Client("someone", ImageSet(images, torch.arange(20) % 10, tuple("0123456789")))


def test_personalising_moves_the_last_stage_and_the_head_of_a_copy():
    network = TinyResNet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    own = personalise(network, someone(), HomeWork(epochs=1, lr=0.1)).state_dict()
    moved = {name for name, value in own.items() if not torch.equal(value, before[name])}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert {name.partition(".")[0] for name in moved} == {"block4", "head"}


def test_personalising_is_the_same_for_the_same_seed():
    network = TinyResNet()
    first, again, other = (personalise(network, someone(), HomeWork(1), seed=seed).head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
