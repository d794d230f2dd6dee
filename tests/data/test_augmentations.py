import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional as library

from tlcourse.data.augmentations import (
    Augment,
    Chain,
    Crop,
    CutOut,
    Flip,
    Recolour,
    Rotate,
    boxes,
    flip_where,
    recolour_by,
    rotate_by,
    shift_by,
)
from tlcourse.repro import generator, uniform

ALL = [Flip(0.5), Crop(4), Rotate(15), Recolour(0.4), CutOut(0.4), Chain(Crop(4), Rotate(15)), Augment()]
STILL = {"degrees": 0.0, "shift": 0.0, "zoom": 0.0, "shear": 0.0, "bend": 0.0, "light": 0.0}
NONE = [Flip(0), Crop(0), Rotate(0), Recolour(0), CutOut(0), Chain(), Augment(**STILL)]


@pytest.fixture
def x():
    return torch.rand(6, 3, 32, 32, generator=generator("x")) * 2 - 1


@pytest.mark.parametrize("augmentation", NONE, ids=repr)
def test_strength_0_changes_nothing(x, augmentation):
    assert torch.allclose(augmentation(x, generator(0)), x, atol=1e-4 if isinstance(augmentation, Augment) else 0)


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
def test_a_seed_says_it_all_each_image_has_its_own_draw_and_the_input_stays(x, augmentation):
    before, state = x.clone(), torch.random.get_rng_state()
    first, again, other = (augmentation(x, generator("a", seed)) for seed in (1, 1, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(x, before)
    assert torch.equal(state, torch.random.get_rng_state())
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    same = x[:1].expand(32, -1, -1, -1)
    different = {image.numpy().tobytes() for image in augmentation(same, generator("draws"))}
    assert len(different) == 2 if isinstance(augmentation, Flip) else len(different) > 20


def test_a_flip_is_that_of_torchvision_where_it_was_drawn(x):
    chosen = torch.tensor([True, False, False, True, True, False])
    one_by_one = [library.horizontal_flip(image) if c else image for image, c in zip(x, chosen, strict=True)]
    assert torch.equal(flip_where(x, chosen), torch.stack(one_by_one))


def test_a_crop_is_padding_and_cutting_and_reaches_all_places(x):
    right, down = torch.tensor([0, 4, -4, 1, -3, 2]), torch.tensor([0, -4, 3, 0, 4, -1])
    padded = F.pad(x, (4, 4, 4, 4), mode="reflect")
    cut = [library.crop(p, 4 - d, 4 - r, 32, 32) for p, r, d in zip(padded, right.tolist(), down.tolist(), strict=True)]
    assert torch.equal(shift_by(x, right, down), torch.stack(cut))
    dot = torch.zeros(400, 1, 9, 9)
    dot[:, :, 4, 4] = 1
    places = {tuple(image[0].nonzero()[0].tolist()) for image in Crop(1)(dot, generator(0))}
    assert len(places) == 9


@pytest.mark.parametrize("angle", [-170.0, -90.0, -12.5, 0.0, 30.0, 90.0, 180.0])
def test_a_rotation_is_that_of_torchvision(x, angle):
    ours = rotate_by(x, torch.full((6,), angle))
    theirs = library.rotate(x, angle, interpolation=library.InterpolationMode.BILINEAR)
    grid = torch.arange(32) - 15.5
    inside = (grid[:, None] ** 2 + grid[None] ** 2).sqrt() < 14.5  # what lies outside is mirrored here, black there
    assert torch.allclose(ours[:, :, inside], theirs[:, :, inside], atol=1e-4)


def test_recolouring_is_a_factor_and_an_offset(x):
    gain, offset = np.linspace(0.5, 2, 6), np.arange(18).reshape(6, 3) / 10
    expected = np.stack([image * g + o[:, None, None] for image, g, o in zip(x.numpy(), gain, offset, strict=True)])
    ours = recolour_by(x, torch.tensor(gain).float(), torch.tensor(offset).float())
    assert ours.numpy() == pytest.approx(expected, abs=1e-5)


def test_boxes_are_those_of_erase(x):
    top, left = torch.tensor([0, 3, -4, 20, 31, 5]), torch.tensor([0, 10, 2, -3, 28, 5])
    sides = torch.tensor([[4, 6], [1, 1], [8, 8], [20, 9], [5, 5], [0, 3]])
    mask = boxes(32, 32, top, left, sides)
    expected = np.zeros((6, 32, 32), dtype=bool)
    for i, (t, le, (h, w)) in enumerate(zip(top.tolist(), left.tolist(), sides.tolist(), strict=True)):
        expected[i, max(t, 0) : max(t + h, 0), max(le, 0) : max(le + w, 0)] = True
    assert (mask[:, 0].numpy() == expected).all()
    erased = library.erase(x[1], 3, 10, 1, 1, torch.zeros(3, 1, 1))
    assert torch.equal(x.masked_fill(mask, 0)[1], erased)


def test_cut_out_hides_a_square_and_nothing_else(x):
    out = CutOut(0.25)(x + 5, generator(0))  # no pixel is 0 before
    hidden = (out == 0).all(1)
    assert ((out == x + 5) | (out == 0)).all()
    for image in hidden:
        rows, columns = image.any(1).nonzero()[:, 0], image.any(0).nonzero()[:, 0]
        assert image.sum() == len(rows) * len(columns)
        assert max(len(rows), len(columns)) <= 8
    assert hidden.flatten(1).sum(1).max() >= 32


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Flip, 1.2, "from 0"),
        (Crop, -1, "from 0"),
        (Rotate, 200, "to 180"),
        (Recolour, -0.1, "to 2"),
        (CutOut, 2, "to 1"),
    ],
)
def test_what_cannot_be_is_refused(x, kind, value, expected):
    with pytest.raises(ValueError, match=f"is {value}, but a number .*{expected}"):
        kind(value)
    with pytest.raises(ValueError, match="nan"):
        kind(float("nan"))
    with pytest.raises(ValueError, match=r"32x32 pixels were to move by up to 0 down and 32 right"):
        shift_by(x, torch.full((6,), 32), torch.zeros(6, dtype=torch.int64))


def picture(count=64):
    x = torch.zeros(count, 3, 32, 32)
    x[:, :, 8:20, 12:18] = 1.0
    return x


@pytest.mark.parametrize("what", STILL)
def test_every_strength_of_augment_moves_every_image_by_its_own_amount(what):
    strength = {"degrees": 20.0, "bend": 0.05}.get(what, 0.2)
    moved = Augment(**(STILL | {what: strength}))(picture(), generator(0))
    assert moved.shape == (64, 3, 32, 32)
    assert ((moved - picture()).abs().amax((1, 2, 3)) > 1e-3).all(), "an image stayed as it was"
    assert len(moved.flatten(1).unique(dim=0)) == 64, "two images got the same draw"


def test_distortions_of_augment_are_those_of_the_library():
    """Affine part against `affine_grid`, bends against an enlarged coarse field."""
    x, n = picture(5), 5
    ours = Augment(bend=0.05, light=0.0)(x, generator(9))
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
    theirs = F.grid_sample(x, affine + bend, padding_mode="reflection", align_corners=False)
    assert torch.allclose(ours, theirs, atol=1e-3)
