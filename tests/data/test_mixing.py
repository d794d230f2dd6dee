import numpy as np
import pytest
import torch

from tlcourse.data.augmentations import boxes
from tlcourse.data.imageset import ImageSet
from tlcourse.data.mixing import CutMix, MixedBatches, MixUp, beta, cut_mix, mix_up, soft_labels
from tlcourse.repro import generator
from tlcourse.training.loop import fit


@pytest.fixture
def x():
    return torch.rand(8, 3, 16, 16, generator=generator("x"))


@pytest.fixture
def labels():
    return torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])


def test_mix_up_against_a_loop(x, labels):
    partners, shares = torch.tensor([3, 2, 1, 0, 7, 6, 5, 4]), torch.linspace(0, 1, 8)
    soft = soft_labels(labels, 4)
    mixed, mixed_soft = mix_up(x, soft, partners, shares)
    for i in range(8):
        j, share = int(partners[i]), float(shares[i])
        assert mixed[i].numpy() == pytest.approx(share * x[i].numpy() + (1 - share) * x[j].numpy(), abs=1e-6)
        assert mixed_soft[i].numpy() == pytest.approx(share * soft[i].numpy() + (1 - share) * soft[j].numpy(), abs=1e-6)


def test_cut_mix_against_a_loop(x, labels):
    soft, partners = soft_labels(labels, 4), torch.arange(8).roll(1)
    top, left = torch.arange(8), torch.arange(8) * 2 - 3
    mask = boxes(16, 16, top, left, torch.tensor([[5, 4]]).expand(8, 2))
    mixed, mixed_soft = cut_mix(x, soft, partners, mask)
    for i in range(8):
        expected, j = x[i].clone(), int(partners[i])
        rows, columns = slice(i, i + 5), slice(max(2 * i - 3, 0), 2 * i + 1)
        expected[:, rows, columns] = x[j][:, rows, columns]
        area = expected[0, rows, columns].numel() / 256
        assert torch.equal(mixed[i], expected)
        assert mixed_soft[i].numpy() == pytest.approx((1 - area) * soft[i].numpy() + area * soft[j].numpy(), abs=1e-6)


@pytest.mark.parametrize("mixing", [MixUp(0.4), CutMix(1.0)], ids=repr)
def test_labels_stay_probabilities_and_each_image_has_its_own_share(x, labels, mixing):
    first, again, other = (mixing(x, soft_labels(labels, 4), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], x)
    assert first[1].sum(1).numpy() == pytest.approx(1)
    assert first[1].min() >= 0
    _, soft = mixing(x.repeat(4, 1, 1, 1), torch.eye(32), generator(2))
    assert len(set(soft.max(1).values.tolist())) > 10


@pytest.mark.parametrize("mixing", [MixUp(0), CutMix(0)], ids=repr)
def test_alpha_0_changes_nothing(x, labels, mixing):
    mixed, soft = mixing(x, soft_labels(labels, 4), generator(0))
    assert torch.equal(mixed, x)
    assert torch.equal(soft, soft_labels(labels, 4))


def test_shares_have_the_moments_of_a_beta_distribution():
    for alpha in (0.4, 1.0, 5.0):
        shares = beta(20_000, alpha, generator("beta")).numpy()
        assert shares.mean() == pytest.approx(0.5, abs=0.01)
        assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)
        assert 0 <= shares.min() <= shares.max() <= 1


@pytest.mark.parametrize("alpha", [-1, float("nan")])
def test_a_negative_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha is .* from 0 \(no mixing\)"):
        beta(3, alpha, generator(0))


@pytest.fixture
def batches():
    images = (torch.rand(30, 3, 32, 32, generator=generator("images")) * 255).to(torch.uint8)
    return ImageSet(images, torch.arange(30) % 3, tuple("abc")).batches(10, steps=2)


def test_mixed_batches_are_fresh_in_every_epoch_and_can_be_repeated_and_trained_on(batches):
    mixed = MixedBatches(batches, MixUp(1.0), 3, seed=5)
    assert len(mixed) == 2
    first, second = list(mixed), list(mixed)
    assert not torch.equal(first[0][0], second[0][0])
    mixed.set_epoch(0)
    for one, other in zip(first, mixed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert first[0][1].shape == (10, 3)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 3))
    history = fit(model, mixed, epochs=1, progress=False)
    assert np.isfinite(history.train_loss).all()
