"""Measures of collapse: NumPy, limits both ways, and a training that collapses beside one that does not."""

import numpy as np
import pytest
import torch

from tests.unlabelled.test_pretext import images, network
from tlcourse.data.augmentations import Augment
from tlcourse.data.normalisation import scale
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.collapse import effective_rank, embedding_spread
from tlcourse.unlabelled.simclr import projection_head, simclr_updates


def cloud(count=2000, size=16, seed=0):
    return torch.randn(count, size, generator=generator("cloud", seed), dtype=torch.float64)


def test_spread_by_numpy():
    z = cloud(20, 6) + 1
    unit = z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True)
    assert embedding_spread(z) == pytest.approx(np.sqrt(6) * np.mean(np.std(unit, axis=0)), abs=1e-9)


def test_rank_by_numpy():
    z = cloud(20, 6) + 1
    share = np.linalg.svd(z.numpy(), compute_uv=False)
    share /= share.sum()
    assert effective_rank(z) == pytest.approx(np.exp(-np.sum(share * np.log(share))), abs=1e-9)


def test_all_over_the_sphere():
    assert embedding_spread(cloud()) == pytest.approx(1, abs=0.02)
    assert effective_rank(cloud()) == pytest.approx(16, abs=0.1)


@pytest.mark.parametrize("one", [torch.ones(1, 8), torch.arange(8.0)[None], -torch.rand(1, 8)])
def test_the_same_for_every_image(one):
    same = one.repeat(50, 1)
    assert embedding_spread(same) == pytest.approx(0, abs=1e-6)
    assert effective_rank(same) == pytest.approx(1, abs=1e-4)
    assert embedding_spread(same * torch.linspace(0.1, 9, 50)[:, None]) == pytest.approx(0, abs=1e-6), "length is not"


def test_a_network_that_is_dead():
    assert embedding_spread(torch.zeros(50, 8)) == effective_rank(torch.zeros(50, 8)) == 0


def test_few_dimensions_are_seen_by_the_rank():
    flat = cloud(2000, 2) @ torch.linalg.qr(cloud(16, 16, seed=1))[0][:2]  # a plane, aslant in 16 dimensions
    assert effective_rank(flat) == pytest.approx(2, abs=0.01)
    assert embedding_spread(flat) > 0.8, "and not by the spread"


def test_between_collapse_and_the_sphere_both_rise():
    means = 3 * torch.ones(1, 16)
    for measure in (embedding_spread, effective_rank):
        values = [measure(means + width * cloud()) for width in (0.01, 0.1, 1, 10)]
        assert values == sorted(values)


def trained(negatives):
    model, head = network(), projection_head(network())
    recipe = Recipe(epochs=1, steps=15, batch=16, lr=1e-2, augment=Augment(light=0.4))
    for _ in simclr_updates(model, images(96), recipe, negatives=negatives, top=head):
        pass
    with torch.no_grad():
        return embedding_spread(head(model.eval().forward_features(scale(images(96)))))


def test_without_negatives_a_training_collapses_and_with_them_it_does_not():
    collapsed, spread = trained(negatives=False), trained(negatives=True)
    assert collapsed < 0.05 < 0.3 < spread


@pytest.mark.parametrize("measure", [embedding_spread, effective_rank])
def test_what_are_no_embeddings_is_refused(measure):
    for z in (torch.zeros(5), torch.zeros(1, 5), torch.zeros(5, 0), torch.zeros(5, 4, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"Expected floats \[N, D\] of at least 2 images"):
            measure(z)
    with pytest.raises(ValueError, match="infinite or not a number"):
        measure(torch.tensor([[1.0, torch.nan], [0, 1]]))
