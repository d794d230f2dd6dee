"""Many photographs through a frozen network: side by side, folded, and still the answers of the network itself."""

import itertools

import pytest
import torch
from torch import nn

from tlcourse.photos import one_pass as module
from tlcourse.photos.networks import photo_network
from tlcourse.photos.one_pass import AT_A_TIME, FOLDED_FROM, multiplies_bfloat16, one_pass


def draws():
    return torch.Generator().manual_seed(0)


def network(name="tiny_resnet"):
    """One whose batch normalisation has seen something."""
    model = photo_network(name, 4, None, seed=1, side=32).model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(16, 3, 32, 32, generator=draws()))
    return model


def compute_in(bits, monkeypatch):
    """Take the processor for one that multiplies numbers of 16 bits, or for one that does not."""
    monkeypatch.setattr(module, "multiplies_bfloat16", lambda device: bits == 16)


def largest_share(difference, of):
    return (difference.abs().max() / of.abs().max()).item()


@pytest.mark.parametrize(("bits", "rounding"), [(32, 1e-4), (16, 2e-2)])
@pytest.mark.parametrize("count", [1, AT_A_TIME + 1, 23])
@pytest.mark.parametrize("name", ["tiny_resnet", "squeezenet1_0"])
def test_answers_are_those_of_the_network_in_order(name, count, bits, rounding, monkeypatch):
    monkeypatch.setattr(module, "FOLDED_FROM", 20)
    compute_in(bits, monkeypatch)
    model, x = network(name), torch.randn(count, 3, 32, 32, generator=draws())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    logits = one_pass(model, lambda rows: x[rows], count, 32)
    features = one_pass(model, lambda rows: x[rows], count, 32, features=True)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        pairs = (logits, model(x)), (features, model.forward_features(x))
    assert all(largest_share(found - expected, expected) < rounding for found, expected in pairs)
    assert not features.is_inference()


def test_the_head_computes_in_32_bits_so_that_no_two_classes_are_level(monkeypatch):
    compute_in(16, monkeypatch)
    x = torch.randn(AT_A_TIME, 3, 32, 32, generator=draws())
    logits = one_pass(network(), lambda rows: x[rows], len(x), 32)
    assert not torch.equal(logits, logits.bfloat16().float())


def test_16_bits_are_for_processors_that_multiply_them(monkeypatch):
    for able, wanted in (({}, False), ({"avx512_bf16": True}, True), ({"avx512_bf16": False, "amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able, raising=False)
        assert multiplies_bfloat16(torch.device("cpu")) is wanted
    assert not multiplies_bfloat16(torch.device("cuda"))
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not multiplies_bfloat16(torch.device("cpu"))


def test_each_is_read_once_and_in_batches():
    asked = []
    x = torch.randn(40, 3, 32, 32, generator=draws())
    one_pass(network(), lambda rows: asked.append(rows.tolist()) or x[rows], 40, 32)
    assert sorted(itertools.chain(*asked)) == list(range(40))
    assert max(map(len, asked)) == AT_A_TIME


def test_many_are_asked_of_a_folded_copy_and_few_of_the_network(monkeypatch):
    folded = []
    monkeypatch.setattr(module, "fold_batchnorm", lambda model, x: folded.append(x) or model)
    for count in (FOLDED_FROM - 1, FOLDED_FROM):
        one_pass(network().cpu(), lambda rows: torch.zeros(len(rows), 3, 32, 32), count, 32)
    assert len(folded) == 1


class Forks(nn.Module):
    """What its convolution writes goes two ways, so folding would change the answers."""

    head_name = "head"

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Linear(2, 2)
        self.norm.running_mean += 5

    def forward_features(self, x):
        x = self.conv(x)
        return (x + self.norm(x)).mean((2, 3))

    def forward(self, x):
        return self.head(self.forward_features(x))


def test_what_cannot_be_folded_is_asked_as_it_is(monkeypatch):
    compute_in(32, monkeypatch)
    model, x = Forks().eval(), torch.randn(FOLDED_FROM, 3, 8, 8, generator=draws())
    with torch.no_grad():
        assert torch.allclose(one_pass(model, lambda rows: x[rows], len(x), 8), model(x), atol=1e-5)


def test_what_reading_raises_is_raised():
    def read(rows):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        one_pass(network(), read, 3, 32)
