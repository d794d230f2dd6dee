"""CORAL and MMD against NumPy and scikit-learn, in their limits, and what following their gradients does."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from tlcourse.adaptation.adapt import Answers
from tlcourse.adaptation.coral import CORAL, coral_distance
from tlcourse.adaptation.mmd import MMD, WIDTHS
from tlcourse.repro import generator
from tlcourse.transfer.domain_distance import multi_kernel_mmd, squared_mmd


def cloud(count, move=0.0, seed=0, size=4):
    draws = generator("alignment", seed)
    return torch.randn(count, size, generator=draws, dtype=torch.float64) * (1 + move) + move


def answers(first, second, views=2):
    features = torch.stack([first, second, *[first * 9] * (views - 2)])
    return Answers(torch.empty(0), features, torch.empty(0))


def test_coral_as_the_paper_writes_it():
    a, b = cloud(12).numpy(), cloud(9, 1.0, seed=1).numpy()
    naive = np.linalg.norm(np.cov(a.T) - np.cov(b.T), "fro") ** 2 / (4 * 4**2)
    assert coral_distance(torch.tensor(a), torch.tensor(b)).item() == pytest.approx(naive, rel=1e-9)


def test_coral_sees_covariances_alone():
    here, there = cloud(20), cloud(20, 1.0, seed=1)
    assert coral_distance(here, here) == 0
    assert coral_distance(here, here + 7).item() == pytest.approx(0, abs=1e-12), "means are not its business"
    assert coral_distance(here, there).item() == pytest.approx(coral_distance(there, here).item())
    assert coral_distance(2 * here, 2 * there).item() == pytest.approx(16 * coral_distance(here, there).item())


def test_mmd_pair_by_pair():
    a, b = cloud(8).numpy(), cloud(6, 1.0, seed=1).numpy()
    squares = sorted(np.square(p - q).sum() for p, q in itertools.permutations(np.concatenate([a, b]), 2))
    median = squares[(len(squares) - 1) // 2]  # as torch has it: the lower of two

    def mean(pairs):
        kernels = [np.mean([np.exp(-np.square(p - q).sum() / (w * median)) for w in WIDTHS]) for p, q in pairs]
        return np.mean(kernels)

    naive = mean(itertools.permutations(a, 2)) + mean(itertools.permutations(b, 2)) - 2 * mean(itertools.product(a, b))
    assert multi_kernel_mmd(torch.tensor(a), torch.tensor(b), WIDTHS).item() == pytest.approx(naive, abs=1e-9)


def test_mmd_by_the_kernels_of_scikit_learn_in_the_precision_of_training():
    a, b = cloud(30).float(), cloud(20, 1.0, seed=1).float()
    both = np.concatenate([a, b]).astype(np.float64)
    pairs = euclidean_distances(both, squared=True)[~np.eye(50, dtype=bool)]
    median = np.sort(pairs)[(len(pairs) - 1) // 2]
    naive = 0
    for width in WIDTHS:
        kernel = rbf_kernel(both, gamma=1 / (width * median))
        np.fill_diagonal(kernel, 0)
        within = kernel[:30, :30].sum() / (30 * 29) + kernel[30:, 30:].sum() / (20 * 19)
        naive += (within - 2 * kernel[:30, 30:].mean()) / len(WIDTHS)
    assert multi_kernel_mmd(a, b, WIDTHS).item() == pytest.approx(naive, abs=1e-6)


def test_mmd_of_one_kernel_is_the_distance_that_is_measured():
    a, b = cloud(8), cloud(6, 1.0, seed=1)
    assert multi_kernel_mmd(a, b).item() == pytest.approx(squared_mmd(a, b), abs=1e-12)


def test_mmd_in_its_limits():
    here = cloud(100)
    assert abs(multi_kernel_mmd(here, cloud(100, seed=1), WIDTHS)) < 0.02
    assert multi_kernel_mmd(here, here, WIDTHS) <= 0, "each image meets itself across, and not within"
    assert multi_kernel_mmd(here, here + 1000, WIDTHS) > 0.5


def test_mmd_of_features_that_are_all_the_same_is_0_and_so_is_its_gradient():
    same = torch.full((6, 4), 3.3, requires_grad=True)
    value = multi_kernel_mmd(same, same.detach(), WIDTHS)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(same.grad, torch.zeros(6, 4), atol=1e-5, rtol=0)


def test_the_median_is_taken_as_given_when_the_gradient_is_computed():
    a, b = cloud(5).requires_grad_(), cloud(4, 1.0, seed=1)
    multi_kernel_mmd(a, b).backward()
    both = torch.cat([a.detach(), b])
    pairs = torch.cdist(both, both).square()[~torch.eye(9, dtype=torch.bool)]
    median = pairs.median()

    def given(x):
        kernel = (-(torch.cat([x, b])[:, None] - torch.cat([x, b])).square().sum(2) / median).exp()
        within = (kernel[:5, :5].sum() - 5) / 20 + (kernel[5:, 5:].sum() - 4) / 12
        return within - 2 * kernel[:5, 5:].mean()

    expected = torch.autograd.functional.jacobian(given, a.detach())
    torch.testing.assert_close(a.grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("term", [CORAL(3.0), MMD(3.0)], ids=["CORAL", "MMD"])
def test_a_term_is_so_many_times_the_distance_and_falls_along_its_gradient(term):
    here, there = cloud(20), cloud(20, 1.0, seed=1).requires_grad_()
    distance = coral_distance(here, there) if isinstance(term, CORAL) else multi_kernel_mmd(here, there, WIDTHS)
    value = term(answers(here, there))
    assert value.item() == pytest.approx(3 * distance.item())
    assert term(answers(here, there, views=3)).item() == pytest.approx(value.item()), "a third view is not its business"
    value.backward()
    moved = there.detach() - 0.01 * there.grad
    assert term(answers(here, moved)) < value
