"""Every validator against NumPy and scikit-learn, in its limits, with its known weakness, and without target labels."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.adaptation.domains import network, source, target
from tests.weights import changed, copies
from tlcourse.adaptation import validators
from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.validators import (
    VALIDATORS,
    Evidence,
    Outputs,
    collect,
    embedded_validation,
    information,
    negative_entropy,
    neighbourhood_density,
    observe,
    source_accuracy,
)
from tlcourse.evaluation.predict import accuracy, extract_features, predict
from tlcourse.repro import generator

CLASSES = 4


def outputs(count, move=0.0, seed=0, surer=1.0):
    draws = generator("outputs", seed)
    return Outputs(torch.randn(count, 5, generator=draws) + move, surer * torch.randn(count, CLASSES, generator=draws))


def evidence(move=0.5, surer=1.0):
    labels = torch.randint(CLASSES, (40,), generator=generator("labels"))
    return Evidence(outputs(60, seed=1), outputs(40, seed=2), labels, outputs(50, move, seed=3, surer=surer))


def answering(logits):
    """Evidence of a network that answers the target so."""
    logits = torch.as_tensor(logits, dtype=torch.float32)
    return dataclasses.replace(evidence(), target=Outputs(torch.zeros(len(logits), 5), logits))


def probabilities(logits):
    scores = np.exp(logits.double().numpy())
    return scores / scores.sum(1, keepdims=True)


def test_entropy_and_information_by_numpy():
    given = evidence()
    p = probabilities(given.target.logits)
    mean_entropy = np.mean([-sum(x * np.log(x) for x in row) for row in p])
    entropy_of_mean = -sum(x * np.log(x) for x in p.mean(0))
    assert negative_entropy(given) == pytest.approx(-mean_entropy, abs=1e-9)
    assert information(given) == pytest.approx(entropy_of_mean - mean_entropy, abs=1e-9)


@pytest.mark.parametrize("rows", [1000, 7])
def test_neighbourhood_density_image_by_image(monkeypatch, rows):
    monkeypatch.setattr(validators, "ROWS", rows)
    given = evidence()
    p = probabilities(given.target.logits)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    entropies = []
    for i, row in enumerate(p):
        shares = np.exp([row @ other / 0.05 for j, other in enumerate(p) if j != i])
        shares /= shares.sum()
        entropies.append(-sum(shares * np.log(shares)))
    assert neighbourhood_density(given) == pytest.approx(np.mean(entropies), abs=1e-9)


def test_embedded_validation_by_scikit_learn():
    given = evidence()
    source_features, held_out, of_target = (
        group.features.double().numpy() for group in (given.training, given.validation, given.target)
    )
    scaler = StandardScaler().fit(np.concatenate([source_features, of_target]))
    domains = np.repeat([0, 1], [60, 50])
    both = scaler.transform(np.concatenate([source_features, of_target]))
    chance = LogisticRegression(tol=1e-10).fit(both, domains).predict_proba(scaler.transform(held_out))
    weight = 60 / 50 * chance[:, 1] / chance[:, 0]
    error = given.validation.logits.argmax(1).numpy() != given.labels.numpy()
    eta = -np.cov(weight * error, weight)[0, 1] / np.var(weight, ddof=1)
    risk = np.mean(weight * error) + eta * np.mean(weight) - eta
    assert embedded_validation(given) == pytest.approx(100 * (1 - risk), abs=0.01)
    assert abs(embedded_validation(given) - source_accuracy(given)) > 1, "the domains differ, so weights do"


def test_source_accuracy_counts():
    given = evidence()
    right = sum(row.argmax() == label for row, label in zip(given.validation.logits, given.labels, strict=True))
    assert source_accuracy(given) == pytest.approx(100 * right / 40)


def test_limits():
    balanced = 100 * torch.eye(CLASSES).repeat(5, 1)
    assert negative_entropy(answering(balanced)) == pytest.approx(0)
    assert information(answering(balanced)) == pytest.approx(np.log(CLASSES))
    assert neighbourhood_density(answering(balanced)) == pytest.approx(np.log(4), abs=1e-6), "of 20 images, 4 alike"
    unsure = torch.zeros(20, CLASSES)
    assert negative_entropy(answering(unsure)) == pytest.approx(-np.log(CLASSES))
    assert information(answering(unsure)) == pytest.approx(0)


def test_where_the_domains_are_one_embedded_validation_is_the_source_accuracy():
    given = evidence(move=0.0)
    same = dataclasses.replace(given, target=given.training)
    assert embedded_validation(same) == pytest.approx(source_accuracy(same), abs=1e-6)


def test_embedded_validation_weighs_mistakes_where_the_target_is():
    """Right for negative features, wrong for positive ones: of use on a target to the left, not on one to the right."""
    labels = torch.zeros(200, dtype=torch.int64)
    held_out = outputs(200, seed=5)
    wrong = held_out.features[:, :1] > 0
    held_out = Outputs(held_out.features, torch.cat([-wrong.float(), wrong.float(), *[wrong * 0.0 - 9] * 2], 1))
    left, right = (Evidence(outputs(200, seed=6), held_out, labels, outputs(200, m, seed=7)) for m in (-0.4, 0.4))
    assert source_accuracy(left) == source_accuracy(right)
    assert embedded_validation(left) > source_accuracy(left) + 10
    assert embedded_validation(right) < source_accuracy(right) - 10


def few_photographs(features=1280):
    """Evidence of 30 and 20 photographs with more features than photographs, and of 10 that were held out."""
    draws = generator("few photographs")
    groups = [torch.randn(count, features, generator=draws) + move for count, move in ((30, 0.0), (10, 0.0), (20, 0.3))]
    labels = torch.arange(10) % CLASSES
    training, held_out, of_target = (Outputs(x, torch.eye(CLASSES)[torch.arange(len(x)) % CLASSES]) for x in groups)
    return Evidence(training, held_out, labels, of_target)


def with_held_out(given, features, right):
    """The same evidence with other held-out images, some of which are answered rightly."""
    answers = torch.where(torch.as_tensor(right), given.labels, (given.labels + 1) % CLASSES)
    return dataclasses.replace(given, validation=Outputs(features, torch.eye(CLASSES)[answers]))


def test_embedded_validation_is_finite_where_the_domains_are_surely_told_apart():
    """Two of ten held-out images lie so far on the target's side that their odds are above any float64."""
    given = few_photographs()
    across = given.target.features.mean(0) - given.training.features.mean(0)
    far = given.validation.features.clone()
    far[:2] += 1e4 * across
    decided = [
        embedded_validation(with_held_out(given, far, [right] * 2 + [True, False] * 4)) for right in (True, False)
    ]
    assert decided == pytest.approx([100, 0], abs=3), "those two decide"


