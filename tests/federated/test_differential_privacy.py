"""Clipping and noise; epsilons by published accountants, by another formula, by integration, and in their limits."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from tlcourse.federated.differential_privacy import (
    ORDERS,
    clip,
    epsilon,
    gaussian_noise,
    noise_for,
    noisy_sum,
    renyi_divergence,
)
from tlcourse.repro import generator


def rows(count=30, size=5):
    return 3 * torch.randn(count, size, generator=generator("rows"), dtype=torch.float64)


def exact_epsilon(noise_multiplier, steps, delta):
    """Of Gaussian noise and all examples, no less is true: the curve of Dong, Roth and Su, 2022, JRSS B."""
    mu = math.sqrt(steps) / noise_multiplier

    def excess(e):
        return norm.cdf(mu / 2 - e / mu) - math.exp(e + norm.logcdf(-mu / 2 - e / mu)) - delta

    return brentq(excess, 0, 400)


@pytest.mark.parametrize(
    ("noise_multiplier", "steps", "delta", "share", "published"),
    [
        (1.3, 15 * 400, 1e-5, 150 / 60_000, 0.7242234026109595),
        (1.0, 30 * 1000, 1e-7, 100 / 100_000, 1.4154988495444842),
    ],
)
def test_epsilon_of_tensorflow_privacy(noise_multiplier, steps, delta, share, published):
    """Numbers that its test `compute_dp_sgd_privacy_test.py` expects (Test0 and Test1; best orders 19 and 13)."""
    assert epsilon(noise_multiplier, steps, delta, share) == pytest.approx(published, rel=1e-9)


@pytest.mark.parametrize(
    ("noise_multiplier", "steps", "delta", "share", "renyi", "tight"),
    [
        (0.7, 2, 1e-5, 1.0, 10.8602036, 10.1224946),  # no_subsampling: 1.2 epochs of one step each, rounded up
        (0.7, 120, 1e-5, 0.01, 3.2392676, 2.4612381),  # with_subsampling
        # The statement for 10,000 examples, batches of 64, 5 epochs: its multiplier of 2 is of a norm that is half.
        (1.0, 5, 1e-6, 1.0, 13.376, 12.595),
        (1.0, 782, 1e-6, 0.0064, 1.616, 1.199),
    ],
)
def test_between_the_accountants_of_tensorflow_privacy(noise_multiplier, steps, delta, share, renyi, tight):
    """The same test has Rényi numbers of fractional orders too, which we lack, and tighter ones by privacy loss."""
    ours = epsilon(noise_multiplier, steps, delta, share)
    assert tight < ours
    assert 0.9995 * renyi < ours < 1.06 * renyi


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("noise_multiplier", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-5])
def test_epsilon_is_above_the_exact_curve_and_not_far(steps, noise_multiplier, delta):
    exact = exact_epsilon(noise_multiplier, steps, delta)
    assert exact < epsilon(noise_multiplier, steps, delta) < 1.25 * exact


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_renyi_divergence_by_integration(share):
    """Of the mixture `(1 - q) N(0, s^2) + q N(1, s^2)` from `N(0, s^2)`, by its definition."""
    s = 1.5
    found = renyi_divergence(s, share)

    def term(x, a):
        ratio = 1 - share + share * math.exp((2 * x - 1) / (2 * s**2))
        return norm.pdf(x, scale=s) * ratio**a

    for place in (0, 1, 6):
        a = ORDERS[place].item()
        moment = quad(term, -40, 60, args=(a,), points=(0, a), limit=200)[0]
        assert found[place].item() == pytest.approx(math.log(moment) / (a - 1), rel=1e-6)


def test_all_examples_are_the_limit_of_nearly_all():
    for noise_multiplier in (0.8, 3.0):
        near, all_of_them = (renyi_divergence(noise_multiplier, share) for share in (1 - 1e-12, 1.0))
        torch.testing.assert_close(near, all_of_them, rtol=1e-6, atol=0)
    assert epsilon(2.0, 10, 1e-5, 1e-9) < 0.04, "hardly anybody takes part: what is left is that of the orders"


def test_epsilon_moves_as_it_must():
    base = epsilon(2.0, 10, 1e-5, 0.5)
    assert epsilon(3.0, 10, 1e-5, 0.5) < base < epsilon(2.0, 20, 1e-5, 0.5)
    assert epsilon(2.0, 10, 1e-4, 0.5) < base < epsilon(2.0, 10, 1e-5, 0.6)
    assert epsilon(0.0, 1, 1e-5) == math.inf
    assert epsilon(1e9, 1, 0.5) == 0


@pytest.mark.parametrize("share", [1.0, 0.1])
@pytest.mark.parametrize("target", [0.5, 1.0, 8.0, 100.0])
def test_noise_is_the_least_that_keeps_the_promise(share, target):
    found = noise_for(target, 30, 1e-3, share)
    assert target * (1 - 1e-9) < epsilon(found, 30, 1e-3, share) <= target
    assert epsilon(found * 0.999, 30, 1e-3, share) > target


def test_no_promise_needs_no_noise():
    assert noise_for(math.inf, 30, 1e-3) == 0


def test_long_rows_are_shortened_and_others_stay():
    given = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    torch.testing.assert_close(clip(given, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    lengths = np.linalg.norm(rows().numpy(), axis=1, keepdims=True)
    expected = rows().numpy() * np.minimum(1, 4 / lengths)
    np.testing.assert_allclose(clip(rows(), 4.0).numpy(), expected, rtol=1e-12)
    assert (lengths > 4).any()
    assert (lengths < 4).any()


def test_no_example_moves_the_sum_by_more_than_the_norm():
    """Both ways: with one example more the sum moves, at most by the norm, however long the example is."""
    for scale in (0.01, 1.0, 1e6):
        extra = torch.cat([rows(), scale * torch.ones(1, 5)])
        ends = [noisy_sum(some, 2.0, 1.5, generator("same noise")) for some in (rows(), extra)]
        moved = (ends[1] - ends[0]).norm().item()
        assert moved == pytest.approx(min(2.0, scale * math.sqrt(5)), rel=1e-6)


def test_noise_has_the_deviation_that_was_asked_for():
    plain = clip(torch.ones(3, 20_000), 2.0).sum(0)
    noise = noisy_sum(torch.ones(3, 20_000), 2.0, 1.5, generator("noise")) - plain
    assert noise.std().item() == pytest.approx(3.0, rel=0.03)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.1)
    assert torch.equal(noisy_sum(torch.ones(3, 20_000), 2.0, 0.0, generator("noise")), plain)
    torch.testing.assert_close(gaussian_noise(plain, 2.0, 1.5, generator("noise")), noise)


def test_of_no_rows_it_is_noise_alone():
    alone = noisy_sum(torch.zeros(0, 4), 2.0, 1.5, generator("noise"))
    assert torch.equal(alone, gaussian_noise(torch.zeros(4), 2.0, 1.5, generator("noise")))
    assert alone.all()


def test_the_mechanism_keeps_its_promise_on_many_draws():
    """An attacker who guesses, from one sum, whether an example took part is no surer than (epsilon, delta) allows."""
    delta, s = 1e-3, 1.0
    promised = epsilon(s, 1, delta)
    draws = generator("attack")
    without, with_it = (start + s * torch.randn(200_000, generator=draws) for start in (0.0, 1.0))
    for threshold in (0.0, 1.0, 2.0, 3.0):
        caught, false_alarm = ((side > threshold).double().mean().item() for side in (with_it, without))
        assert caught <= math.exp(promised) * false_alarm + delta + 0.005
    assert caught > math.exp(1.0) * false_alarm, "with a third of the promise it would not hold"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clip(torch.ones(3), 1.0), r"shape \[3\] came. Expected \[N, D\]"),
        (lambda: clip(torch.full((2, 2), torch.nan), 1.0), "finite numbers alone"),
        (lambda: clip(torch.ones(2, 2), 0.0), "length above 0"),
        (lambda: noisy_sum(torch.ones(2, 2), 1.0, -1.0, generator()), "at least 0 was expected"),
        (lambda: epsilon(float("nan"), 1, 1e-5), "at least 0 was expected"),
        (lambda: epsilon(1.0, 0, 1e-5), "steps are 0"),
        (lambda: epsilon(1.0, 1.5, 1e-5), r"steps are 1\.5"),
        (lambda: epsilon(1.0, 1, 0.0), "less than one in the number of examples"),
        (lambda: epsilon(1.0, 1, 1e-5, 1.5), r"share is 1\.5"),
        (lambda: noise_for(0.0, 1, 1e-5), r"target is an epsilon of 0\.0"),
        (lambda: noise_for(math.inf, 1, 2.0), "delta is 2"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
