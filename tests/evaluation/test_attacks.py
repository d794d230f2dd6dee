from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.weights import changed, copies
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.adversarial import fgsm, pgd, project, uphill
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.pretrained import pretrained

LEVELS = 4


class Linear(nn.Module):
    """Logits that are linear in the pixels, so that the worst change is known."""

    def __init__(self, size: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(size * torch.randn(2, 3 * 4 * 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


def tiny(low=60, high=200, count=6):
    images = torch.randint(low, high, (count, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return ImageSet(images, torch.arange(count) % 2, ("a", "b"))


@pytest.fixture(scope="module")
def digits():
    return load("handwritten-photo", count=40)


@pytest.fixture
def model():
    return pretrained("tiny_resnet", "digits")


def worst(model, data):
    """For two classes and linear logits, the loss rises along the difference of the wrong and the right class."""
    weight = model.weight.detach().numpy()
    signs = np.sign(np.stack([weight[1 - y] - weight[y] for y in data.labels.tolist()]))
    return data.images.numpy().astype(int) + LEVELS * signs.reshape(-1, 3, 4, 4).astype(int)


def test_on_a_linear_network_both_find_the_worst_change_there_is():
    model, data = Linear(), tiny()
    assert (fgsm(model, data, LEVELS).numpy() == worst(model, data)).all()
    assert (pgd(model, data, LEVELS).numpy() == worst(model, data)).all()


def test_the_sign_of_a_very_sure_answer_is_found_too():
    model, data = Linear(4.0), tiny()
    logits = model(data.images / 127.5 - 1)
    data = replace(data, labels=logits.argmax(1))
    gaps = (logits[:, 0] - logits[:, 1]).abs()
    sure = (gaps > 18) & (gaps < 35)  # in float32 the chance of the right class is 1 then, and that of the slope 0
    assert sure.any()
    data = data.subset(sure)
    assert (uphill(model, data.images.float(), data.labels) != 0).all()
    assert (fgsm(model, data, LEVELS).numpy() == worst(model, data)).all()


def test_slope_is_that_of_finite_differences():
    model, data = Linear(0.1), tiny()

    def loss(pixels):
        logits = (pixels / 127.5 - 1).reshape(len(pixels), -1) @ model.weight.detach().numpy().T
        return np.log(np.exp(logits).sum(1)) - logits[range(len(logits)), data.labels.numpy()]

    slopes = uphill(model, data.images.float(), data.labels)
    up, down = (data.images.numpy().astype(float) for _ in range(2))
    up[:, 1, 2, 3] += 0.01
    down[:, 1, 2, 3] -= 0.01
    assert slopes[:, 1, 2, 3].numpy() == pytest.approx((loss(up) - loss(down)) / 0.02, rel=1e-3)


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_pixels_stay_in_reach_and_within_0_to_255(attack):
    model = Linear()
    for low, high in ((0, 3), (253, 256), (0, 256)):
        data = tiny(low, high)
        moved = attack(model, data, LEVELS)
        assert moved.dtype == torch.uint8
        gap = moved.int() - data.images.int()
        assert gap.abs().max() <= LEVELS
        assert gap.any()
    assert (attack(model, tiny(), 0) == tiny().images).all()


def test_projection_is_onto_both_borders():
    clean = torch.tensor([0.0, 100.0, 255.0])
    assert project(torch.tensor([-9.0, 120.0, 260.0]), clean, 5).tolist() == [0, 105, 255]
    assert project(torch.tensor([9.0, 97.0, 240.0]), clean, 5).tolist() == [5, 97, 250]


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_an_attack_lowers_accuracy_and_changes_no_network(attack, model, digits):
    before = copies(model)
    model.train()
    attacked = replace(digits, images=attack(model, digits, 8))
    assert model.training
    assert not changed(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    noise = torch.randint(-8, 9, digits.images.shape, generator=torch.Generator().manual_seed(0))
    noisy = replace(digits, images=(digits.images + noise).clamp(0, 255).to(torch.uint8))
    assert accuracy(model, attacked) < accuracy(model, noisy) - 30


def test_several_steps_find_worse_than_one(model, digits):
    one = accuracy(model, replace(digits, images=fgsm(model, digits, 4)))
    many = accuracy(model, replace(digits, images=pgd(model, digits, 4)))
    assert many <= one


def test_the_seed_draws_where_it_begins(model, digits):
    few = digits.subset(torch.arange(4))
    same, again, other = (pgd(model, few, 4, steps=1, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


def test_what_is_no_attack_is_refused(model, digits):
    with pytest.raises(ValueError, match=r"levels is 0.03, but a whole number"):
        fgsm(model, digits, 0.03)
    with pytest.raises(ValueError, match="levels is 256"):
        pgd(model, digits, 256)
    with pytest.raises(ValueError, match="0 steps were asked for"):
        pgd(model, digits, 4, steps=0)
