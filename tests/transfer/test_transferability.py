"""Every score against a naive computation, in its limits, and with what it must refuse."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from tlcourse.repro import generator
from tlcourse.transfer.transferability import (
    h_score,
    knn_accuracy,
    leep,
    logme,
    probe_accuracy,
    regularised_h_score,
)

SCORES = [knn_accuracy, probe_accuracy, logme, h_score, regularised_h_score]


def cloud(count=60, size=8, classes=4, apart=1.0, seed=0):
    draws = generator("cloud", seed)
    labels = torch.arange(count) % classes
    return torch.randn(count, size, generator=draws) + apart * torch.eye(classes, size)[labels], labels


def one_hot(y):
    return np.eye(int(y.max()) + 1)[y.numpy()]


def test_knn_is_a_vote_of_the_others():
    x, y = cloud()
    rows = (x / x.norm(dim=1, keepdim=True)).numpy()
    right = 0
    for i, row in enumerate(rows):
        others = [j for j in np.argsort(-(rows @ row)) if j != i][:3]
        votes = np.bincount(y[others], minlength=4)
        winners = np.flatnonzero(votes == votes.max())
        right += next(int(y[j]) for j in others if int(y[j]) in winners) == int(y[i])
    assert knn_accuracy(x, y) == pytest.approx(100 * right / 60)


def test_probe_and_knn_read_what_can_be_read_and_guess_where_nothing_can():
    told, nothing = cloud(apart=50.0), cloud(count=240, apart=0.0)
    for score in (knn_accuracy, probe_accuracy):
        assert score(*told) == 100
        assert score(*nothing) == pytest.approx(25, abs=10)


def answers(count=50, old=6, seed=1):
    return torch.randn(count, old, generator=generator("answers", seed)).softmax(1)


def test_leep_as_the_paper_writes_it():
    said, y = answers(), torch.arange(50) % 3
    joint = np.zeros((3, 6))
    for shares, label in zip(said.double().numpy(), y, strict=True):
        joint[label] += shares / 50
    given = joint / joint.sum(0)
    naive = np.mean([np.log(given[label] @ shares) for shares, label in zip(said.double().numpy(), y, strict=True)])
    assert leep(said, y) == pytest.approx(naive, abs=1e-6)


def test_leep_in_its_limits():
    y = torch.arange(40) % 4
    assert leep(torch.eye(4)[y], y) == pytest.approx(0)
    assert leep(torch.eye(4)[3 - y], y) == pytest.approx(0), "other names for the same classes"
    assert leep(torch.full((40, 5), 0.2), y) == pytest.approx(-np.log(4)), "answers that say nothing"


def test_leep_with_an_old_class_that_no_image_falls_into():
    said, y = answers(), torch.arange(50) % 3
    wider = torch.cat([said, torch.zeros(50, 2)], 1)
    assert leep(wider, y) == pytest.approx(leep(said, y), abs=1e-9)


def evidence(x, target, alpha, beta):
    """The log density of the targets with all weights averaged out."""
    return multivariate_normal(cov=np.eye(len(x)) / beta + x @ x.T / alpha).logpdf(target)


@pytest.mark.parametrize(("count", "size"), [(40, 6), (20, 20), (15, 30)], ids=["N > D", "N = D", "N < D"])
def test_logme_is_the_largest_evidence(count, size):
    x, y = cloud(count, size, classes=3, apart=2.0, seed=count)
    x = x.double()
    best = []
    for target in one_hot(y).T:
        found = [
            minimize(lambda p, t=target: -evidence(x.numpy(), t, *np.exp(p)), start, method="Nelder-Mead").fun
            for start in ((0.0, 0.0), (4.0, 1.0), (-2.0, 3.0))
        ]
        best.append(-min(found) / count)
    assert logme(x, y) == pytest.approx(np.mean(best), abs=1e-4)


def test_logme_knows_nothing_of_rotations_and_empty_features():
    x, y = cloud(20, 40)
    turned = torch.linalg.qr(torch.randn(40, 40, generator=generator("turn"), dtype=torch.float64))[0]
    assert logme(x.double() @ turned, y) == pytest.approx(logme(x, y), abs=1e-6)
    assert logme(torch.cat([x, torch.zeros(20, 9)], 1), y) == pytest.approx(logme(x, y), abs=1e-6)


def naive_h(x, y, covariance, factor=1.0):
    centred = x - x.mean(0)
    means = np.stack([centred[y == label].mean(0) for label in y])
    return factor * np.trace(np.linalg.pinv(covariance, rcond=1e-10) @ (means.T @ means / len(x)))


@pytest.mark.parametrize("count", [60, 6 * 4])
def test_h_scores_as_the_papers_write_them(count):
    x, y = cloud(count, 12)
    rows, labels = x.double().numpy(), y.numpy()
    assert h_score(x, y) == pytest.approx(naive_h(rows, labels, np.cov(rows.T, bias=True)), rel=1e-6)
    shrunk = LedoitWolf().fit(rows)
    naive = naive_h(rows, labels, shrunk.covariance_, 1 - shrunk.shrinkage_)
    assert regularised_h_score(x, y) == pytest.approx(naive, rel=1e-6)


def test_with_fewer_images_than_features_the_h_score_is_at_its_maximum_whatever_they_are():
    few, many = cloud(50, 128, classes=10, apart=0.0), cloud(2000, 128, classes=10, apart=0.0)
    assert h_score(*few) == pytest.approx(9, abs=1e-6)
    assert h_score(*many) < 1
    assert regularised_h_score(*few) < 2
    assert regularised_h_score(*many) < 0.1


@pytest.mark.parametrize("score", SCORES)
def test_what_tells_classes_apart_scores_higher(score):
    assert score(*cloud(200, apart=4.0)) > score(*cloud(200, apart=1.0)) > score(*cloud(200, apart=0.0))


@pytest.mark.parametrize("score", [*SCORES, leep])
def test_bad_input_is_refused(score):
    x, y = answers(), torch.arange(50) % 3
    with pytest.raises(ValueError, match=r"shape \[50\], labels \[50\]. Expected \[N, D\] and \[N\]"):
        score(x[:, 0], y)
    with pytest.raises(ValueError, match=r"labels \[49\]"):
        score(x, y[1:])
    with pytest.raises(ValueError, match="infinite or not a number"):
        score(x / 0, y)
    with pytest.raises(ValueError, match=r"labels go from 2 to 2. Expected .* at least two classes"):
        score(x, y * 0 + 2)


def test_what_only_some_refuse():
    x, y = cloud()
    with pytest.raises(ValueError, match=r"k is 60 for 60 images. Expected from 1 to 59"):
        knn_accuracy(x, y, 60)
    with pytest.raises(ValueError, match=r"add up to .*softmax of the old head"):
        leep(x, y)
