"""Masks change numbers and save nothing; removed channels leave the same answers with less work."""

import pytest
import torch
import torch.nn.utils.prune as torch_prune
from torch import nn

from tests.weights import changed, copies, equal
from tlcourse.models.compression.pruning import (
    apply_masks,
    kept_channels,
    magnitude_masks,
    remove_channels,
    silence_channels,
    sparsity,
)
from tlcourse.models.cost import multiply_adds
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import ResidualBlock, TinyResNet
from tlcourse.repro import generator, seeded
from tlcourse.training.loop import updates


def network():
    """A TinyResNet whose batch normalisation has seen images, so that its statistics are not 0 and 1."""
    with seeded("pruning"):
        model = TinyResNet(4)
        for _ in range(3):
            model(torch.randn(8, 3, 32, 32))
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.3)
                nn.init.normal_(layer.bias, 0, 0.3)
    return model.eval()


def images():
    return torch.randn(5, 3, 32, 32, generator=generator("pruning images"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_masks_are_those_of_pytorch(share):
    model, other = network(), network()
    layers = [(layer, "weight") for layer in other.modules() if isinstance(layer, nn.Conv2d)]
    torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=share)
    apply_masks(model, magnitude_masks(model, share))
    ours = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    for one, (layer, _) in zip(ours, layers, strict=True):
        assert torch.equal(one, layer.weight)
    assert sparsity(model) == pytest.approx(share, abs=1e-4)


def test_masks_touch_convolutions_alone_and_save_no_multiply_add():
    model = network()
    before, work = copies(model), multiply_adds(model)
    apply_masks(model, magnitude_masks(model, 0.5))
    names = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    assert changed(model, before) == names
    assert multiply_adds(model) == work


def test_masks_hold_while_training_goes_on_only_if_applied_again():
    model, y = network(), torch.arange(5) % 4
    masks = magnitude_masks(model, 0.5)
    apply_masks(model, masks)
    for _ in updates(model, [(images(), y)] * 2, torch.optim.AdamW(model.parameters(), 1e-3)):
        assert sparsity(model) < 0.1
        apply_masks(model, masks)
        assert sparsity(model) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.99])
def test_the_network_without_channels_answers_as_the_silenced_one(share):
    model = network()
    before = copies(model)
    kept = kept_channels(model, share)
    small, silent = remove_channels(model, kept), silence_channels(model, kept)
    assert not changed(model, before)
    torch.testing.assert_close(small(images()), silent(images()), rtol=1e-4, atol=1e-5)
    assert torch.allclose(small(images()), model(images())) == (share == 0)
    assert multiply_adds(silent) == multiply_adds(model)
    small.train()(images()).sum().backward()  # and it can be trained on


@pytest.mark.parametrize("learns", [True, False])
def test_what_is_frozen_stays_frozen_and_what_learns_goes_on(learns):
    model = network().requires_grad_(learns)
    model.block2.bn1.bias.requires_grad_(not learns)  # one of the two alone
    small = remove_channels(model, kept_channels(model, 0.5))
    asked = [{name: p.requires_grad for name, p in each.named_parameters()} for each in (small, model)]
    assert asked[0] == asked[1]
    assert {*asked[0].values()} == {True, False}


def test_removing_half_the_channels_halves_the_work_of_their_convolutions():
    model = network()
    small = remove_channels(model, kept_channels(model, 0.5))
    for one, other in zip(small.stages().values(), model.stages().values(), strict=True):
        if isinstance(one, ResidualBlock):
            assert one.conv1.weight.numel() * 2 == other.conv1.weight.numel()
            assert one.conv2.weight.numel() * 2 == other.conv2.weight.numel()
    assert 0.5 < multiply_adds(small) / multiply_adds(model) < 0.57


def test_the_smallest_filters_go_and_one_always_stays():
    model = network()
    with torch.no_grad():
        model.block1.conv1.weight[3] *= 1e-3
    kept = kept_channels(model, 1 / 16)
    assert kept["block1"].tolist() == [c for c in range(16) if c != 3]
    assert [len(rows) for rows in kept_channels(model, 0.999).values()] == [1, 1, 1, 1]


def test_bad_input_is_told():
    with pytest.raises(ValueError, match=r"share is 1, but a share from 0 \(all stay\) to below 1"):
        magnitude_masks(network(), 1)
    with pytest.raises(ValueError, match="SmallCNN has no ResidualBlock"):
        kept_channels(SmallCNN(), 0.5)
    with pytest.raises(ValueError, match="Linear has no convolution"):
        sparsity(nn.Linear(2, 2))


def test_masked_networks_load_into_the_same_architecture():
    model, other = network(), TinyResNet(4)
    other.load_state_dict(apply_masks(model, magnitude_masks(model, 0.5)).state_dict())
    assert equal(model, other)
