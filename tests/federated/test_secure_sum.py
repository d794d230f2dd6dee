"""Masks that cancel: the sum is exact, a message says nothing, and a client that drops out leaves a random number."""

import numpy as np
import pytest
import torch

from tlcourse.federated.secure_sum import MODULUS, STEP, masked, unmasked_sum
from tlcourse.repro import generator


def updates(clients=5, size=200, scale=10.0):
    return scale * torch.randn(clients, size, generator=generator("updates"), dtype=torch.float64)


def messages(values, *round_keys):
    return [masked(own, client, len(values), *round_keys) for client, own in enumerate(values)]


@pytest.mark.parametrize("clients", [2, 3, 10])
def test_the_sum_is_exact_but_for_rounding(clients):
    values = updates(clients)
    whole = np.rint(values.numpy() * 2**20).astype(np.int64).sum(0)  # in integers, without masks
    found = unmasked_sum(messages(values, "round", 1))
    assert found.tolist() == (whole / 2**20).tolist()
    assert (found - values.sum(0)).abs().max() <= clients * STEP / 2


def test_shapes_stay_and_numbers_fit_into_32_bits():
    values = updates(3, 12).view(3, 2, 6)
    sent = messages(values, 0)
    assert {message.shape for message in sent} == {(2, 6)}
    assert all(message.min() >= 0 and message.max() < MODULUS == 2**32 for message in sent)
    assert unmasked_sum(sent).shape == (2, 6)


@pytest.mark.parametrize("value", [0.0, 100.0])
def test_a_message_is_spread_evenly_whatever_the_values(value):
    sent = masked(torch.full((20_000,), value), 1, 3, "spread").double() / MODULUS
    counts = torch.histc(sent, 20, 0, 1)
    assert counts.min() > 850, "a thousand were expected"
    assert counts.max() < 1150


def test_a_client_that_drops_out_leaves_a_sum_that_is_as_random_as_a_mask():
    values = torch.zeros(4, 20_000)
    left = unmasked_sum(messages(values, 0)[:-1])
    assert left.abs().median() > 500, "half of the numbers are beyond a quarter of the range, 1024"
    values = updates(4)
    left = unmasked_sum(messages(values, 0)[:-1])
    assert abs(np.corrcoef(left, values[:-1].sum(0))[0, 1]) < 0.3


def test_masks_of_two_rounds_differ_and_a_mask_used_twice_gives_the_difference_away():
    own = torch.tensor([1.0, 2.0, 3.0])
    assert (masked(own, 0, 3, "round", 1) != masked(own, 0, 3, "round", 2)).all()
    again = masked(own + 0.25, 0, 3, "round", 1) - masked(own, 0, 3, "round", 1)
    assert (again % MODULUS * STEP).tolist() == [0.25] * 3


def test_negative_sums_and_the_largest_come_back():
    most = 2**31 * STEP / 2 - STEP  # of each of two clients
    for value in (-most, most, -STEP, 0.0):
        assert unmasked_sum(messages(torch.full((2, 1), value, dtype=torch.float64), 0)).item() == 2 * value


def test_what_would_wrap_around_is_refused():
    for value in (1024.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="does not wrap around"):
            masked(torch.tensor([0.0, value]), 0, 2, 0)
    with pytest.raises(ValueError, match="client 0 of 1 was to send"):
        masked(torch.ones(2), 0, 1, 0)
    with pytest.raises(ValueError, match="client 3 of 3 was to send"):
        masked(torch.ones(2), 3, 3, 0)
    for wrong in ([], [torch.ones(2)]):
        with pytest.raises(TypeError, match="Expected int64 from all clients"):
            unmasked_sum(wrong)
