import numpy as np
import pytest
import scipy.stats

from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.evaluation.significance import coverage, holm, mcnemar, power_curve, selection_optimism


def hits(both, only_a, only_b, neither):
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


@pytest.mark.parametrize("counts", [(5, 3, 9, 2), (0, 12, 1, 0), (0, 0, 7, 3), (4, 5, 5, 4), (800, 36, 30, 25)])
def test_mcnemar_agrees_with_scipy(counts):
    result = mcnemar(*hits(*counts))
    _, only_a, only_b, _ = counts
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert result.p_value == pytest.approx(scipy.stats.binomtest(only_a, only_a + only_b).pvalue)


def test_mcnemar_looks_only_at_images_that_tell_them_apart():
    assert mcnemar(*hits(0, 3, 9, 0)) == mcnemar(*hits(500, 3, 9, 70))
    assert mcnemar(*hits(5, 0, 0, 5)).p_value == 1
    assert str(mcnemar(*hits(0, 3, 9, 0))) == "only A right: 3, only B right: 9, p = 0.146"


def step_down(p_values, level):
    """Holm's procedure as its author tells it: reject the smallest while it is at most level / tests that are left."""
    left, rejected = list(enumerate(p_values)), set()
    while left:
        test, p = min(left, key=lambda item: item[1])
        if p > level / len(left):
            break
        rejected.add(test)
        left.remove((test, p))
    return rejected


def test_holm_rejects_what_the_procedure_rejects():
    draws = np.random.default_rng(0)
    for tests in (1, 2, 5, 13):
        p_values = (draws.random(tests) ** 3).tolist()
        corrected = holm(p_values)
        for level in (0.01, 0.05, 0.2, 0.5):
            assert {test for test, p in enumerate(corrected) if p <= level} == step_down(p_values, level)
    assert holm([0.01, 0.04, 0.03, 0.6]) == pytest.approx([0.04, 0.09, 0.09, 0.6])
    assert holm([0.03, 0.03]) == [0.06, 0.06]
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_coverage_at_its_limits():
    assert coverage(lambda _: Interval(0, -100, 100), 3) == 100
    assert coverage(lambda _: Interval(0, 50, 100), 3) == 0
    assert coverage(lambda v: Interval(0, np.mean(v), 100), 3) == pytest.approx(50, abs=5)


@pytest.mark.parametrize(("difference", "spread"), [(2.0, 1.5), (2.0, 4.0), (0.0, 1.0)])
def test_power_agrees_with_the_noncentral_t_distribution(difference, spread):
    power = power_curve(difference, spread, most=20)
    for n in (2, 5, 20):
        edge = scipy.stats.t.ppf(0.975, n - 1)
        theory = scipy.stats.nct(n - 1, difference / spread * np.sqrt(n))
        expected = 100 * (theory.sf(edge) + theory.cdf(-edge)) if difference else 5.0
        assert power[n] == pytest.approx(expected, abs=2)


def test_optimism_agrees_with_the_exact_mean_of_the_largest():
    count = np.arange(51)
    largest = scipy.stats.binom.cdf(count, 50, 0.8) ** 10
    exact = 100 * np.diff(largest, prepend=0) @ count / 50 - 80
    assert selection_optimism(10, 50, 80, experiments=20_000)[0] == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (mcnemar, ([True], [True, False]), "Expected one value an image, for the same images"),
        (mcnemar, ([], []), "Expected one value an image"),
        (mcnemar, ([[True]], [[True]]), "Expected one value an image"),
        (holm, ([0.5, 1.5],), r"got p-values \[0.5, 1.5\]. Expected numbers from 0 to 1"),
        (holm, ([float("nan")],), "Expected numbers from 0 to 1"),
        (coverage, (t_interval, 1), "got 1 seeds"),
        (power_curve, (2.0, 0), "Expected a spread above 0"),
        (power_curve, (2.0, float("nan")), "Expected a spread above 0"),
        (power_curve, (2.0, 1, 1), "at least 2 seeds"),
        (power_curve, (2.0, 1, 10, 95), "a level strictly between 0 and 1"),
        (selection_optimism, (0, 50, 80), "Expected at least one of each"),
        (selection_optimism, (5, 0, 80), "Expected at least one of each"),
        (selection_optimism, (5, 50, 101), "an accuracy from 0 to 100"),
    ],
)
def test_what_cannot_be_computed_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=rf"(?s){message}"):
        function(*arguments)
