import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from tlcourse.evaluation.selective import answered_and_right, keep_promise, lower_bound, risk_coverage

DRAWS = torch.Generator().manual_seed(0)


def answers(count, slope=1.0):
    """Confidences from 0.5 to 1, and answers that are right as often as they say, or less often by a slope below 1."""
    confidence = 0.5 + 0.5 * torch.rand(count, generator=DRAWS, dtype=torch.float64)
    return confidence, torch.rand(count, generator=DRAWS, dtype=torch.float64) < slope * confidence


@pytest.mark.parametrize(("right", "count"), [(0, 3), (1, 1), (7, 10), (60, 60), (250, 260)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.995])
def test_bound_is_that_of_scipy(right, count, level):
    theirs = binomtest(right, count, alternative="greater").proportion_ci(level, method="exact").low
    assert lower_bound(right, count, level) == pytest.approx(100 * theirs)


def test_risk_coverage_is_a_naive_one():
    confidence, right = answers(80)
    confidence = (10 * confidence).round() / 10  # with equal ones
    curve = risk_coverage(confidence, right)
    for coverage, risk, threshold in zip(curve.coverage, curve.risk, curve.thresholds, strict=True):
        given = confidence.numpy() >= threshold.item()
        assert coverage == pytest.approx(given.mean())
        assert risk == pytest.approx(1 - right.numpy()[given].mean())
    assert curve.coverage[-1] == 1
    assert len(curve.risk) == len(np.unique(confidence.numpy()))


def test_a_threshold_answers_what_it_says():
    confidence, right = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([True, False, True, True])
    assert answered_and_right(confidence, right, 0.8) == (50, 50)
    assert answered_and_right(confidence, right, 0.0) == (100, 75)
    answered, accuracy = answered_and_right(confidence, right, math.inf)
    assert answered == 0
    assert math.isnan(accuracy)


def test_what_was_found_is_what_the_threshold_does():
    confidence, right = answers(2000)
    found = keep_promise(confidence, right, 85)
    assert answered_and_right(confidence, right, found.threshold) == pytest.approx((found.answered, found.accuracy))
    assert 85 <= found.bound <= found.accuracy
    assert 10 < found.answered < 70  # answers above a confidence of 0.7 are right in 85 of 100, so 60 % would be most
    easier, harder = keep_promise(confidence, right, 75), keep_promise(confidence, right, 97)
    assert easier.answered > found.answered > harder.answered


def test_all_right_and_all_wrong():
    confidence = torch.linspace(0.5, 1, 400)
    everything = keep_promise(confidence, torch.ones(400, dtype=torch.bool), 95)
    assert (everything.answered, everything.accuracy) == (100, 100)
    nothing = keep_promise(confidence, torch.zeros(400, dtype=torch.bool), 1)
    assert (nothing.threshold, nothing.answered, nothing.bound) == (math.inf, 0, 0)
    few = keep_promise(confidence[:40], torch.ones(40, dtype=torch.bool), 95)
    assert few.answered == 0  # forty right answers are too few for 95 %


def test_the_promise_is_kept_as_often_as_it_says_and_a_bare_accuracy_is_not():
    broken = bare = 0
    for _ in range(200):
        confidence, right = answers(300)
        found = keep_promise(confidence, right, 85, level=0.9)
        curve = risk_coverage(confidence, right)
        luckiest = curve.thresholds[curve.risk <= 0.15].min().item() if (curve.risk <= 0.15).any() else math.inf
        truth = [(1 + min(threshold, 1)) / 2 for threshold in (found.threshold, luckiest)]  # mean confidence above it
        broken += truth[0] < 0.85
        bare += truth[1] < 0.85
    assert broken <= 20  # 10 % of 200
    assert bare > 60


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lower_bound(3, 2), "got 3 right of 2 answers"),
        (lambda: lower_bound(1, 2, 95), "level is 95, but a share"),
        (lambda: keep_promise(*answers(9), 0.95 * 200), "promise is 190.0, but a number of percent"),
        (lambda: risk_coverage(torch.ones(3), torch.ones(3)), r"torch.float32 \[3\].*logits.argmax\(1\) == labels"),
        (lambda: risk_coverage(torch.tensor([math.nan]), torch.tensor([True])), "infinite or not a number"),
        (lambda: answered_and_right(torch.ones(2), torch.ones(3, dtype=torch.bool), 0.5), r"confidences \[2\]"),
    ],
)
def test_what_cannot_be_promised_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
