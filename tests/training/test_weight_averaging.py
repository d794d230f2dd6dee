"""Weight averages against `torch.optim.swa_utils`, and the statistics that must follow them."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import generator, seeded
from tlcourse.training.weight_averaging import WeightAverage


def batches(count=3):
    draws = generator("averaging")
    return [(torch.randn(8, 3, 32, 32, generator=draws), torch.zeros(8).long()) for _ in range(count)]


def wander(model, average, theirs, updates=6):
    """Move the weights at random, and let both averages look on."""
    draws = generator("wander")
    for _ in range(updates):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=draws) * 0.1)
        average.add(model)
        theirs.update_parameters(model)


def net(kind=TinyResNet):
    with seeded("averaging"):
        return kind()


@pytest.mark.parametrize("decay", [None, 0.9, 0.0])
def test_the_average_is_pytorchs(decay):
    model, average = net(), WeightAverage(decay)
    theirs = AveragedModel(model, multi_avg_fn=None if decay is None else get_ema_multi_avg_fn(decay))
    wander(model, average, theirs)
    for name, parameter in theirs.module.named_parameters():
        assert torch.allclose(average.mean[name], parameter, atol=1e-6)
    last = dict(model.named_parameters())["stem.0.weight"]
    assert torch.allclose(average.mean["stem.0.weight"], last) == (decay == 0.0)


def test_written_weights_and_statistics_are_pytorchs():
    model, average = net(), WeightAverage()
    theirs = AveragedModel(model)
    wander(model, average, theirs)
    update_bn(batches(), theirs)
    average.write_into(model, batches())
    for name, tensor in theirs.module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.allclose(model.state_dict()[name], tensor, atol=1e-5), name


def test_the_plain_mean_in_plain_numbers():
    layer, average = nn.Linear(1, 1, bias=False), WeightAverage(start=1, every=2)
    for value in (100.0, 2.0, 50.0, 4.0, 50.0, 9.0):  # the first passes, then every second one counts
        layer.weight.data.fill_(value)
        average.add(layer)
    assert average.counted == 3
    assert average.mean["weight"].item() == pytest.approx(5.0)


@pytest.mark.parametrize("options", [{"decay": 1.0}, {"decay": -0.1}, {"start": -1}, {"every": 0}])
def test_impossible_averages(options):
    with pytest.raises(ValueError, match="Expected None or a decay"):
        WeightAverage(**options)


def test_nothing_averaged_or_for_another_network():
    average = WeightAverage(start=1)
    average.add(net(SmallCNN))
    with pytest.raises(ValueError, match="nothing was averaged: 1 updates were seen and averaging starts after 1"):
        average.write_into(net(SmallCNN), None)
    average.add(net(SmallCNN))
    with pytest.raises(ValueError, match="another network than this TinyResNet"):
        average.write_into(net(), None)
