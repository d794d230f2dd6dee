import pytest
import torch
from torch import nn

from tests.weights import changed, copies, of_stages
from tlcourse.data.augmentations import Augment
from tlcourse.data.worlds import load
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.training.loop import fit
from tlcourse.transfer.freezing import (
    L2SP,
    GradualUnfreezing,
    count_parameters,
    discriminative_lr,
    free_only,
    freeze,
    layerwise_lr,
    parameter_groups,
    trainable,
    training_mode,
)


def moved(model, steps=2, **options):
    """Train a little and return the names of all numbers that changed."""
    before = copies(model)
    batches = load("handwritten-photo").batches(16, steps=steps, transform=Augment())
    optimizer = torch.optim.SGD(trainable(model), lr=0.05, momentum=0.9, weight_decay=0.01)
    fit(model, batches, epochs=1, optimizer=optimizer, progress=False, **options)
    return changed(model, before)


@pytest.mark.parametrize("network", [SmallCNN, TinyResNet])
def test_what_is_frozen_stays_and_the_rest_moves(network):
    for depth in range(len(network().stages()) + 1):
        model = network()
        frozen = freeze(model, depth)
        assert frozen == list(model.stages())[:depth]
        assert moved(model) == set(model.state_dict()) - of_stages(model, frozen)


@pytest.mark.parametrize("batchnorm", ["keep", "adapt"])
def test_by_default_only_the_head_learns_and_only_adapting_statistics_move(batchnorm):
    model = TinyResNet()
    freeze(model, batchnorm=batchnorm)
    statistics = {name for name in model.state_dict() if "running_" in name or "num_batches" in name}
    assert moved(model) == {"head.weight", "head.bias"} | (statistics if batchnorm == "adapt" else set())
    assert model.training
    assert count_parameters(trainable(model)) == 128 * 10 + 10


def test_nothing_is_dropped_in_a_frozen_stage():
    model = TinyResNet()
    model.block1.add_module("dropout", nn.Dropout(0.5))
    model.block4.add_module("dropout", nn.Dropout(0.5))
    freeze(model, 3, batchnorm="adapt")
    training_mode(model)
    assert not model.block1.dropout.training
    assert model.block1.bn1.training
    assert model.block4.dropout.training
    freeze(model, 0)
    assert training_mode(model).block1.dropout.training


@pytest.mark.parametrize("part", ["stem", "block2", "head"])
def test_surgical_fine_tuning_moves_one_part_and_nothing_else(part):
    model = TinyResNet()
    names = moved(free_only(model, part))
    assert names
    assert all(name.startswith(part + ".") for name in names)
    assert {name for name, _ in model.named_parameters() if name.startswith(part + ".")} <= set(names)


def test_a_part_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'block9' is no part of TinyResNet"):
        free_only(TinyResNet(), "block9")


def test_discriminative_and_layerwise_lr():
    model = SmallCNN()
    assert discriminative_lr(model, 0.1, 0.01) == {"conv1": 0.01, "conv2": 0.01, "fc1": 0.01, "fc2": 0.1}
    assert layerwise_lr(model, 0.8, 0.5) == {"conv1": 0.1, "conv2": 0.2, "fc1": 0.4, "fc2": 0.8}
    assert set(layerwise_lr(model, 0.8, 1.0).values()) == {0.8}


def test_l2_sp_is_the_formula():
    model = SmallCNN()
    pull = L2SP(model, alpha=0.3, beta=0.2)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    expected = 0.0
    for name, tensor in model.state_dict().items():
        head = name.startswith("fc2")
        expected += 0.1 * (tensor.numpy() ** 2).sum() if head else 0.15 * ((tensor - start[name]).numpy() ** 2).sum()
    assert pull().item() == pytest.approx(expected, rel=1e-4)


def test_gradual_unfreezing_frees_from_the_top():
    model, unfreeze = SmallCNN(), GradualUnfreezing(every=2)
    free = []
    for epoch in range(8):
        unfreeze(model, epoch)
        free.append(sorted({name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}))
    assert free[0] == free[1] == ["fc2"]
    assert free[2] == free[3] == ["fc1", "fc2"]
    assert free[4] == free[5] == ["conv2", "fc1", "fc2"]
    assert free[6] == free[7] == ["conv1", "conv2", "fc1", "fc2"]


RATES = {"conv1": 0.1, "conv2": 0.1, "fc1": 0.1, "fc2": 0.1}
NET = SmallCNN()


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (freeze, (NET, -1), "depth is -1, but SmallCNN has 3 stages: conv1, conv2, fc1"),
        (freeze, (NET, 4), "depth is 4, but SmallCNN has 3 stages"),
        (freeze, (NET, None, "ignore"), "batchnorm is 'ignore'"),
        (parameter_groups, (NET, {"conv1": 0.1}), r"given for \['conv1'\]. Expected one for each of: conv1, conv2"),
        (parameter_groups, (NET, RATES | {"fc1": 0.0}), r"must be above 0, but got \{'fc1': 0.*use freeze"),
        (layerwise_lr, (NET, 0.1, 0.0), "decay is 0"),
        (L2SP, (NET, -1), "got alpha=-1"),
        (GradualUnfreezing, (0,), "every is 0"),
    ],
)
def test_what_cannot_be_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_a_parameter_outside_all_stages_is_found():
    model = SmallCNN()
    model.extra = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match="extra belong to no stage"):
        parameter_groups(model, RATES)
