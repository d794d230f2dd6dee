"""SHOT: its labels by naive sums, what it moves and what it leaves, and a copy that is none."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.adaptation.domains import FEW, network, source, target
from tests.weights import changed, copies
from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.entropy import information_loss
from tlcourse.evaluation.predict import extract_features, predict
from tlcourse.repro import generator
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled import shot as module
from tlcourse.unlabelled.shot import centroid_labels, shot

IMAGES = target().images


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_centroid_labels_as_the_paper_writes_them():
    draws = generator("centroids")
    features, logits = torch.rand(40, 6, generator=draws), 2 * torch.randn(40, 4, generator=draws)
    f = features.double().numpy()
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    p = logits.double().softmax(1).numpy()
    centroids = [sum(p[i, k] * f[i] for i in range(40)) / p[:, k].sum() for k in range(4)]
    first = [int(np.argmax([cosine(row, c) for c in centroids])) for row in f]
    centroids = [np.mean([f[i] for i in range(40) if first[i] == k], 0) for k in range(4)]
    second = [int(np.argmax([cosine(row, c) for c in centroids])) for row in f]
    assert centroid_labels(features, logits).tolist() == second
    assert first != second, "the second look matters"


def test_neighbours_overrule_a_single_wrong_answer():
    corner = torch.eye(2).repeat_interleave(5, 0)  # five images in each of two places
    logits = 2 * corner.clone()
    logits[0] = torch.tensor([0.0, 1.0])
    assert centroid_labels(corner, logits).tolist() == [0] * 5 + [1] * 5
    assert logits.argmax(1)[0] == 1


def test_a_class_that_nobody_is_nearest_to_is_never_a_label():
    """Its empty centroid makes an angle of 90 degrees with everything, less than these images make with their own."""
    features = torch.tensor([[1.0, 0], [-1, 0.1], [-1, -0.1], [1, 0.0]])
    logits = torch.tensor([[0.0, 0, -200]]).repeat(4, 1)
    assert set(centroid_labels(features, logits).tolist()) <= {0, 1}


def test_labels_of_other_images_are_refused():
    with pytest.raises(ValueError, match=r"features have shape \[3, 6\] and logits \[4, 2\]"):
        centroid_labels(torch.zeros(3, 6), torch.zeros(4, 2))


def watched(monkeypatch, recipe, model=None, **options):
    """Adapt, and return the network, the batches and losses that came to the loop, and what the loop optimised."""
    seen, plain = [], module.updates

    def loop(model, batches, optimizer, loss, **settings):
        def kept():
            for x, y in batches:
                seen.append((x.clone(), y.clone(), copies(model)))
                yield x, y

        loop.loss, loop.optimizer = loss, optimizer
        yield from plain(model, kept(), optimizer, loss, **settings)

    monkeypatch.setattr(module, "updates", loop)
    return shot(model or network(), IMAGES, recipe, **options), seen, loop


def test_the_backbone_moves_and_the_head_stays():
    model = network()
    before = copies(model)
    assert shot(model, IMAGES, FEW) is model
    assert {name for name in before if name.startswith("head")} == set(before) - changed(model, before)
    assert all(parameter.requires_grad for parameter in model.parameters()), "and may learn again afterwards"


def test_the_head_may_learn_again_after_an_error_and_what_was_frozen_stays_so():
    model = network()
    model.head.bias.requires_grad_(False)
    with pytest.raises(ArithmeticError, match="the loss became nan"):
        shot(model, IMAGES, FEW, weight=torch.nan)
    assert model.head.weight.requires_grad
    assert not model.head.bias.requires_grad


def test_labels_are_found_anew_and_no_label_of_the_target_is_among_them(monkeypatch):
    recipe = Recipe(epochs=1, steps=6, batch=8, lr=0.05, augment=None)
    _, seen, _ = watched(monkeypatch, recipe, every=2)
    place = {image.numpy().tobytes(): number for number, image in enumerate(scale(IMAGES))}
    for number, (x, y, _) in enumerate(seen):
        fresh = network()
        fresh.load_state_dict(seen[number // 2 * 2][2])
        adapt_batchnorm(fresh, IMAGES)
        answers = centroid_labels(extract_features(fresh, target()), predict(fresh, target()))
        assert y.tolist() == answers[[place[image.numpy().tobytes()] for image in x]].tolist()
    assert len(seen) == recipe.updates
    assert len({tuple(y.tolist()) for _, y, _ in seen}) > 1


def test_the_loss_is_information_plus_the_centroids_answers(monkeypatch):
    _, _, loop = watched(monkeypatch, FEW, weight=0.7)
    z = torch.randn(8, 3, generator=generator("logits"))
    y = torch.arange(8) % 3
    assert loop.loss(z, y).item() == pytest.approx((information_loss(z) + 0.7 * F.cross_entropy(z, y)).item())


def test_without_the_answers_of_centroids_information_alone_teaches(monkeypatch):
    with_labels, without = (shot(network(), IMAGES, FEW, weight=weight) for weight in (3.0, 0.0))
    assert "conv.weight" in changed(with_labels, copies(without))
    start = network()
    adapt_batchnorm(start, IMAGES)
    assert information_loss(predict(without, target())) < information_loss(predict(start, target()))


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    first, again, other = (shot(network(), IMAGES, FEW, seed=seed) for seed in (0, 0, 1))
    assert not changed(first, copies(again))
    assert "conv.weight" in changed(first, copies(other))


def test_statistics_are_the_targets_at_the_end():
    model = shot(network(), IMAGES, FEW)
    before = copies(model)
    adapt_batchnorm(model, IMAGES)
    assert not changed(model, before)


def test_a_state_dict_is_no_copy():
    """Whoever keeps `net.state_dict()` as the best network finds weights of the last one there."""
    model = network()
    kept, copied = model.state_dict(), copy_weights(model)
    shot(model, IMAGES, FEW)
    assert torch.equal(kept["norm.weight"], model.norm.weight)
    assert not torch.equal(copied["norm.weight"], model.norm.weight)
    model.load_state_dict(copied)
    assert not changed(model, copies(network()))


def test_labels_cannot_be_passed():
    with pytest.raises(TypeError, match="carries labels"):
        shot(network(), target(), FEW)
    with pytest.raises(TypeError, match="images alone were expected"):
        shot(network(), source().labels.tolist(), FEW)


def test_labels_that_are_never_found_anew_have_to_be_asked_for_in_updates():
    with pytest.raises(ValueError, match="after every 0 updates"):
        shot(network(), IMAGES, FEW, every=0)
