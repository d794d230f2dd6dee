"""The mean of the weights, and the statistics that must follow it."""

import pytest
import torch
from torch import nn

from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import generator, seeded
from tlcourse.training.weight_averaging import WeightAverage


def test_the_plain_mean_in_plain_numbers():
    layer, average = nn.Linear(1, 1, bias=False), WeightAverage(start=1)
    for value in (100.0, 2.0, 4.0, 9.0):  # the first passes
        layer.weight.data.fill_(value)
        average.add(layer)
    assert average.write_into(layer, []).weight.item() == pytest.approx(5.0)


def test_statistics_are_those_of_the_averaged_weights_on_the_given_batches():
    draws = generator("averaging")
    batches = [(torch.randn(8, 3, 32, 32, generator=draws), torch.zeros(8).long()) for _ in range(3)]
    with seeded("averaging"):
        model, average = TinyResNet(), WeightAverage()
    kept = []
    for _ in range(4):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=draws) * 0.1)
        kept.append(model.stem[0].weight.detach().clone())
        average.add(model)
    average.write_into(model, batches)
    assert torch.allclose(model.stem[0].weight, torch.stack(kept).mean(0), atol=1e-6)
    means = [model.stem[0](x).mean((0, 2, 3)) for x, _ in batches]
    assert torch.allclose(model.stem[1].running_mean, torch.stack(means).mean(0), atol=1e-5)
    assert model.training


def test_nothing_averaged():
    average = WeightAverage(start=1)
    average.add(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="nothing was averaged: 1 updates were seen and averaging starts after 1"):
        average.write_into(nn.Linear(1, 1), [])
