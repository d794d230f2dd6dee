"""The probe against scikit-learn's logistic regression, and what it must leave alone."""

import numpy as np
import pytest
import torch

from tests.weights import changed, copies
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features, predict
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator, seeded
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe, solve_probe, write_head


def cloud(count=60, size=6, classes=4, seed=0):
    draws = generator("cloud", seed)
    labels = torch.arange(count) % classes
    return torch.randn(count, size, generator=draws) + torch.eye(classes, size)[labels], labels


@pytest.fixture(scope="module")
def network():
    model = pretrained("tiny_resnet", "letters")
    with seeded("probe"):
        reset_classifier(model, 10)
    return model


@pytest.mark.parametrize("at_a_time", [4096, 7])
@pytest.mark.parametrize(("penalty", "balanced"), [(0.1, False), (5.0, False), (5.0, True)])
def test_it_is_logistic_regression_however_many_images_are_looked_at_together(
    penalty, balanced, at_a_time, monkeypatch
):
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr("tlcourse.transfer.linear_probe.AT_A_TIME", at_a_time)
    x, y = cloud()
    x, y = x[y < 16 - torch.arange(60) // 5], y[y < 16 - torch.arange(60) // 5]  # later classes are rarer
    options = {"C": 1 / penalty, "tol": 1e-8, "max_iter": 5000, "class_weight": "balanced" if balanced else None}
    theirs = LogisticRegression(**options).fit(x.double().numpy(), y.numpy())
    ours = solve_probe(x, y, 4, penalty, balanced=balanced)
    assert np.allclose(ours.weight.numpy(), theirs.coef_, atol=1e-4)
    shift = theirs.intercept_ - ours.bias.numpy()  # the bias is only known up to the same number for all classes
    assert np.allclose(shift, shift[0], atol=1e-4)


@pytest.mark.parametrize("at_a_time", [4096, 7])
def test_at_unit_size_a_penalty_means_the_same_for_features_of_any_size(at_a_time, monkeypatch):
    monkeypatch.setattr("tlcourse.transfer.linear_probe.AT_A_TIME", at_a_time)
    x, y = cloud()
    expected = solve_probe(x.double() / x.std(), y, 4)
    for factor in (1.0, 64.0):
        found = solve_probe(x * factor + 3, y, 4, size=factor * x.std().item())
        assert torch.allclose(found.weight * factor * x.std(), expected.weight, atol=1e-5)
    assert not torch.allclose(solve_probe(x * 64, y, 4).weight * 64 * x.std(), expected.weight, atol=1e-2)


def test_only_the_head_is_written(network):
    labelled = load("handwritten-photo").few(5)
    before = copies(network)
    probe = linear_probe(network, labelled)
    assert changed(network, before) == {"head.weight", "head.bias"}
    assert torch.allclose(network.head.weight.double(), probe.weight)
    answers = extract_features(network, labelled).double() @ probe.weight.T + probe.bias
    assert torch.allclose(predict(network, labelled).double(), answers, atol=1e-4)
    assert network.training
    assert accuracy(network, labelled) == 100


X, Y = cloud()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:, 0], Y, 4), r"features have shape \[60\]"),
        ((X, Y[1:], 4), r"labels \[59\]"),
        ((X, Y, 2), "labels go from 0 to 3, but there are 2 classes"),
        ((X / 0, Y, 4), "a feature is infinite or not a number"),
        *(((X, Y, 4, penalty), "infinite weights, and there is no minimum") for penalty in (0.0, -1.0, float("nan"))),
    ],
)
def test_what_has_no_solution_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        solve_probe(*arguments)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan")])
def test_features_are_divided_by_what_is_above_0(size):
    with pytest.raises(ValueError, match="above 0 was expected, such as the standard deviation"):
        solve_probe(X, Y, 4, size=size)


def test_what_does_not_converge_or_fit_is_refused(network):
    with pytest.raises(ArithmeticError, match=r"did not converge.*Use a larger penalty"):
        solve_probe(X * 1e6, Y, 4, 1e-7)
    with pytest.raises(ValueError, match=r"the probe has shape \[4, 6\], the head \[10, 128\]"):
        write_head(network, solve_probe(X, Y, 4))