def test_a_feature_that_varies_by_rounding_alone_has_no_say_in_embedded_validation():
    given = few_photographs(60)
    expected = embedded_validation(given)
    assert np.isfinite(expected)
    noise = 1e-16 * torch.randn(60, generator=generator("rounding"), dtype=torch.float64)[:, None]
    columns = (noise[:30], torch.ones(10, 1), noise[30:50])  # where the held-out images are 1, no odds are finite
    groups = (given.training, given.validation, given.target)
    more = [Outputs(torch.cat([one.features, new], 1), one.logits) for one, new in zip(groups, columns, strict=True)]
    assert embedded_validation(Evidence(*more[:2], given.labels, more[2])) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("side", [-1e6, 1e6])
def test_where_all_weights_are_the_same_embedded_validation_is_the_source_accuracy(side):
    given = few_photographs()
    across = given.target.features.mean(0) - given.training.features.mean(0)
    same = with_held_out(given, given.validation.features + side * across, [True] * 7 + [False] * 3)
    assert embedded_validation(same) == pytest.approx(70, abs=0.01), "no weight tells one image from another"


def test_known_weaknesses():
    one_class = answering([[100.0, 0, 0, 0]] * 20)
    assert negative_entropy(one_class) == pytest.approx(0), "the highest value there is"
    assert neighbourhood_density(one_class) == pytest.approx(np.log(19)), "the highest value there is"
    assert information(one_class) == pytest.approx(0), "the lowest: this one notices"
    right = answering(100 * torch.eye(CLASSES)[[0] * 17 + [1, 2, 3]])
    balanced = answering(100 * torch.eye(CLASSES).repeat(5, 1))
    assert information(balanced) > information(right), "even where the classes are not balanced in truth"


@pytest.mark.parametrize("name", VALIDATORS)
def test_one_signature_and_one_number_whatever_the_order_of_the_target(name):
    validator, given = VALIDATORS[name], evidence()
    assert next(iter(inspect.signature(validator).parameters)) == "evidence"
    turned = dataclasses.replace(given, target=Outputs(*(tensor.flip(0) for tensor in given.target)))
    value = validator(given)
    assert isinstance(value, float)
    assert np.isfinite(value)
    assert validator(turned) == pytest.approx(value, abs=1e-4)


def test_there_is_no_place_for_a_label_of_the_target():
    assert Outputs._fields == ("features", "logits")
    assert [field.name for field in dataclasses.fields(Evidence)] == ["training", "validation", "labels", "target"]
    for given in (target(), (target().images, target().labels), target().labels):
        with pytest.raises(TypeError, match="expected"):
            collect(network(), source(), source(), given)


def test_collect_asks_each_domain_by_its_own_statistics_and_leaves_the_network_as_it_is():
    model = adapt_batchnorm(network(), target().images).eval()
    before = copies(model)
    training, held_out = source(), source(seed=1)
    found = observe(model, held_out, training, target().images)
    assert not changed(model, before)
    assert not model.training
    assert torch.allclose(found.target.logits, predict(model, target()), atol=1e-5)
    assert torch.equal(found.target.features, extract_features(model, target()))
    on_source = adapt_batchnorm(model, training.images)
    assert source_accuracy(found) == pytest.approx(accuracy(on_source, held_out))
    assert torch.equal(found.training.features, extract_features(on_source, training))
    values = collect(model, held_out, training, target().images)
    assert list(values) == list(VALIDATORS)
    assert values["source"] == source_accuracy(found)


def test_evidence_that_does_not_fit_is_refused():
    given = evidence()
    with pytest.raises(ValueError, match=r"\[50, 4\]\. Expected \[N, D\] and \[N, classes\] by the same network"):
        dataclasses.replace(given, target=Outputs(given.target.features[:, 1:], given.target.logits))
    with pytest.raises(ValueError, match="at least two images"):
        dataclasses.replace(given, target=outputs(1))
    with pytest.raises(ValueError, match=r"labels \[39\]"):
        dataclasses.replace(given, labels=given.labels[1:])
    with pytest.raises(ValueError, match="not a number"):
        dataclasses.replace(given, target=Outputs(given.target.features, given.target.logits / 0))
