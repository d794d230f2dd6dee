"""LoRA by another library, peft 0.21; `pip install '.[oracles]'` brings it."""

import warnings

import pytest
import torch
from torch import nn

from tlcourse.models.adapters.lora import LowRank, add_lora, lora_layers, merge_lora
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    peft = pytest.importorskip("peft", reason="peft, an oracle that nothing else needs, is not installed")


@pytest.mark.parametrize("network", [SmallCNN, TinyResNet])
def test_the_same_matrices_give_the_same_answers(network):
    """Theirs sends images through `A` and then `B`, beside the layer; ours adds `B A` to the layer's weights."""
    ours, theirs, x = network(10).eval(), network(10), torch.randn(3, 3, 32, 32)
    theirs.load_state_dict(ours.state_dict())
    plain, names = ours(x), lora_layers(ours)
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=names, lora_dropout=0.0)
    theirs = peft.get_peft_model(theirs, config).eval()
    add_lora(ours, rank=3, alpha=6)
    for name in names:
        copy_matrices(ours.get_submodule(name), theirs.base_model.model.get_submodule(name))
    expected = theirs(x)
    assert not torch.allclose(expected, plain, atol=0.01)
    torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(merge_lora(ours)(x), theirs.merge_and_unload()(x), rtol=0, atol=1e-5)


def test_as_many_weights():
    ours = add_lora(TinyResNet(10), rank=3)
    theirs = TinyResNet(10)
    config = peft.LoraConfig(r=3, target_modules=lora_layers(theirs), modules_to_save=["head"])
    theirs = peft.get_peft_model(theirs, config)
    assert theirs.get_nb_trainable_parameters()[0] == sum(p.numel() for p in ours.parameters() if p.requires_grad)


@torch.no_grad()
def copy_matrices(ours: nn.Module, theirs: nn.Module) -> None:
    """Draw both matrices in ours, and write them into theirs."""
    change = ours.parametrizations.weight[0]
    assert isinstance(change, LowRank)
    change.B.normal_(std=0.2)
    for mine, other in ((change.A, theirs.lora_A["default"].weight), (change.B, theirs.lora_B["default"].weight)):
        other.copy_(mine.view(other.shape))
