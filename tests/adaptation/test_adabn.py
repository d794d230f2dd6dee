"""AdaBN against NumPy; no weight moves, and statistics do."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.adaptation.domains import network, source, target
from tests.weights import changed, copies
from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.normalisation import scale
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.training import weight_space


@pytest.mark.parametrize("size", [300, 10])
def test_statistics_are_the_mean_of_those_of_batches(monkeypatch, size):
    monkeypatch.setattr(weight_space, "BATCH", size)
    model, images = network(), target().images
    with torch.no_grad():
        maps = model.conv(scale(images)).double().numpy()  # [30, 6, 4, 4]
    adapt_batchnorm(model, images)
    batches = np.array_split(maps, max(1, 30 // size))
    mean = np.mean([batch.mean((0, 2, 3)) for batch in batches], 0)
    variance = np.mean([batch.var((0, 2, 3), ddof=1) for batch in batches], 0)
    np.testing.assert_allclose(model.norm.running_mean, mean, atol=1e-6)
    np.testing.assert_allclose(model.norm.running_var, variance, atol=1e-6)


def test_no_weight_moves_and_what_the_source_left_is_forgotten():
    model, other = adapt_batchnorm(network(), source().images), network()
    before = copies(model)
    adapt_batchnorm(model, target().images)
    assert changed(model, before) == {"norm.running_mean", "norm.running_var"}
    adapt_batchnorm(other, target().images)
    assert not changed(model, copies(other))


def test_the_network_stays_in_its_mode_and_its_momentum_too():
    for mode in (True, False):
        model = adapt_batchnorm(network().train(mode), target().images)
        assert model.training is mode
        assert model.norm.momentum == nn.BatchNorm2d(1).momentum


def test_a_network_without_batch_normalisation_stays_as_it_is():
    model = SmallCNN(3)
    before = copies(model)
    assert adapt_batchnorm(model, torch.zeros(4, 3, 32, 32, dtype=torch.uint8)) is model
    assert not changed(model, before)
