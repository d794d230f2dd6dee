import functools

import numpy as np
import pytest
import scipy.stats

from tlcourse.evaluation.intervals import (
    Interval,
    bootstrap_groups,
    bootstrap_mean,
    group_means,
    paired_difference,
    standard_error,
    t_interval,
    wilson_interval,
)

QUICK = functools.partial(bootstrap_mean, resamples=400)
T_COVERAGE = [(t_interval, 3, 0.95), (t_interval, 5, 0.95), (t_interval, 30, 0.95)]
VALUES = [61.2, 55.0, 58.3, 70.1, 49.9, 63.3, 60.0, 52.4]


def test_agrees_with_scipy():
    ours = bootstrap_mean(VALUES, resamples=50_000)
    theirs = scipy.stats.bootstrap(
        (VALUES,), np.mean, n_resamples=50_000, method="percentile", random_state=1
    ).confidence_interval
    assert ours.mean == pytest.approx(np.mean(VALUES))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.1)


def test_pairing_takes_out_what_both_share():
    noise = np.random.default_rng(0).normal(size=20) * 10
    a, b = noise + 2.0, noise
    assert paired_difference(a, b).low == pytest.approx(2.0)
    assert bootstrap_mean(a).low < bootstrap_mean(b).high  # side by side, the two intervals overlap


def test_interval_reads_well():
    assert str(Interval(90.123, 88.0, 92.06)) == "90.1 [88.0, 92.1]"


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_t_interval_agrees_with_scipy(level):
    ours = t_interval(VALUES, level)
    theirs = scipy.stats.ttest_1samp(VALUES, 0).confidence_interval(level)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((np.mean(VALUES), theirs.low, theirs.high))


@pytest.mark.parametrize("hits", [0, 1, 33, 50])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_agrees_with_scipy(hits, level):
    ours = wilson_interval(hits, 50, level)
    theirs = scipy.stats.binomtest(hits, 50).proportion_ci(level, method="wilson")
    assert (ours.mean, ours.low, ours.high) == pytest.approx((2 * hits, 100 * theirs.low, 100 * theirs.high))


GROUPS = [0, 0, 1, 1, 1, 2, 3, 3]


def test_groups_are_drawn_whole():
    ours = bootstrap_groups(VALUES, GROUPS, resamples=20_000)
    draws, members = np.random.default_rng(5), [np.flatnonzero(np.equal(GROUPS, g)) for g in range(4)]
    naive = [
        np.mean(np.take(VALUES, np.concatenate([members[g] for g in draws.integers(4, size=4)]))) for _ in range(8000)
    ]
    assert ours.mean == pytest.approx(np.mean(VALUES))
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])), abs=0.35)


def test_group_means_and_standard_errors():
    assert group_means([1.0, 3.0, 10.0], [7, 7, 2]) == [10.0, 2.0]  # in order of the groups' numbers
    assert standard_error(VALUES) == pytest.approx(scipy.stats.sem(VALUES))
    assert standard_error(VALUES, GROUPS) == pytest.approx(scipy.stats.sem(group_means(VALUES, GROUPS)))


TOO_FEW = r"at least two finite numbers were expected.*Run more seeds"
GROUPLESS = r"Expected one group number a value, and at least two groups"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        *((bootstrap_mean, (values,), TOO_FEW) for values in ([], [1], [1, np.nan], [1, np.inf], [[1.0, 2.0]])),
        *((bootstrap_mean, (VALUES, level), "strictly between 0 and 1") for level in (0, 1, 95)),
        (wilson_interval, (1, 2, 95), "strictly between 0 and 1"),
        *((wilson_interval, (h, n), f"got {h} hits of {n} images") for h, n in ((-1, 5), (6, 5), (0, 0))),
        (paired_difference, ([1, 2], [1, 2, 3]), "got 2 and 3 values"),
        *((bootstrap_groups, (VALUES, groups), GROUPLESS) for groups in ([0] * 8, [0, 1], [[0, 1]])),
        (group_means, (VALUES, [0] * 8), GROUPLESS),
        (standard_error, (VALUES, [0] * 8), GROUPLESS),
    ],
)
def test_what_says_nothing_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize(("make", "seeds", "expected"), [(QUICK, 5, 0.83), (QUICK, 30, 0.94), *T_COVERAGE])
def test_how_often_the_interval_holds_the_truth(make, seeds, expected):
    samples = np.random.default_rng(0).normal(size=(1500, seeds))
    intervals = [make(sample) for sample in samples]
    assert np.mean([i.low <= 0 <= i.high for i in intervals]) == pytest.approx(expected, abs=0.025)
