import numpy as np
import pytest
import scipy.stats

from tlcourse.stats import Interval, bootstrap_mean, paired_difference

VALUES = [61.2, 55.0, 58.3, 70.1, 49.9, 63.3, 60.0, 52.4]


def test_agrees_with_scipy():
    ours = bootstrap_mean(VALUES, resamples=50_000)
    theirs = scipy.stats.bootstrap(
        (VALUES,), np.mean, n_resamples=50_000, method="percentile", random_state=1
    ).confidence_interval
    assert ours.mean == pytest.approx(np.mean(VALUES))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.1)


def test_equal_values_give_no_width():
    assert bootstrap_mean([3.0, 3.0, 3.0]) == Interval(3.0, 3.0, 3.0)


def test_higher_level_is_wider():
    wide, narrow = bootstrap_mean(VALUES, 0.99), bootstrap_mean(VALUES, 0.5)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_same_seed_same_interval():
    assert bootstrap_mean(VALUES) == bootstrap_mean(VALUES)
    assert bootstrap_mean(VALUES, seed=1) != bootstrap_mean(VALUES, seed=2)


@pytest.mark.parametrize(("seeds", "expected"), [(5, 0.83), (30, 0.94)])
def test_how_often_the_interval_holds_the_truth(seeds, expected):
    samples = np.random.default_rng(0).normal(size=(1500, seeds))
    intervals = [bootstrap_mean(sample, resamples=400) for sample in samples]
    assert np.mean([i.low <= 0 <= i.high for i in intervals]) == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")], [[1.0, 2.0]]])
def test_too_little_to_say_anything(values):
    with pytest.raises(ValueError, match=r"at least two finite numbers were expected.*Run more seeds"):
        bootstrap_mean(values)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_out_of_range(level):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        bootstrap_mean(VALUES, level)


def test_pairing_takes_out_what_both_share():
    noise = np.random.default_rng(0).normal(size=20) * 10
    a, b = noise + 2.0, noise
    assert paired_difference(a, b).low == pytest.approx(2.0)
    assert bootstrap_mean(a).low < bootstrap_mean(b).high  # side by side, the two intervals overlap


def test_pairs_need_partners():
    with pytest.raises(ValueError, match="got 2 and 3 values"):
        paired_difference([1, 2], [1, 2, 3])


def test_interval_reads_well():
    assert str(Interval(90.123, 88.0, 92.06)) == "90.1 [88.0, 92.1]"
