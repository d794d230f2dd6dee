import math

import pytest
import torch
import torch.nn.functional as F

from tlcourse.data.augmentations import Augment
from tlcourse.data.batches import Batches
from tlcourse.repro import generator, uniform
from tlcourse.training.loop import fit

PIXELS = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4).clone()
LABELS = torch.arange(10)


def seen(batches):
    return [int(((x[:, 0, 0, 0] + 1) * 127.5).round()[i]) for x, _ in batches for i in range(len(x))]


def test_an_epoch_shows_every_image_once_with_its_label():
    batches = Batches(PIXELS, LABELS, 4)
    pairs = [(x, y) for x, y in batches]
    assert [len(y) for _, y in pairs] == [4, 4, 2] == [len(x) for x, _ in pairs]
    assert len(batches) == 3
    assert torch.cat([y for _, y in pairs]).sort().values.tolist() == list(range(10))
    assert all(torch.allclose((x[:, 0, 0, 0] + 1) * 127.5, y.float(), atol=1e-4) for x, y in pairs)


def test_epochs_differ_and_can_be_chosen():
    batches = Batches(PIXELS, LABELS, 4, seed=1)
    first, second = seen(batches), seen(batches)
    assert first != second
    batches.set_epoch(0)
    assert seen(batches) == first
    assert seen(Batches(PIXELS, LABELS, 4, seed=2)) != first


def test_steps_draw_from_endless_shuffles():
    batches = Batches(PIXELS, LABELS, 4, steps=6)
    shown = seen(batches)
    assert len(batches) == 6
    assert len(shown) == 24
    assert sorted(shown[:10]) == sorted(shown[10:20]) == list(range(10))
    assert all(shown.count(i) in (2, 3) for i in range(10))


def test_a_batch_larger_than_the_set_repeats_it():
    (x, _), *_ = Batches(PIXELS[:3], LABELS[:3], 9, steps=1)
    assert len(x) == 9


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": 2, "steps": 0}])
def test_impossible_batches(arguments):
    with pytest.raises(ValueError, match="Expected at least one of each"):
        Batches(PIXELS, LABELS, **arguments)
    with pytest.raises(ValueError, match="got 0 images"):
        Batches(PIXELS[:0], LABELS[:0], 2)


def picture():
    x = torch.zeros(64, 3, 32, 32)
    x[:, :, 8:20, 12:18] = 1.0
    return x


STILL = {"degrees": 0.0, "shift": 0.0, "zoom": 0.0, "shear": 0.0, "bend": 0.0, "light": 0.0}


def test_no_strength_changes_nothing():
    assert torch.allclose(Augment(**STILL)(picture(), generator(0)), picture(), atol=1e-4)


@pytest.mark.parametrize("what", STILL)
def test_every_strength_moves_every_image_by_its_own_amount(what):
    strength = {"degrees": 20.0, "bend": 0.05}.get(what, 0.2)
    moved = Augment(**(STILL | {what: strength}))(picture(), generator(0))
    assert moved.shape == (64, 3, 32, 32)
    assert ((moved - picture()).abs().amax((1, 2, 3)) > 1e-3).all(), "an image stayed as it was"
    assert len(moved.flatten(1).unique(dim=0)) == 64, "two images got the same draw"


def test_the_same_generator_gives_the_same_draws_and_leaves_the_input_alone():
    x = picture()
    first, again = (Augment()(x, generator(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, Augment()(x, generator(4)))
    assert torch.equal(x, picture())


def test_shift_moves_by_the_share_it_says():
    x = torch.zeros(2000, 3, 32, 32)
    x[:, :, 16, 16] = 1.0
    moved = Augment(**(STILL | {"shift": 0.25}))(x, generator(0))[:, 0]
    columns = (moved.sum(1) * torch.arange(32)).sum(1) / moved.sum((1, 2))
    assert (columns - 16).abs().max() == pytest.approx(8, abs=0.3)
    assert columns.std() == pytest.approx(16 / math.sqrt(12), rel=0.05)


def test_distortions_are_those_of_the_library():
    """Affine part against `affine_grid`, bends against an enlarged coarse field."""
    x, n = picture()[:5], 5
    grid = Augment(bend=0.05)._grid(x, generator(9))
    draws = generator(9)
    angle = uniform(n, -10, 10, draws) * math.pi / 180
    sx, sy = (torch.exp(uniform(n, -0.1, 0.1, draws)) for _ in range(2))
    shear = uniform(n, -0.1, 0.1, draws)
    dx, dy = (uniform(n, -0.16, 0.16, draws) for _ in range(2))
    coarse = 0.05 * torch.randn(n, 2, 4, 4, generator=draws)
    top = torch.stack([angle.cos() * sx, shear - angle.sin() * sx, dx], 1)
    bottom = torch.stack([angle.sin() * sy, angle.cos() * sy, dy], 1)
    affine = F.affine_grid(torch.stack([top, bottom], 1), [n, 3, 32, 32], align_corners=False)
    bend = F.interpolate(coarse, (32, 32), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    assert torch.allclose(grid, affine + bend, atol=1e-5)


def test_light_keeps_the_shape():
    x = picture()
    moved = Augment(**(STILL | {"light": 0.5}))(x, generator(0))
    for before, after in zip(x[:8], moved[:8], strict=True):
        assert len(after[0].unique()) == 2
        assert torch.corrcoef(torch.stack([before[0].flatten(), after[0].flatten()]))[0, 1] == pytest.approx(
            1, abs=1e-4
        )


def test_uniform_covers_its_range():
    draws = uniform(10_000, -3, 5, generator(0))
    assert -3 <= draws.min() < -2.9
    assert 4.9 < draws.max() <= 5


def test_fit_sets_the_epoch():
    batches = Batches(PIXELS, LABELS, 10)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 10))
    batches.set_epoch(5)
    fit(model, batches, epochs=2, progress=False, device="cpu")
    assert batches.epoch == 2
