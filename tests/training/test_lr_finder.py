"""The range test finds where training breaks, and leaves no trace."""

import copy

import pytest
import torch
from torch import nn

from tests.weights import changed, copies
from tlcourse.data.worlds import load
from tlcourse.models.pretrained import build
from tlcourse.repro import seeded
from tlcourse.training.lr_finder import range_test


class Parabola(nn.Module):
    """Its loss is weight^2 * steepness / 2, so gradient descent breaks at a rate of 2 / steepness."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        return self.weight * x


def steep(scores, _labels):
    return 10 / 2 * scores.square().mean()


NOTHING = [(torch.ones(1), torch.zeros(1).long())]


def test_it_breaks_where_theory_says():
    """With a steepness of 10, the loss falls below a rate of 2 / 10 and grows above it."""
    model = Parabola()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = range_test(model, NOTHING, optimizer, low=1e-4, high=100.0, steps=200, loss=steep)
    assert 0.05 < found.lowest < 0.3
    assert found.rates[-1] < 1.0  # it stopped long before the last rate
    assert found.suggestion == pytest.approx(found.lowest / 3)


@pytest.fixture(scope="module")
def training():
    with seeded("rate finder"):
        model = build("tiny_resnet")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.123)
    batches = load("handwritten-photo").few(2).batches(10, steps=4, seed=3)
    for x, y in batches:  # so that the optimiser has a memory
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, optimizer, batches


def test_it_leaves_no_trace(training):
    model, optimizer, batches = training
    model.stem.eval()
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict(), batches.epoch))
    noise = torch.get_rng_state()
    found = range_test(model, batches, optimizer, steps=12)
    assert not changed(model, before[0])
    assert optimizer.state_dict()["param_groups"] == before[1]["param_groups"]
    for key, state in optimizer.state_dict()["state"].items():
        assert all(torch.equal(value, before[1]["state"][key][name]) for name, value in state.items())
    assert batches.epoch == before[2]
    assert not model.stem.training
    assert model.block1.training
    assert torch.equal(torch.get_rng_state(), noise)
    assert len(set(found.losses)) > 5  # but something was tried


def test_no_trace_after_an_error_either(training):
    model, optimizer, batches = training
    before = copies(model)
    bad = [*batches, (torch.zeros(1, 3, 32, 32), torch.tensor([99]))]
    with pytest.raises(ValueError, match="the labels of a batch go from 99"):
        range_test(model, bad, optimizer, steps=30)
    assert not changed(model, before)
    assert optimizer.param_groups[0]["lr"] == 0.123


RANGE = "Expected 0 < low < high, and 10 or more"


@pytest.mark.parametrize(
    ("batches", "options", "message"),
    [
        (NOTHING, {"low": 0.0}, RANGE),
        (NOTHING, {"low": 2.0, "high": 1.0}, RANGE),
        (NOTHING, {"steps": 9}, RANGE),
        ([], {}, "nothing to train on"),
    ],
)
def test_impossible_ranges(batches, options, message):
    model = Parabola()
    with pytest.raises(ValueError, match=message):
        range_test(model, batches, torch.optim.SGD(model.parameters()), **options)
    with pytest.raises(ValueError, match="does not know weight"):
        range_test(Parabola(), NOTHING, torch.optim.SGD(model.parameters()))
