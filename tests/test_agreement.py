"""The comparison of fresh trainings with shipped ones can fail, and has the bound that it says it has."""

import numpy as np
import pytest
from agreement import within_seeds
from scipy import stats

SHIPPED = [48.0, 50.0, 52.0, 54.0, 56.0]


@pytest.mark.parametrize("fresh", [1, 3, 30])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_is_that_of_a_difference_of_two_means(fresh, sign):
    reach = stats.t.ppf(0.9995, df=4) * np.std(SHIPPED, ddof=1) * np.sqrt(1 / fresh + 1 / 5)
    assert within_seeds([52 + sign * (reach - 0.01)] * fresh, SHIPPED)
    assert not within_seeds([52 + sign * (reach + 0.01)] * fresh, SHIPPED)


@pytest.mark.parametrize("wrong", [[27.0, 31.0, 26.0], [88.0, 89.0, 87.0], [np.nan] * 3])
def test_another_training_does_not_pass(wrong):
    assert not within_seeds(wrong, SHIPPED)
