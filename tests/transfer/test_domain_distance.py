"""Distances of domains against SciPy and naive sums, in their limits, and with what they must refuse."""

import itertools

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from tlcourse.repro import generator
from tlcourse.transfer.domain_distance import frechet_distance, proxy_a_distance, squared_mmd

DISTANCES = [frechet_distance, squared_mmd, proxy_a_distance]


def cloud(count, move=0.0, size=5, seed=0):
    return torch.randn(count, size, generator=generator("domain", seed)) * torch.arange(1, size + 1) + move


def test_frechet_by_scipys_matrix_root():
    a, b = (cloud(50, seed=0).double().numpy(), cloud(40, 1.0, seed=1).double().numpy() * 2)
    first, second = np.cov(a.T), np.cov(b.T)
    naive = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(torch.tensor(a), torch.tensor(b)) == pytest.approx(naive, rel=1e-6)


def test_mmd_pair_by_pair():
    a, b = cloud(12).double().numpy(), cloud(9, 1.0, seed=1).double().numpy()
    both = np.concatenate([a, b])
    squares = [np.square(p - q).sum() for p, q in itertools.permutations(both, 2)]
    middle = np.sort(squares)[(len(squares) - 1) // 2]  # as torch has it: the lower of two

    def mean(pairs):
        return np.mean([np.exp(-np.square(p - q).sum() / middle) for p, q in pairs])

    naive = mean(itertools.permutations(a, 2)) + mean(itertools.permutations(b, 2))
    naive -= 2 * mean(itertools.product(a, b))
    assert squared_mmd(torch.tensor(a), torch.tensor(b)) == pytest.approx(naive, abs=1e-9)


def test_one_domain_is_near_and_another_the_farther_the_more_it_moved():
    here = cloud(200)
    for distance in DISTANCES:
        far = [distance(here, cloud(200, move, seed=1)) for move in (0.0, 1.0, 4.0)]
        assert far[0] < far[1] < far[2]
    assert abs(squared_mmd(here, cloud(200, seed=1))) < 0.01
    assert proxy_a_distance(here, cloud(200, seed=1)) < 0.4
    assert proxy_a_distance(here, cloud(700, 100.0, seed=1)) == 2


@pytest.mark.parametrize("distance", DISTANCES)
def test_bad_input_is_refused(distance):
    with pytest.raises(ValueError, match=r"shape \[9, 5\] and \[9, 4\]. Expected \[N, D\] and \[M, D\]"):
        distance(cloud(9), cloud(9, size=4))
    with pytest.raises(ValueError, match="infinite or not a number"):
        distance(cloud(9) / 0, cloud(9))
