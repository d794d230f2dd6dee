"""Lines and means in the space of weights."""

import copy

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import tlcourse as tl
from tlcourse.evaluation.predict import predict
from tlcourse.repro import seeded
from tlcourse.training.weight_space import average_weights, between, interpolate, measure_batchnorm, soup
from tools.pretended_gpu import pretended_gpu


@pytest.fixture(scope="module")
def data():
    return tl.load("handwritten-photo", split="train", count=60)


@pytest.fixture(scope="module")
def networks():
    """Three networks of one architecture, with statistics of their own."""
    made = []
    for seed in range(3):
        with seeded("weights", seed):
            model = tl.TinyResNet(10)
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand(buffer.shape, generator=torch.Generator().manual_seed(seed)))
        made.append(model)
    return made


def test_the_mean_is_numpys_and_pytorchs(networks):
    mean = average_weights([model.state_dict() for model in networks])
    theirs = AveragedModel(networks[0])
    for model in networks:
        theirs.update_parameters(model)
    for name, parameter in theirs.module.named_parameters():
        torch.testing.assert_close(mean[name], parameter.detach())
        each = np.stack([model.state_dict()[name].numpy() for model in networks])
        np.testing.assert_allclose(mean[name].numpy(), each.mean(0), rtol=1e-5, atol=1e-6)


def test_the_ends_of_the_line_are_the_networks_themselves(networks):
    first, second = (model.state_dict() for model in networks[:2])
    for alpha, end in ((0.0, first), (1.0, second)):
        found = interpolate(first, second, alpha)
        assert all(torch.equal(found[name], end[name]) for name in end if end[name].is_floating_point())
    third = interpolate(first, second, 0.25)["head.weight"]
    torch.testing.assert_close(third, 0.75 * first["head.weight"] + 0.25 * second["head.weight"])


def test_a_soup_of_one_network_is_that_network_and_the_networks_stay(networks, data):
    before = copy.deepcopy(networks[0].state_dict())
    alone = soup([networks[0]], None)
    soup(networks, data)
    between(networks[0], networks[1], 0.5, data)
    torch.testing.assert_close(predict(alone, data), predict(networks[0], data))
    assert all(torch.equal(before[name], tensor) for name, tensor in networks[0].state_dict().items())


def test_statistics_are_those_of_the_images_and_not_the_mean_of_statistics(networks, data):
    averaged, anew = between(*networks[:2], 0.5, None), between(*networks[:2], 0.5, data)
    stem = anew.stem[0](tl.scale(data.images)).transpose(0, 1).flatten(1)  # [channels, everything else]
    torch.testing.assert_close(anew.stem[1].running_mean, stem.mean(1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(anew.stem[1].running_var, stem.var(1), atol=1e-4, rtol=1e-3)
    assert not torch.allclose(averaged.stem[1].running_var, anew.stem[1].running_var, rtol=0.1)
    assert torch.equal(averaged.stem[0].weight, anew.stem[0].weight)


def test_measuring_again_changes_no_weight_and_needs_no_label(networks, data):
    model = copy.deepcopy(networks[0])
    measure_batchnorm(model, data.images)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), networks[0].parameters(), strict=True))


def test_what_does_not_match_is_refused(networks):
    state, other = networks[0].state_dict(), tl.TinyResNet(7).state_dict()
    with pytest.raises(ValueError, match=r"differ in 2 tensors, such as head.bias: \(10,\) and \(7,\)"):
        average_weights([state, other])
    with pytest.raises(ValueError, match=r"add up to 1\.5, but 1 was expected"):
        average_weights([state, state], [1.0, 0.5])
    with pytest.raises(ValueError, match="0 networks came with 0 shares"):
        average_weights([])


def test_networks_on_different_devices_have_a_mean_where_the_tuned_one_is(networks, data):
    source, tuned = networks[0], copy.deepcopy(networks[1])
    expected = predict(between(source, tuned, 0.3, None), data)
    with pretended_gpu():
        middle = between(source, tuned.to("cuda"), 0.3, None)
        assert {value.device.type for value in middle.state_dict().values()} == {"cuda"}
        assert torch.equal(predict(middle, data), expected)
        mean = average_weights([source.state_dict(), tuned.state_dict()])
        assert {value.device.type for value in mean.values()} == {"cpu"}, "that of the first"
