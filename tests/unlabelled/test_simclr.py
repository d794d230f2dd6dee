"""SimCLR: NT-Xent by naive sums, its limits, two views of one image, and collapse without negatives."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.unlabelled.test_pretext import FEW, images, network
from tests.weights import equal
from tlcourse.data.augmentations import Augment
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.simclr import (
    alignment_loss,
    nt_xent,
    pretrain_by_simclr,
    projection_head,
    simclr_updates,
    two_views,
)


def embeddings(count=6, size=5, seed=0):
    return 3 * torch.randn(2 * count, size, generator=generator("embeddings", seed), dtype=torch.float64)


def naive_nt_xent(z, temperature):
    """As the paper writes it: `-log(exp(s_ij / t) / sum over k != i of exp(s_ik / t))`, the mean over all views."""
    n, losses = len(z) // 2, []
    cosine = [[a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for b in z] for a in z]
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        among = sum(np.exp(cosine[i][k] / temperature) for k in range(2 * n) if k != i)
        losses.append(-np.log(np.exp(cosine[i][j] / temperature) / among))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("count", [2, 6])
def test_nt_xent_as_the_paper_writes_it(count, temperature):
    z = embeddings(count)
    assert nt_xent(z, temperature).item() == pytest.approx(naive_nt_xent(z.numpy(), temperature), abs=1e-9)
    assert nt_xent(z.float(), temperature).item() == pytest.approx(naive_nt_xent(z.numpy(), temperature), rel=1e-6)


def test_nt_xent_in_its_limits():
    apart = torch.eye(4).repeat(2, 1)
    assert nt_xent(apart, 0.01).item() == pytest.approx(0, abs=1e-6), "each finds its other view"
    assert nt_xent(torch.ones(8, 4)).item() == pytest.approx(np.log(7), abs=1e-6), "all the same: one in 2 B - 1"
    assert nt_xent(apart.roll(1, 0)[[1, 2, 3, 0, 0, 1, 2, 3]], 0.01) > 50, "sure of another image"
    assert nt_xent(embeddings()).item() == pytest.approx(nt_xent(9 * embeddings()).item()), "length is not its business"


def test_views_may_be_swapped_and_images_be_in_any_order():
    z, order = embeddings(), torch.randperm(6, generator=generator("order"))
    swapped, mixed = z.roll(6, 0), torch.cat([half[order] for half in z.chunk(2)])
    assert nt_xent(z).item() == pytest.approx(nt_xent(swapped).item()) == pytest.approx(nt_xent(mixed).item())


def test_alignment_by_numpy_and_in_its_limits():
    z = embeddings()
    unit = z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True)
    naive = np.mean([np.square(a - b).sum() for a, b in zip(unit[:6], unit[6:], strict=True)])
    assert alignment_loss(z).item() == pytest.approx(naive, abs=1e-9)
    half = z[:6]
    assert alignment_loss(torch.cat([half, 7 * half])) < 1e-12
    assert alignment_loss(torch.cat([half, -half])).item() == pytest.approx(4)
    assert alignment_loss(torch.ones(8, 4)) == 0, "it likes collapse"


def test_the_two_halves_of_nt_xent():
    z = embeddings()
    logits = F.normalize(z) @ F.normalize(z).T / 0.5
    among = logits.masked_fill(torch.eye(12, dtype=torch.bool), -torch.inf).logsumexp(1).mean()
    attracts = (alignment_loss(z) / 2 - 1) / 0.5  # minus the mean cosine over the temperature
    assert nt_xent(z, 0.5).item() == pytest.approx((attracts + among).item())


def test_two_views_are_one_image_augmented_anew():
    recipe = Recipe(epochs=1, steps=3, batch=5, augment=Augment(light=0.01, degrees=1, shift=0.01))
    batches = list(two_views(images(), recipe))
    assert len(batches) == 3
    for x, number in batches:
        first, second = x.chunk(2)
        assert number.tolist() == [0, 1, 2, 3, 4] * 2
        assert not torch.equal(first, second)
        distance = torch.cdist(first.flatten(1), second.flatten(1))
        assert distance.argmin(1).tolist() == [0, 1, 2, 3, 4], "nobody is nearer than the other view"


def test_what_is_compared_and_how_can_be_chosen():
    one, colder, alone = (
        simclr_updates(network(), images(), FEW, **options)
        for options in ({}, {"temperature": 0.1}, {"negatives": False})
    )
    first, colder, alone = next(one), next(colder), next(alone)
    assert first != colder
    assert 0 < alone < 4
    x, _ = next(iter(two_views(images(), FEW)))
    z = projection_head(network())(network().forward_features(x))
    assert alone.item() == pytest.approx(alignment_loss(z).item(), rel=1e-4)
    assert not equal(*(pretrain_by_simclr(network(), images(), FEW, temperature=t) for t in (0.1, 1.0)))


@pytest.mark.parametrize(
    "z", [torch.zeros(5, 4), torch.zeros(2, 4), torch.zeros(8), torch.zeros(8, 4, dtype=torch.int64)]
)
def test_rows_that_are_not_pairs_of_views_are_refused(z):
    with pytest.raises(ValueError, match=r"Expected floats \[2 \* B, D\] of at least 2 images"):
        nt_xent(z)
    if z.shape != (2, 4):
        with pytest.raises(ValueError, match=r"Expected floats \[2 \* B, D\] of at least 1 image:"):
            alignment_loss(z)


def test_what_else_is_refused():
    for temperature in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"temperature is .*above 0 was expected"):
            nt_xent(embeddings(), temperature)
    with pytest.raises(ValueError, match="both views would be the same image"):
        pretrain_by_simclr(network(), images(), Recipe(epochs=1, steps=2, augment=None))
