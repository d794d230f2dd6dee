"""The same numbers from another library, skada 0.6, where it follows the papers; `pip install '.[oracles]'` brings it.

Its MMD is not compared: the kernel that it calls Gaussian is `exp(-d / width)`, of distances that are not squared.
"""

import dataclasses
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.adaptation.domains import network
from tlcourse.adaptation.adapt import Answers
from tlcourse.adaptation.cdan import CDAN
from tlcourse.adaptation.coral import coral_distance
from tlcourse.adaptation.dann import DANN, reverse_gradient
from tlcourse.adaptation.mcc import class_confusion
from tlcourse.adaptation.validators import (
    Evidence,
    Outputs,
    embedded_validation,
    negative_entropy,
    neighbourhood_density,
)
from tlcourse.repro import generator

WHY = "skada, an oracle that nothing else needs, is not installed: pip install '.[oracles]'"
pytest.importorskip("skada", reason=WHY)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # they are its own affair
    from skada.deep import losses
    from skada.deep._adversarial import CDANModule, DANNLoss
    from skada.deep.modules import GradientReversalLayer
    from skada.metrics import DeepEmbeddedValidation, PredictionEntropyScorer, SoftNeighborhoodDensity

CLASSES, SIZE = 3, 6


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator("skada", seed), dtype=torch.float64)


def test_coral():
    here, there = normal(20, SIZE), 2 * normal(15, SIZE, seed=1)
    assert coral_distance(here, there).item() == pytest.approx(losses.deepcoral_loss(here, there).item(), abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_mcc(temperature):
    logits = 2 * normal(20, CLASSES)
    assert class_confusion(logits, temperature).item() == pytest.approx(
        losses.mcc_loss(logits, T=temperature).item(), abs=1e-6
    )


def test_gradient_reversal():
    ours, theirs = (normal(5, SIZE).requires_grad_() for _ in range(2))
    for x, y in ((ours, reverse_gradient(ours, 0.3)), (theirs, GradientReversalLayer.apply(theirs, 0.3))):
        assert torch.equal(x, y)
        (y * normal(5, SIZE, seed=1)).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


def test_dann_of_the_same_discriminator():
    """The paper adds the mean losses of both domains, as skada does; ours is the mean over all images, half of it.

    skada's own discriminator is left aside: it ends in a softmax over a single number, which is always 1.
    """
    given = Answers(torch.empty(0), normal(2, 9, SIZE).float(), torch.empty(0))
    term = DANN()
    term.begin(network())
    with torch.no_grad():
        domains = term.discriminator(given.features).squeeze(2).sigmoid()
    assert 2 * term(given).item() == pytest.approx(DANNLoss()(*domains).item(), abs=1e-6)


class Probabilities(torch.nn.Module):
    """A network whose output is probabilities: skada multiplies features by what comes out, the paper by a softmax."""

    def __init__(self, head):
        super().__init__()
        self.features, self.head = torch.nn.Identity(), head

    def forward(self, x, sample_weight=None):
        return self.head(self.features(x)).softmax(1)


def test_cdan_sees_the_same_products():
    features, model = normal(2, 9, SIZE).float(), network()
    theirs = CDANModule(Probabilities(model.head), "features", torch.nn.Identity()).train()
    with torch.no_grad():
        given = Answers(torch.empty(0), features, model.head(features))
        for seen, view in zip(CDAN().seen(given), features, strict=True):
            torch.testing.assert_close(seen, theirs(view)[1], rtol=0, atol=1e-6)


class Estimator:
    """What skada's scorers need of a network: rows are features and then logits."""

    module_ = SimpleNamespace(layer_name="features")

    def predict_features(self, rows):
        return rows[:, :SIZE]

    def predict_log_proba(self, rows, sample_domain=None, **_):
        return np.log(self.predict_proba(rows))

    def predict_proba(self, rows, sample_domain=None, **_):
        scores = np.exp(rows[:, SIZE:])
        return scores / scores.sum(1, keepdims=True)


def rows_of(seed, count=60, move=0.0):
    return torch.cat([normal(count, SIZE, seed=seed) + move, 2 * normal(count, CLASSES, seed=seed + 10)], 1)


def outputs(rows):
    return Outputs(rows[:, :SIZE], rows[:, SIZE:])


SOURCE, TARGET = rows_of(1), rows_of(2, count=45, move=0.6)
LABELS = torch.arange(60) % CLASSES
TRAINING, HELD_OUT, _, HELD_OUT_LABELS = train_test_split(
    SOURCE.numpy(), LABELS.numpy(), test_size=0.33, random_state=np.random.RandomState(0)
)  # as skada splits by itself
EVIDENCE = Evidence(
    outputs(torch.tensor(TRAINING)), outputs(torch.tensor(HELD_OUT)), torch.tensor(HELD_OUT_LABELS), outputs(TARGET)
)


def score(scorer):
    """What skada says of both domains; labels of the target are masked."""
    rows = np.concatenate([SOURCE, TARGET])
    labels = np.concatenate([LABELS, np.full(45, -1)])
    domains = np.repeat([1, -2], [60, 45])
    return scorer._score(None, Estimator(), rows, labels, sample_domain=domains)


def test_entropy():
    """skada takes the mean over images and classes, where the entropy is a sum over classes."""
    assert negative_entropy(EVIDENCE) == pytest.approx(CLASSES * score(PredictionEntropyScorer()), abs=1e-6)


def test_neighbourhood_density():
    assert neighbourhood_density(EVIDENCE) == pytest.approx(score(SoftNeighborhoodDensity()), abs=1e-6)


def test_embedded_validation():
    """The loss is given as a column: of the row that skada's default returns, numpy makes a table of N x N."""

    def errors(labels, chances):
        return (chances.argmax(1) != labels)[:, None].astype(float)

    domains = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10))
    scorer = DeepEmbeddedValidation(domain_classifier=domains, loss_func=errors, random_state=0)
    assert embedded_validation(EVIDENCE) == pytest.approx(100 * (1 + score(scorer)), abs=0.01)
    same = dataclasses.replace(EVIDENCE, target=EVIDENCE.training)
    assert abs(embedded_validation(EVIDENCE) - embedded_validation(same)) > 1, "weights matter here"
