import pytest
import torch
from torch import nn

from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.weights import compare_weights, load_weights


def network(hidden=4, classes=3):
    return nn.ModuleDict(
        {"body": nn.Linear(2, hidden), "norm": nn.BatchNorm1d(hidden), "head": nn.Linear(hidden, classes)}
    )


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model, state):
    return {name for name, tensor in model.state_dict().items() if torch.equal(tensor, state[name])}


def test_equal_networks_load_everything_as_pytorch_does():
    source, ours, theirs = network(), network(), network()
    source["norm"].running_mean.fill_(3)
    report = load_weights(ours, source.state_dict())
    theirs.load_state_dict(source.state_dict())
    assert same(ours, theirs.state_dict()) == set(ours.state_dict()) == set(report.loaded)
    assert not [*report.missing, *report.unexpected, *report.mismatched]


def test_skipping_the_head_leaves_it_as_it_was():
    source, target = network(classes=5), network(classes=3)
    before = snapshot(target)
    report = load_weights(target, source.state_dict(), skip=["head."])
    assert torch.equal(target["body"].weight, source["body"].weight)
    assert {"head.weight", "head.bias"} <= same(target, before)
    assert set(report.missing) == {"head.weight", "head.bias"} == set(report.unexpected)


def test_partial_loads_what_fits_and_reports_the_rest():
    source, target = network(classes=5).state_dict(), network(classes=3)
    source["extra"] = torch.zeros(1)
    del source["norm.bias"]
    before = snapshot(target)
    report = load_weights(target, source, partial=True)
    assert report.missing == ("norm.bias",)
    assert report.unexpected == ("extra",)
    assert report.mismatched == {"head.weight": ((5, 4), (3, 4)), "head.bias": ((5,), (3,))}
    assert torch.equal(target["body"].weight, source["body.weight"])
    assert {"head.weight", "head.bias", "norm.bias"} <= same(target, before)


@pytest.mark.parametrize("spoil", ["shape", "missing", "unexpected"])
def test_anything_unplanned_raises_and_changes_nothing(spoil):
    source, target = network(classes=5 if spoil == "shape" else 3).state_dict(), network()
    if spoil == "missing":
        del source["body.bias"]
    if spoil == "unexpected":
        source["extra"] = torch.zeros(1)
    before = snapshot(target)
    with pytest.raises(ValueError, match=r"(?s)do not fit ModuleDict; nothing was loaded.*partial=True"):
        load_weights(target, source)
    assert same(target, before) == set(before)


def test_nothing_fits_is_an_error_even_for_partial():
    with pytest.raises(ValueError, match=r"(?s)nothing was loaded.*loaded +0"):
        load_weights(network(), TinyResNet(10).state_dict(), partial=True)


def test_comparing_changes_nothing():
    source, target = network(), network()
    before = snapshot(target)
    assert len(compare_weights(target, source.state_dict()).loaded) == len(before)
    assert same(target, before) == set(before)


def test_report_reads_well():
    report = compare_weights(network(classes=3), network(classes=5).state_dict())
    assert str(report).splitlines()[0] == "loaded        7"
    assert "head.weight [5, 4] -> [3, 4]" in str(report)
