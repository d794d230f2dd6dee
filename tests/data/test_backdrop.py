"""A backdrop: the world's own blend with a new patch, for a share of the images; ink stays ink."""

import pytest
import torch

from tlcourse.data.backdrop import Backdrop
from tlcourse.data.backgrounds import SOURCE_PHOTO, TARGET_PHOTO, photograph
from tlcourse.data.normalisation import scale
from tlcourse.repro import generator


def pictures(count=40):
    return torch.randint(256, (count, 3, 32, 32), generator=generator("pictures"), dtype=torch.uint8)


def test_over_black_a_patch_of_the_photograph_shows_and_white_inverts_it():
    black, white = (scale(torch.full((5, 3, 32, 32), value, dtype=torch.uint8)) for value in (0, 255))
    behind, inverted = (Backdrop(share=1.0)(x, generator("same")) for x in (black, white))
    torch.testing.assert_close(inverted, -behind)
    assert not torch.equal(behind[0], behind[1]), "each its own"
    photo = photograph(SOURCE_PHOTO) / 127.5 - 1
    assert (behind.mean((0, 2, 3)) - photo.mean((1, 2))).abs().max() < 0.5
    other = Backdrop(share=1.0, photo=TARGET_PHOTO)(black, generator("same"))
    assert not torch.allclose(other, behind)


def test_a_share_of_the_images_and_no_other():
    x = scale(pictures(400))
    assert torch.equal(Backdrop(share=0.0)(x, generator("none")), x)
    changed = (Backdrop(share=0.75)(x, generator("some")) != x).flatten(1).any(1)
    assert 260 < changed.sum() < 340  # five standard errors
    assert (Backdrop(share=1.0)(x, generator("all")) != x).flatten(1).any(1).all()


def test_the_same_draws_give_the_same_bits_and_what_came_in_stays():
    x = scale(pictures())
    before = x.clone()
    one, again, other = (Backdrop()(x, generator(key)) for key in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(x, before)
    assert one.abs().max() < 1.00001


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"share is 1.5, but a number from 0 \(changes nothing\) to 1"):
        Backdrop(share=1.5)
    with pytest.raises(ValueError, match=r"shape \[2, 3, 16, 16\], but \[B, 3, 32, 32\] was expected"):
        Backdrop()(torch.zeros(2, 3, 16, 16), generator(0))
