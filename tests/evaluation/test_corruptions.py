"""Corruptions: each formula against another library or NumPy, and what every ladder must keep."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

import tlcourse as tl
from tlcourse.evaluation import corruptions
from tlcourse.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt

DRAWS = torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def images():
    return tl.load("handwritten-photo", split="train").images[:60]


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_type_and_shape_and_grows_with_its_severity(kind, images):
    changes = []
    for severity in SEVERITIES:
        worse = corrupt(images, kind, severity)
        assert worse.dtype == torch.uint8
        assert worse.shape == images.shape
        changes.append((worse.float() - images.float()).square().mean().item())
    assert changes[0] > 0
    assert changes == sorted(changes)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_severity_0_changes_nothing_and_a_seed_gives_the_same_again(kind, images):
    before = images.clone()
    assert torch.equal(corrupt(images, kind, 0), images)
    assert torch.equal(corrupt(images, kind, 3, seed=4), corrupt(images, kind, 3, seed=4))
    assert torch.equal(images, before), "what came in was changed"


@pytest.mark.parametrize("kind", ["noise", "elastic", "occlusion"])
def test_what_is_drawn_depends_on_the_seed(kind, images):
    assert not torch.equal(corrupt(images, kind, 3, seed=4), corrupt(images, kind, 3, seed=5))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_images_need_not_be_square_nor_of_32_pixels(kind):
    wide = torch.randint(0, 256, (2, 3, 45, 70), dtype=torch.uint8, generator=DRAWS)
    assert corrupt(wide, kind, 3).shape == wide.shape
    assert corrupt(wide[:0], kind, 3).shape == (0, 3, 45, 70)


def test_noise_has_the_standard_deviation_of_the_ladder():
    grey = torch.full((20, 3, 32, 32), 128, dtype=torch.uint8)
    assert corrupt(grey, "noise", 2).float().std().item() == pytest.approx(0.12 * 255, rel=0.02)
    assert corrupt(grey, "noise", 2).float().mean().item() == pytest.approx(128, abs=0.5)


@pytest.mark.parametrize("sigma", [0.6, 2.0])
def test_blur_is_torchvisions(sigma, images):
    reach = int(np.ceil(3 * sigma))
    theirs = tv.gaussian_blur(images.float(), [2 * reach + 1] * 2, [sigma, sigma])
    torch.testing.assert_close(corruptions.blur(images.float(), sigma), theirs, atol=1e-3, rtol=1e-4)


def test_a_larger_image_is_blurred_alike(images):
    """Twice the side, twice the width of the blur: the small image that is left is nearly the same."""
    large = tv.resize(images.float(), [64, 64], antialias=False)
    small = tv.resize(corruptions.blur(large, 2.0), [32, 32], antialias=True)
    assert (small - corruptions.blur(images.float(), 2.0)).abs().mean() < 2


def test_contrast_and_brightness_are_numpys(images):
    pixels = images.numpy().astype(np.float64)
    middle = pixels.mean((1, 2, 3), keepdims=True)
    flat = np.rint(middle + 0.32 * (pixels - middle))
    assert np.abs(corrupt(images, "contrast", 2).numpy() - flat).max() <= 1  # halves may round either way
    bright = np.minimum(np.rint(pixels + 0.54 * 255), 255)
    assert np.abs(corrupt(images, "brightness", 3).numpy() - bright).max() <= 1


@pytest.mark.parametrize("quality", [6, 15, 50, 90])
def test_jpeg_is_pillows(quality, images):
    theirs = torch.stack([pillows(image, quality) for image in images])
    ours = corruptions.jpeg(images.float(), quality).round().clamp(0, 255)
    apart, lost = (ours - theirs).abs().mean(), (theirs - images).abs().mean()
    assert apart < 0.7  # of 255: Pillow computes in whole numbers, and a share that is half a step may go either way
    assert lost > 4 * apart


def pillows(image, quality):
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality, subsampling=0)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1).float()


def test_bending_is_torchvisions(images):
    field = torch.randn(1, 32, 32, 2, generator=DRAWS) / 16
    theirs = tv.elastic(images[:4].float(), field)
    ours = corruptions.warp(images[:4].float(), field.expand(4, -1, -1, -1))
    inside = slice(8, 24)  # torchvision fills with 0 outside, and here the border is mirrored
    torch.testing.assert_close(ours[:, :, inside, inside], theirs[:, :, inside, inside], atol=1e-2, rtol=1e-3)


def test_occlusion_hides_a_square_that_is_wholly_inside(images):
    changed = (corrupt(images, "occlusion", 3) == 128).all(1)  # [N, H, W]
    assert (changed.flatten(1).sum(1) >= 14 * 14).all()
    untouched = corrupt(images, "occlusion", 3) == images
    assert untouched.float().mean() == pytest.approx(1 - (14 / 32) ** 2, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fog", 3), "'fog' is not a corruption. Expected one of: 'noise'"),
        (("noise", 6), "severity is 6, but a whole number from 0"),
        (("noise", 2.5), "severity is 2.5"),
    ],
)
def test_what_is_not_on_the_ladder_is_refused(arguments, message, images):
    with pytest.raises(ValueError, match=message):
        corrupt(images, *arguments)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)])
def test_scaled_images_are_refused(wrong):
    with pytest.raises(ValueError, match="corrupt images before they are scaled"):
        corrupt(wrong, "noise", 1)
