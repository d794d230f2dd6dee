"""The mean that a server takes, and what it refuses."""

import copy
import re

import numpy as np
import pytest
import torch
from torch import nn

from tlcourse.federated.fedavg import FedAvg, Update, refusal, weighted_mean
from tlcourse.models.tiny_resnet import TinyResNet


def test_the_mean_is_weighted_by_images():
    states = [{"w": torch.randn(3, 2), "b": torch.randn(2)} for _ in range(3)]
    images = [5, 10, 35]
    mean = weighted_mean([Update(state, count, 0.0) for state, count in zip(states, images, strict=True)])
    for name in ("w", "b"):
        expected = np.average([state[name].numpy() for state in states], axis=0, weights=images)
        np.testing.assert_allclose(mean[name].numpy(), expected, atol=1e-6)


def test_the_mean_of_one_is_its_own_bits():
    state = TinyResNet().state_dict()
    assert all(torch.equal(value, state[name]) for name, value in weighted_mean([Update(state, 7, 0.0)]).items())


def test_counters_stay_integers_and_the_largest_counts():
    states = [{"counter": torch.tensor(3)}, {"counter": torch.tensor(8)}]
    mean = weighted_mean([Update(state, 1, 0.0) for state in states])["counter"]
    assert mean.dtype == torch.int64
    assert mean == 8


def test_running_statistics_are_averaged_with_the_weights():
    """Averaging `parameters()` alone would leave them out, and would be FedBN's half without anybody's knowledge."""
    one, other = TinyResNet(), TinyResNet()
    with torch.no_grad():
        one(torch.randn(4, 3, 32, 32))
    mean = weighted_mean([Update(network.state_dict(), 1, 0.0) for network in (one, other)])
    for name, buffer in one.named_buffers():
        if buffer.is_floating_point():
            torch.testing.assert_close(mean[name], (buffer + dict(other.named_buffers())[name]) / 2)
    assert set(mean) == set(one.state_dict())


def test_types_are_kept():
    half = {"w": torch.ones(2, dtype=torch.float16)}
    assert weighted_mean([Update(half, 1, 0.0), Update(half, 2, 0.0)])["w"].dtype == torch.float16


def test_no_images_have_no_mean():
    with pytest.raises(ValueError, match="0 updates of 0 images"):
        weighted_mean([])


def test_fedavg_minimises_cross_entropy_and_shares_everything():
    method, network = FedAvg(), TinyResNet()
    logits, labels = torch.randn(4, 10), torch.tensor([1, 2, 3, 4])
    assert torch.equal(method.loss(network)(logits, labels), nn.functional.cross_entropy(logits, labels))
    assert method.stays_at_home(network) == set()


EXPECTED = {"w": torch.zeros(2, 3), "counter": torch.tensor(1)}


def sent(images=5, **changes):
    state = copy.deepcopy(EXPECTED) | changes
    return Update({name: value for name, value in state.items() if value is not None}, images, 0.0)


def test_a_good_update_is_not_refused():
    assert refusal(sent(), EXPECTED) is None


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        (sent(w=torch.full((2, 3), torch.nan)), "6 of the 6 numbers of 'w' are not finite"),
        (sent(w=torch.tensor([[1, 2, torch.inf], [0, 0, 0]])), "1 of the 6 numbers of 'w' are not finite"),
        (sent(w=torch.zeros(3, 2)), r"'w' as torch.float32 \[3, 2\]; torch.float32 \[2, 3\] was expected"),
        (sent(w=torch.zeros(2, 3).double()), "'w' as torch.float64"),
        (sent(w=None), "sent 1 tensors and not 'w'"),
        (sent(other=torch.zeros(1)), "'other', which the network does not have"),
        (sent(images=0), "0 images"),
        (sent(images=-3), "-3 images"),
        (sent(images=2.5), "2.5 images"),
    ],
)
def test_what_would_spoil_the_mean_is_refused_by_name(update, reason):
    assert re.search(reason, refusal(update, EXPECTED))
