"""Weight averages against `torch.optim.swa_utils`, and the statistics that must follow them."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import generator, seeded
from tlcourse.training.weight_averaging import WeightAverage, measure_statistics
from tlcourse.transfer.freezing import freeze


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


def test_statistics_are_those_of_the_images_and_nothing_else_moves():
    model = net()
    model(batches(1)[0][0] * 5 + 3)  # old statistics, which must not count
    before = copy.deepcopy(model.state_dict())
    assert measure_statistics(model, batches()) == 13
    stem = model.stem[0]
    outputs = [stem(x).transpose(0, 1).flatten(1) for x, _ in batches()]
    mean = torch.stack([o.mean(1) for o in outputs]).mean(0)
    assert torch.allclose(model.stem[1].running_mean, mean, atol=1e-5)
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == {n for n in before if n.split(".")[-1] in ("running_mean", "running_var", "num_batches_tracked")}
    assert model.training
    assert model.stem[1].momentum == 0.1


def test_frozen_statistics_stay():
    model = net()
    freeze(model, 1)
    before = model.stem[1].running_mean.clone()
    assert measure_statistics(model, batches(1)) == 12
    assert torch.equal(model.stem[1].running_mean, before)
    freeze(model)
    assert measure_statistics(model, batches(1)) == 0


def test_leaving_the_statistics_behind_is_another_network():
    """The trap: the averaged weights with the statistics of the last weights."""
    model, average = net(), WeightAverage()
    wander(model, average, AveragedModel(model))
    behind = average.write_into(copy.deepcopy(model), None)
    right = average.write_into(model, batches())
    x = batches(1)[0][0]
    assert (behind.eval()(x) - right.eval()(x)).abs().max() > 0.1


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
    with pytest.raises(ValueError, match="no batches to measure"):
        measure_statistics(net(), [])
