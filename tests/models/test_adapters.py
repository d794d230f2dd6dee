import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from tests.weights import changed, copies, equal
from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.models.adapters.bitfit import bitfit
from tlcourse.models.adapters.bottleneck import add_adapters
from tlcourse.models.adapters.lora import LowRank, add_lora, lora_layers, merge_lora
from tlcourse.models.adapters.task import load_task, megabytes, task_weights
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.torchvision_backbones import TorchvisionBackbone
from tlcourse.repro import seeded
from tlcourse.training.loop import updates
from tlcourse.transfer.freezing import count_parameters, trainable

NETWORKS = [SmallCNN, TinyResNet]
ADAPTED = {"LoRA": add_lora, "BitFit": bitfit, "adapters": add_adapters}
X = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def new(network=TinyResNet, seed=0):
    with seeded("weights", seed):
        return network(10)


def adapted(way, network=TinyResNet, **options):
    with seeded("adapters", 0):
        return ADAPTED[way](new(network), **options)


def learn(model, count=3, rate=0.05):
    """Train a little, as the course does."""
    batches = load("handwritten-photo").batches(16, steps=count)
    optimizer = torch.optim.SGD(trainable(model), lr=rate)
    list(updates(model, batches, optimizer))
    return model


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("way", ADAPTED)
def test_nothing_changes_at_first(network, way):
    plain = new(network).eval()
    expected = plain(X)
    with seeded("weights", 1):
        torch.testing.assert_close(ADAPTED[way](plain).eval()(X), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("way", ADAPTED)
def test_only_the_weights_of_a_task_move_and_all_of_them(network, way):
    model = adapted(way, network)
    before = copies(model)
    assert changed(learn(model), before) == set(task_weights(model))
    assert all("running_" not in name for name in task_weights(model))


@pytest.mark.parametrize("way", ADAPTED)
def test_statistics_move_where_they_may_and_belong_to_the_task(way):
    model = adapted(way, batchnorm="adapt")
    before = copies(model)
    moved = changed(learn(model), before)
    assert moved == set(task_weights(model))
    assert sum("running_mean" in name for name in moved) == 13


def test_statistics_of_a_network_in_plain_training_mode_drift():
    """The trap: no weight of theirs is trained, and still they move."""
    model = add_lora(new()).train()
    before = copies(model)
    model(X)
    assert sum("running_mean" in name for name in changed(model, before)) == 13


def test_what_is_added_is_a_product_of_two_matrices():
    layer = nn.Conv2d(6, 8, 3)
    change = LowRank(layer.weight, rank=2, alpha=6)
    with torch.no_grad():
        change.B.normal_()
    product = (change.B.detach().numpy() @ change.A.detach().numpy()).reshape(8, 6, 3, 3)
    torch.testing.assert_close(change(layer.weight), layer.weight + 3 * torch.from_numpy(product))
    assert torch.linalg.matrix_rank((change(layer.weight) - layer.weight).flatten(1)) == 2


def test_two_thin_layers_in_a_row_do_the_same():
    """The other way to write it, and the paper's: `x` through `A`, then through `B`, beside the frozen layer."""
    layer = nn.Conv2d(6, 8, 3, stride=2, padding=1)
    change = LowRank(layer.weight, rank=2, alpha=2)
    with torch.no_grad():
        change.B.normal_()
    x = torch.randn(3, 6, 9, 9)
    inner = torch.nn.functional.conv2d(x, change.A.view(2, 6, 3, 3), stride=2, padding=1)
    beside = layer(x) + torch.nn.functional.conv2d(inner, change.B.view(8, 2, 1, 1))
    whole = torch.nn.functional.conv2d(x, change(layer.weight), layer.bias, stride=2, padding=1)
    torch.testing.assert_close(whole, beside, rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_merged_answers_as_unmerged_and_is_a_plain_network(network):
    model = learn(add_lora(new(network), norms=True)).eval()
    expected = model(X)
    assert merge_lora(model) is model
    torch.testing.assert_close(model(X), expected, rtol=0, atol=1e-6)
    assert type(model.get_submodule(lora_layers(model)[0])) is nn.Conv2d
    plain = network(10)
    plain.load_state_dict(model.state_dict())
    assert equal(plain, model)
    assert not equal(plain, new(network))


def test_a_copy_is_a_network_of_its_own():
    model = add_lora(new())
    twin = copy.deepcopy(model)
    before = copies(model)
    learn(twin)
    assert not changed(model, before)
    assert changed(twin, before)
    expected = model.eval()(X)
    merge_lora(twin)
    assert torch.equal(model(X), expected)
    assert torch.equal(merge_lora(model)(X), expected)


def test_counts():
    """TinyResNet with rank 1: a row and a column for each of 13 convolutions, and 1,290 weights of the head."""
    assert count_parameters(trainable(add_lora(new(), rank=1))) == 4203 + 1290
    assert count_parameters(trainable(add_lora(new(), rank=4))) == 4 * 4203 + 1290
    assert count_parameters(trainable(bitfit(new()))) == 2 * 736 + 1290
    assert count_parameters(trainable(bitfit(new(), scales=False))) == 736 + 1290
    widths = (16, 16, 32, 64, 128)
    assert count_parameters(trainable(add_adapters(new(), 4))) == sum(2 * 4 * c + 4 + c for c in widths) + 1290


def test_some_layers_only():
    model = add_lora(new(), layers=["block4.conv1"])
    assert {name for name in task_weights(model) if "head" not in name} == {
        "block4.conv1.parametrizations.weight.0.A",
        "block4.conv1.parametrizations.weight.0.B",
    }


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "vit_b_16"])
def test_networks_of_torchvision(name):
    """Also where convolutions are depthwise, or a network reads the weights of a layer itself, as attention does."""
    side = 224 if name.startswith("vit") else 64
    model = TorchvisionBackbone(name, Preprocessing(side, side)).eval()
    model.head.reset_parameters()  # some come with zeros
    x = torch.randn(1, 3, side, side)
    add_lora(model, rank=2)
    changes = [module for module in model.modules() if isinstance(module, LowRank)]
    with torch.no_grad():
        for change in changes:
            change.B.fill_(0.01)
    unmerged = model(x)
    unmerged.square().sum().backward()
    assert all(change.A.grad.any() and change.B.grad.any() for change in changes)
    torch.testing.assert_close(merge_lora(model)(x), unmerged, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", ADAPTED)
def test_one_backbone_serves_two_tasks(way):
    first, second = learn(adapted(way, batchnorm="adapt")), learn(adapted(way, batchnorm="adapt"), count=6)
    kept, data = task_weights(first), load("handwritten-photo", count=20)
    assert not torch.equal(predict(first, data), predict(second, data))
    assert torch.equal(predict(load_task(second, kept), data), predict(first, data))
    assert megabytes(kept) < 0.15
    assert megabytes({"a": torch.zeros(10, dtype=torch.float16)}) == 20e-6


def test_a_task_is_not_what_lies_in_memory():
    model = add_lora(new())
    kept = task_weights(model)
    learn(model)
    assert not torch.equal(kept["head.weight"], model.head.weight)


def test_bad_input():
    with pytest.raises(ValueError, match=r"got rank 0 for a TinyResNet. Expected at least 1"):
        add_lora(new(), rank=0)
    with pytest.raises(ValueError, match=r"without low-rank changes: call merge_lora\(model\) first"):
        add_lora(add_lora(new()))
    with pytest.raises(ValueError, match=r"got layers \['conv9'\]. Expected some of: stem.0, block1.conv1"):
        add_lora(new(), layers=["conv9", "stem.0"])
    with pytest.raises(ValueError, match=r"got layers \[\]. Expected some of"):
        add_lora(new(), layers=[])
    with pytest.raises(ValueError, match=r"no low-rank changes to merge. Use add_lora"):
        merge_lora(new())
    with pytest.raises(ValueError, match="got a width of 0 for the 5 stages of a TinyResNet"):
        add_adapters(new(), 0)
    with pytest.raises(ValueError, match="without adapters so far"):
        add_adapters(add_adapters(new()))
    with pytest.raises(ValueError, match=r"tensors do not fit, such as .* with the same adapters"):
        load_task(add_lora(new(), 2), task_weights(add_lora(new(), 4)))
    with pytest.raises(ValueError, match="batchnorm is 'frozen'"):
        add_lora(new(), batchnorm="frozen")


def test_a_refused_network_is_as_it_was():
    model = new()
    with pytest.raises(ValueError, match="got layers"):
        add_lora(model, layers=["head"])
    assert equal(model, new())
    assert len(trainable(model)) == len(list(model.parameters()))
    assert not any(parametrize.is_parametrized(module) for module in model.modules())
