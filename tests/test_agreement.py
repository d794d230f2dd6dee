"""The comparison of fresh trainings with shipped ones can fail, and has the bound that it says it has."""

import numpy as np
import pytest
from agreement import within_seeds
from scipy import stats

SHIPPED = [48.0, 50.0, 52.0, 54.0, 56.0]


def test_the_bound_is_that_of_a_difference_of_two_means():
    reach = stats.t.ppf(0.9995, df=4) * np.std(SHIPPED, ddof=1) * np.sqrt(1 / 3 + 1 / 5)
    for away in (reach - 0.01, 0.01 - reach):
        assert within_seeds([51 + away, 52 + away, 53 + away], SHIPPED)
    for away in (reach + 0.01, -reach - 0.01):
        assert not within_seeds([51 + away, 52 + away, 53 + away], SHIPPED)


@pytest.mark.parametrize("wrong", [[27.0, 31.0, 26.0], [88.0, 89.0, 87.0], [np.nan] * 3])
def test_another_training_does_not_pass(wrong):
    assert not within_seeds(wrong, SHIPPED)


def test_more_seeds_are_held_to_a_smaller_difference():
    assert within_seeds([65.0] * 3, SHIPPED)
    assert not within_seeds([65.0] * 30, SHIPPED * 6)


def test_seeds_of_the_same_training_pass():
    """One comparison of a thousand may fail by luck, and here seeds are independent of each other."""
    draws = np.random.default_rng(0)
    passed = sum(within_seeds(draws.normal(50, 4, 3), draws.normal(50, 4, 10)) for _ in range(1000))
    assert passed >= 995
