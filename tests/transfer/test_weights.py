import pytest
import torch
from torch import nn

from tests.weights import changed, copies
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.transfer.weights import MoveReport, check_still, load_weights, weights_moved


def network(hidden=4, classes=3):
    return nn.ModuleDict(
        {"body": nn.Linear(2, hidden), "norm": nn.BatchNorm1d(hidden), "head": nn.Linear(hidden, classes)}
    )


def test_partial_loads_what_fits_and_reports_the_rest():
    source, target = network(classes=5).state_dict(), network(classes=3)
    source["extra"] = torch.zeros(1)
    del source["norm.bias"]
    before = copies(target)
    report = load_weights(target, source, partial=True)
    assert report.missing == ("norm.bias",)
    assert report.unexpected == ("extra",)
    assert report.mismatched == {"head.weight": ((5, 4), (3, 4)), "head.bias": ((5,), (3,))}
    assert "head.weight [5, 4] -> [3, 4]" in str(report)
    assert torch.equal(target["body"].weight, source["body.weight"])
    assert not changed(target, before) & {"head.weight", "head.bias", "norm.bias"}


@pytest.mark.parametrize("spoil", ["shape", "missing", "unexpected"])
def test_anything_unplanned_raises_and_changes_nothing(spoil):
    source, target = network(classes=5 if spoil == "shape" else 3).state_dict(), network()
    if spoil == "missing":
        del source["body.bias"]
    if spoil == "unexpected":
        source["extra"] = torch.zeros(1)
    before = copies(target)
    with pytest.raises(ValueError, match=r"(?s)do not fit ModuleDict; nothing was loaded.*partial=True"):
        load_weights(target, source)
    assert not changed(target, before)


def test_nothing_fits_is_an_error_even_for_partial():
    with pytest.raises(ValueError, match=r"(?s)nothing was loaded.*would fit +0"):
        load_weights(network(), TinyResNet(10).state_dict(), partial=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"norm.num_batches_tracked": torch.tensor(7)}, r"(?s)nothing was loaded.*would fit +1"),
        (
            network().state_dict() | {"body.bias": torch.full((4,), torch.nan)},
            "not a number, .* in body.bias. .*nothing",
        ),
        (network().state_dict() | {"body.bias": torch.ones(4, dtype=torch.int8)}, "whole as quantised .* in body.bias"),
    ],
)
def test_counters_alone_and_numbers_that_are_none_are_refused(weights, message):
    target = network()
    before = copies(target)
    with pytest.raises(ValueError, match=message):
        load_weights(target, weights, partial=True)
    assert not changed(target, before)


def test_what_moved_is_named_with_its_largest_change():
    model = network()
    before = copies(model)
    with torch.no_grad():
        model["body"].weight[1, 0] += 0.5
        model["body"].weight[0, 0] -= 0.25
    model["norm"].num_batches_tracked += 3
    report = weights_moved(before, model.state_dict())
    assert report.moved == {"body.weight": pytest.approx(0.5), "norm.num_batches_tracked": 3}
    assert set(report.stayed) == set(before) - set(report.moved)
    assert str(report).splitlines() == ["moved   2  norm.num_batches_tracked by 3, body.weight by 0.5", "stayed  7"]
    check_still(report, ["head."])
    with pytest.raises(ValueError, match="nothing was checked"):
        check_still(report, ["stem."])


def test_a_state_dict_is_no_copy():
    """The classic mistake: state_dict() shares memory with the network, so before and after are always equal."""
    model = network()
    before = model.state_dict()
    with torch.no_grad():
        model["body"].weight += 1
    with pytest.raises(ValueError, match=r"share their memory \(body\.weight and 8 more\).*Take a copy first"):
        weights_moved(before, model.state_dict())


@pytest.mark.parametrize(
    ("moved", "reason"),
    [
        ("stem.1.running_mean", r"1 of 2 frozen tensors moved\. 1 statistics.*training_mode\(model\)\.$"),
        ("stem.0.weight", r"1 of 2 frozen tensors moved\. 1 weights: momentum or weight decay.*trainable\(model\)\.$"),
    ],
)
def test_what_must_stay_and_did_not_says_why(moved, reason):
    with pytest.raises(ValueError, match=reason):
        check_still(MoveReport({moved: 0.1, "head.weight": 1.0}, ("stem.1.weight",)), ["stem."])


@pytest.mark.parametrize("weights", ["model.pth", TinyResNet(10)])
def test_weights_must_come_by_name(weights):
    with pytest.raises(TypeError, match=rf"weights are a {type(weights).__name__}.*read_tensors\(path\)"):
        load_weights(TinyResNet(10), weights)
