"""The linear probe of photographs: which penalty is chosen, by which photographs, and what the head learns from."""

import numpy as np
import pytest
import torch

from tlcourse.photos import probe as module
from tlcourse.photos.probe import CachedFeatures, cross_validated_probe, photo_folds, solve_photo_probe


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def some(n=60, features=5):
    """Photographs of which two features decide."""
    x = torch.randn(n, features, generator=draws())
    return CachedFeatures(x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long())


def held_out(known, **options):
    return solve_photo_probe(known.subset(torch.arange(40)), known.subset(torch.arange(40, 60)), 3, **options)


def cross_validated(known, **options):
    return cross_validated_probe(known, torch.arange(len(known.labels)), 3, **options)


@pytest.mark.parametrize("find", [held_out, cross_validated])
@pytest.mark.parametrize("features", [5, 100])
def test_the_probe_does_not_depend_on_the_size_of_the_features(find, features):
    known = some(features=features)
    small, large = (find(known._replace(features=known.features * s)) for s in (1e-3, 1e3))
    assert small.penalty == large.penalty
    assert torch.allclose(small.probe.weight, large.probe.weight * 1e6, rtol=1e-2, atol=0.05)
    assert small.validation_loss == pytest.approx(large.validation_loss, abs=1e-4)


@pytest.mark.parametrize("find", [held_out, cross_validated])
def test_without_a_penalty_there_is_no_probe(find):
    with pytest.raises(ValueError, match="no penalty was given"):
        find(some(), penalties=())


def test_photographs_that_were_not_learned_from_choose_the_penalty():
    noise = torch.randn(40, 30, generator=draws(1))
    y = torch.arange(40) % 2
    train, other = CachedFeatures(noise, y), CachedFeatures(torch.randn(40, 30, generator=draws(2)), y)
    assert solve_photo_probe(train, train, 2).penalty == 0.1  # what was learned by heart is right again
    assert solve_photo_probe(train, other, 2).penalty == 100.0  # on others, noise should be believed least
    twice = train.joined(train)
    assert cross_validated_probe(twice, torch.arange(80), 2).penalty <= 1  # most twins give the answer away
    assert cross_validated_probe(twice, torch.arange(40).repeat(2), 2).penalty == 100.0


def test_features_that_are_all_the_same_have_no_size_and_no_weight():
    found = module.fitted(CachedFeatures(torch.ones(6, 2), torch.arange(6) % 2), 2, 1.0)
    assert found.weight.abs().max() < 1e-12


@pytest.mark.parametrize("features", [5, 100])
def test_cross_validation_is_that_of_another_library(features):
    from sklearn.linear_model import LogisticRegression

    known = some(features=features)
    found = cross_validated(known, penalties=(3.0,))
    assert found.known is known
    assert sorted(torch.cat([out for _, out in found.folds]).tolist()) == list(range(60))
    x = (known.features.double() / known.features.std()).numpy()
    how = {"C": 1 / 3, "class_weight": "balanced", "tol": 1e-8, "max_iter": 5000}
    theirs = [
        LogisticRegression(**how).fit(x[rest], known.labels[rest]).decision_function(x[out])
        for rest, out in found.folds
    ]
    assert np.allclose(found.logits, np.concatenate(theirs), atol=2e-3)
    whole = LogisticRegression(**how).fit(x, known.labels)
    assert np.allclose(found.probe.weight * known.features.std(), whole.coef_, atol=2e-3)


def test_mistakes_are_those_of_held_out_answers():
    """Labels that mean nothing are learned by heart, and yet not answered."""
    known = CachedFeatures(torch.randn(60, 100, generator=draws()), torch.arange(60) % 3)
    found = cross_validated(known, penalties=(0.1,))
    assert (module.answers_of(found.probe, known.features).argmax(1) == known.labels).all()
    assert found.mistakes > 25
    assert (
        str(found) == f"{found.validation_accuracy:.1f} % right in cross-validation, {found.mistakes} mistakes of 60."
    )


def test_folds_are_as_many_as_the_rarest_class_allows_and_enough():
    labels = torch.tensor([0] * 20 + [1] * 4)
    groups = torch.cat([torch.arange(20), torch.tensor([20, 20, 21, 22])])
    folds = photo_folds(labels, groups)
    assert len(folds) == 3
    for rest, out in folds:
        assert set(groups[rest].tolist()).isdisjoint(groups[out].tolist())
        assert set(labels[rest].tolist()) == set(labels[out].tolist()) == {0, 1}
    many = torch.arange(12_000) % 2
    assert len(photo_folds(many, torch.arange(12_000))) == 1
    assert len(photo_folds(many[:6_000], torch.arange(6_000))) == 2


def test_the_card_says_how_the_penalty_was_chosen():
    words = cross_validated(some()).in_words()["penalty of the probe"]
    assert words.endswith(
        "in cross-validation by 60 photographs for training and validation; then fitted to all of them"
    )
    assert held_out(some()).in_words()["penalty of the probe"].endswith(", chosen on validation")
