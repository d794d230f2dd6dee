"""Methods on cached features: what each promises, and what all keep: a linear head, and no label of the target."""

import numpy as np
import pytest
import scipy.linalg
import torch

from tlcourse.adaptation.coral import covariance, recolouring
from tlcourse.photos import adapting
from tlcourse.photos.adapting import METHODS, Domains, aligned, check_method
from tlcourse.photos.probe import CachedFeatures


def cloud(n, seed, d=6):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=draws) @ torch.randn(d, d, generator=draws) + 3


@pytest.fixture
def domains(monkeypatch):
    """Three classes apart in six features; the target is the same, stretched and moved."""
    monkeypatch.setattr(adapting, "UPDATES", 40)
    draws = torch.Generator().manual_seed(0)
    means = 2.5 * torch.randn(3, 6, generator=draws)
    stretch = torch.tensor([1.0, 0.5, 2.0, 1.0, 0.7, 1.5])

    def some(n):
        labels = torch.arange(n) % 3
        return CachedFeatures(means[labels] + torch.randn(n, 6, generator=draws), labels)

    target = some(90)
    built = Domains(some(60), some(30), target.features * stretch + 4, 3)
    return built, target.labels


# the closed form


def test_source_features_get_the_covariance_of_the_target():
    source, target = cloud(300, 1), cloud(200, 2)
    moved = (source.double() - source.double().mean(0)) @ recolouring(source, target, penalty=1e-9)
    assert torch.allclose(covariance(moved), covariance(target.double()), atol=1e-4)


@pytest.mark.parametrize("count", [300, 4])
def test_the_matrix_is_that_of_scipy_also_with_fewer_photographs_than_features(count):
    source, target = cloud(count, 1).numpy().astype(float), cloud(count, 2).numpy().astype(float)
    cs, ct = np.cov(source.T), np.cov(target.T)
    r = 0.5 * (np.trace(cs) + np.trace(ct)) / 12 * np.eye(6)
    theirs = np.linalg.inv(scipy.linalg.sqrtm(cs + r).real) @ scipy.linalg.sqrtm(ct + r).real
    ours = recolouring(torch.from_numpy(source), torch.from_numpy(target), penalty=0.5)
    assert np.allclose(ours, theirs, atol=1e-6)


def test_between_equal_domains_nothing_moves_whatever_the_unit():
    few = cloud(4, 1)
    assert torch.allclose(recolouring(few, few), torch.eye(6).double(), atol=1e-9)
    assert torch.allclose(recolouring(cloud(50, 1), cloud(50, 2)), recolouring(1e3 * cloud(50, 1), 1e3 * cloud(50, 2)))
    with pytest.raises(ValueError, match="all features are the same"):
        recolouring(torch.ones(5, 3), torch.ones(5, 3))


# the methods


@pytest.mark.parametrize("name", METHODS)
def test_every_method_ends_as_a_linear_head_for_features_as_they_are(domains, name):
    built, _ = domains
    head, again = (METHODS[name][0](built, 3) for _ in range(2))
    logits = built.target.double() @ head.weight.T + head.bias
    assert torch.equal(logits, head.evidence.target.logits)
    assert torch.equal(head.weight, again.weight)
    assert head.weight.shape == (3, 6)
    assert torch.equal(head.answers, logits.argmax(1))


def test_what_was_moved_and_stretched_is_found_again(domains):
    built, labels = domains
    right = {
        name: (METHODS[name][0](built, 0).answers == labels).double().mean() for name in ("source", "coral", "mcc")
    }
    assert right["source"] < 0.8
    assert right["coral"] > right["source"] + 0.1
    assert right["mcc"] > right["source"] + 0.1


def test_moved_features_have_the_mean_of_the_target_and_the_target_stays(domains):
    built, _ = domains
    moved = aligned(built)
    assert torch.allclose(moved.train.features.mean(0), built.target.double().mean(0), atol=1e-5)
    assert moved.target is built.target
    assert torch.equal(moved.validation.labels, built.validation.labels)


def test_a_discriminator_sees_few_directions_and_the_head_all_features(domains, monkeypatch):
    monkeypatch.setattr(adapting, "DIRECTIONS", 2)
    head = METHODS["cdan"][0](domains[0], 0)
    assert head.weight.shape == (3, 6)
    assert torch.linalg.matrix_rank(head.weight) <= 2


def test_a_name_is_checked_and_the_source_is_always_run():
    assert check_method("auto") == list(METHODS)
    assert check_method("coral") == ["source", "coral"]
    assert check_method("source") == ["source"]
    with pytest.raises(
        ValueError, match=r"no method 'choral'\. Did you mean 'coral'\? Expected auto or one of: source"
    ):
        check_method("choral")
