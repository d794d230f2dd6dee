"""DANN and CDAN: the reversed gradient, its warm-up, what the discriminator sees, and what each side learns."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.adaptation.domains import FEW, network, source, target
from tests.weights import equal
from tlcourse.adaptation.adapt import Answers, adapt
from tlcourse.adaptation.cdan import CDAN
from tlcourse.adaptation.dann import DANN, reverse_gradient, warm_up
from tlcourse.repro import generator


def answers(views=2, count=7, size=6, classes=3):
    draws = generator("adversarial")
    features = torch.randn(views, count, size, generator=draws).requires_grad_()
    logits = torch.randn(views, count, classes, generator=draws).requires_grad_()
    return Answers(torch.empty(0), features, logits)


def begun(term, share=None):
    """A term that got ready for a network and, with a share, has done that much of the training."""
    term.begin(network())
    if share is not None:
        term.after_update(network(), share)
    return term


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_the_gradient_comes_back_reversed_and_scaled(strength):
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, strength)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 5.0])).sum().backward()
    assert torch.equal(x.grad, -strength * torch.tensor([3.0, 5.0]))


def test_warm_up_goes_from_0_to_almost_1_as_in_the_paper():
    shares = np.linspace(0, 1, 11)
    strengths = np.array([warm_up(share) for share in shares])
    np.testing.assert_allclose(strengths, (1 - np.exp(-10 * shares)) / (1 + np.exp(-10 * shares)), atol=1e-12)
    assert strengths[0] == 0
    assert (np.diff(strengths) > 0).all()
    assert 0.9999 < strengths[-1] < 1


@pytest.mark.parametrize("term", [DANN, CDAN])
def test_the_loss_is_that_of_telling_the_target_from_the_source(term):
    method, given = begun(term(weight=0.5)), answers(views=3)
    with torch.no_grad():
        scores = method.discriminator(method.seen(given))[:, :, 0].double().numpy()
    is_target = 1 / (1 + np.exp(-scores))
    naive = -np.mean([np.log(1 - is_target[0]), np.log(is_target[1])])
    assert method(given).item() == pytest.approx(0.5 * naive, abs=1e-6)
    nn.init.zeros_(method.discriminator[2].weight)
    nn.init.zeros_(method.discriminator[2].bias)
    assert method(given).item() == pytest.approx(0.5 * math.log(2)), "a discriminator that cannot tell"


@pytest.mark.parametrize("term", [DANN, CDAN])
def test_at_first_only_the_discriminator_learns_and_later_the_network_goes_up_its_loss(term):
    fresh, given = begun(term()), answers()
    fresh(given).backward()
    assert torch.count_nonzero(given.features.grad) == 0
    assert all(torch.count_nonzero(p.grad) for p in fresh.discriminator.parameters())
    later, given = begun(term(), share=0.2), answers()
    loss = later(given)
    loss.backward()
    honest = answers()
    seen = later.discriminator(later.seen(honest)).squeeze(2)
    is_target = torch.tensor([[0.0], [1.0]]).expand_as(seen)
    nn.functional.binary_cross_entropy_with_logits(seen, is_target).backward()
    torch.testing.assert_close(given.features.grad, -warm_up(0.2) * honest.features.grad, rtol=1e-5, atol=1e-8)
    moved = Answers(given.images, given.features.detach() - given.features.grad, given.logits)
    assert later(moved) > loss


def test_cdan_sees_every_product_of_a_probability_and_a_feature():
    method, given = begun(CDAN()), answers(views=3)
    chances = given.logits.detach().double().softmax(2).numpy()
    naive = np.zeros((2, 7, 3 * 6))
    for view in range(2):
        for image in range(7):
            outer = np.outer(chances[view, image], given.features[view, image].detach().double())
            naive[view, image] = outer.ravel()
    np.testing.assert_allclose(method.seen(given).detach(), naive, atol=1e-6)
    assert method.inputs(network()) == 18 == method.discriminator[0].in_features


def test_cdan_takes_probabilities_as_given_and_is_dann_where_there_is_one_class():
    method, given = begun(CDAN(), share=1.0), answers()
    method(given).backward()
    assert given.logits.grad is None
    assert given.features.grad.abs().sum() > 0
    one = given._replace(logits=torch.zeros(2, 7, 1))
    assert torch.equal(method.seen(one), begun(DANN()).seen(given))


@pytest.mark.parametrize("term", [DANN, CDAN])
def test_the_discriminator_is_drawn_by_its_seed_anew_for_each_training_and_is_trained(term):
    method = begun(term(), share=1.0)
    assert equal(method.discriminator, begun(term()).discriminator)
    assert not equal(method.discriminator, begun(term(seed=1)).discriminator)
    adapt(network(), source(), target().images, [method], FEW)
    assert not equal(method.discriminator, begun(term()).discriminator)
    assert method.strength == warm_up(1)
    method.begin(network())
    assert method.strength == 0
    assert equal(method.discriminator, begun(term()).discriminator)
