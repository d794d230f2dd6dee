"""Whether a fresh training agrees with a shipped one, as far as seeds let anyone tell.

Another processor adds in another order. A training makes such differences in the last digit larger: the same seed ended
at 57 % on one processor and at 60 % on another. Only means over seeds can be compared.
"""

import numpy as np
from scipy.special import stdtrit

FRESH_SEEDS = range(3)  # those that are trained anew to be held against a shipped table


def within_seeds(fresh, shipped):
    """Return whether the mean of some fresh seeds is as near to the mean of the shipped ones as seeds scatter.

    The bound is that for a difference of two means, of n fresh seeds and of m shipped ones, which scatter alike: the
    shipped seeds' standard deviation s, times the square root of 1/n + 1/m, times the two-sided 99.9 % quantile of
    Student's t with m - 1 degrees of freedom, which allows for s being a guess from m seeds. It takes all seeds for
    independent. Fresh seeds choose the same labelled images as the shipped ones of the same number, so in truth they
    are nearer, and the bound is on the safe side.
    """
    reach = stdtrit(len(shipped) - 1, 0.9995) * np.std(shipped, ddof=1) * np.sqrt(1 / len(fresh) + 1 / len(shipped))
    return bool(abs(np.mean(fresh) - np.mean(shipped)) <= reach)
