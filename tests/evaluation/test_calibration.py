import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar

from tlcourse.evaluation.calibration import (
    calibration_error,
    chance_calibration_error,
    fit_temperature,
    reliability,
)

DRAWS = torch.Generator().manual_seed(0)


def honest(count, sharpness=2.0):
    """Logits whose probabilities are exactly right: the labels are drawn with them."""
    logits = sharpness * torch.randn(count, 4, generator=DRAWS)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=DRAWS)[:, 0]


LOGITS, LABELS = honest(4000)


def naive_error(logits, labels, bins):
    probabilities = np.exp(logits.numpy().astype(float))
    probabilities /= probabilities.sum(1, keepdims=True)
    total = 0.0
    for i in range(bins):
        members = [
            (p.max(), p.argmax() == y)
            for p, y in zip(probabilities, labels.numpy(), strict=True)
            if i / bins < p.max() <= (i + 1) / bins
        ]
        if members:
            sure, right = np.mean(members, axis=0)
            total += len(members) / len(labels) * abs(sure - right)
    return 100 * total


@pytest.mark.parametrize("bins", [1, 7, 10, 15])
def test_error_agrees_with_a_naive_one(bins):
    logits, labels = 3 * LOGITS[:300], LABELS[:300]
    assert calibration_error(logits, labels, bins) == pytest.approx(naive_error(logits, labels, bins))


def test_known_cases():
    sure = torch.tensor([[50.0, 0.0]]).repeat(10, 1)
    assert calibration_error(sure, torch.zeros(10, dtype=torch.int64)) == pytest.approx(0)
    wrong = reliability(sure, torch.ones(10, dtype=torch.int64))
    assert wrong.error == pytest.approx(100)
    assert wrong.overconfidence == pytest.approx(100)
    shy = reliability(torch.zeros(10, 2), torch.zeros(10, dtype=torch.int64))  # says 50 %, is always right
    assert shy.error == pytest.approx(50)
    assert shy.count[4] == 10  # a border belongs to the bin below it
    assert shy.overconfidence == pytest.approx(-50)


@pytest.mark.parametrize("heat", [0.3, 1.0, 4.0])
def test_temperature_agrees_with_scipy(heat):
    logits = heat * LOGITS.double()
    theirs = minimize_scalar(
        lambda log: F.cross_entropy(logits / np.exp(log), LABELS).item(), bounds=(-3, 3), method="bounded"
    )
    ours = fit_temperature(logits, LABELS)
    assert ours == pytest.approx(np.exp(theirs.x), rel=1e-3)
    assert ours == pytest.approx(heat, rel=0.06)  # it undoes the heat, as the logits were right before


def test_even_a_perfect_network_has_some_error_by_chance():
    few, many = chance_calibration_error(LOGITS[:50], repeats=50), chance_calibration_error(LOGITS, repeats=20)
    assert 5 < few < 20
    assert many < few / 4
    assert calibration_error(LOGITS, LABELS) == pytest.approx(many, abs=1.2)
    assert chance_calibration_error(LOGITS[:50], repeats=5) == chance_calibration_error(LOGITS[:50], repeats=5)
    assert chance_calibration_error(50 * torch.eye(4)) == pytest.approx(0)


def test_what_cannot_be_calibrated_is_refused():
    for function in (reliability, fit_temperature):
        with pytest.raises(ValueError, match=r"Expected \[N, classes\] and \[N\]"):
            function(LOGITS, LABELS[:5])
        with pytest.raises(ValueError, match=r"labels \[0\]"):
            function(LOGITS[:0], LABELS[:0])
        with pytest.raises(ValueError, match="a logit is infinite or not a number"):
            function(torch.tensor([[float("nan"), 1.0]]), torch.tensor([0]))
    with pytest.raises(ValueError, match="0 bins were asked for"):
        reliability(LOGITS, LABELS, 0)
    with pytest.raises(ValueError, match="0 repeats were asked for"):
        chance_calibration_error(LOGITS, repeats=0)
