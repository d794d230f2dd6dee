import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model_weights
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from tlcourse.data.transforms import Preprocessing
from tlcourse.models.torchvision_backbones import backbone_names

# landscape, portrait, square, one pixel more and less than the size asked for, that size itself, to be enlarged, odd
SIZES = [(300, 200), (123, 377), (256, 256), (233, 232), (231, 232), (232, 232), (20, 15), (40, 351)]


def noise(width, height, seed=0):
    """A picture in which every pixel differs from its neighbours, so that every shift and rounding shows."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def library(preprocessing):
    """torchvision's own."""
    return ImageClassification(
        resize_size=preprocessing.resize,
        crop_size=preprocessing.crop,
        mean=preprocessing.mean,
        std=preprocessing.std,
        interpolation=InterpolationMode(preprocessing.interpolation),
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_agrees_with_torchvision(size, interpolation):
    ours = Preprocessing(232, 225, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), interpolation)
    image = noise(*size)
    prepared = ours(image)
    assert prepared.dtype == torch.float32
    assert prepared.shape == (3, 225, 225)
    assert (prepared - library(ours)(image)).abs().max() <= 1e-6
    assert prepared.std() > 0.1  # that both are the same grey would prove nothing


@pytest.mark.parametrize("size", [(60, 41), (24, 24), (9, 13)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_bytes_agree_with_torchvision_too(size, interpolation):
    ours = Preprocessing(24, 21, interpolation=interpolation)
    batch = torch.stack([torch.from_numpy(np.array(noise(*size, seed))).permute(2, 0, 1) for seed in range(3)])
    prepared = ours(batch)
    assert prepared.shape == (3, 3, 21, 21)
    assert (prepared - library(ours)(batch)).abs().max() <= 1e-6
    assert torch.equal(prepared[1], ours(batch[1]))


@pytest.mark.parametrize("name", backbone_names())
def test_all_weights_of_torchvision_have_one(name):
    for member, weights in get_model_weights(name).__members__.items():
        ours, theirs = Preprocessing.for_weights(name, member), weights.transforms()
        assert ([ours.resize], [ours.crop]) == (theirs.resize_size, theirs.crop_size)
        assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)
        assert ours.interpolation == theirs.interpolation.value
        assert theirs.antialias


def test_to_json_and_back():
    import json

    ours = Preprocessing.for_weights("efficientnet_v2_l")
    assert Preprocessing.from_json(json.loads(json.dumps(ours.to_json()))) == ours
    assert ours != Preprocessing.for_weights("mobilenet_v2")
    assert hash(ours) == hash(Preprocessing.from_json(ours.to_json()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": 300}, "resize is 256 and crop is 300.*at most as large"),
        ({"crop": 0}, "at least 1 pixel"),
        ({"resize": 256.5}, "Expected whole numbers"),
        ({"resize": 10_000}, "were to be resized to 10000 pixels. Expected at most 8000"),
        ({"std": (0.2, 0.0, 0.2)}, "those of std above 0"),
        ({"mean": (0.5, 0.5)}, "Expected three numbers each"),
        ({"interpolation": "nearest"}, "'nearest'. Expected one of bilinear, bicubic"),
    ],
)
def test_impossible_settings(change, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**change)
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_json(Preprocessing().to_json() | change)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        *(
            (Image.new(mode, (30, 30)), ValueError, f"mode '{mode}', but 'RGB' was expected.*open_photo")
            for mode in ("L", "RGBA", "CMYK", "P")
        ),
        (Image.new("RGB", (1, 200_000)), ValueError, r"1 x 200000 pixels is too long and narrow.*Crop it first"),
        (torch.rand(3, 30, 30), TypeError, r"got a tensor of torch.float32, but a PIL image.*prepared already"),
        (np.zeros((30, 30, 3), np.uint8), TypeError, r"got a ndarray.*PIL.Image.fromarray"),
        (torch.zeros(30, 30, 3, dtype=torch.uint8), ValueError, r"shape \[30, 30, 3\].*Put the channels first"),
        (torch.zeros(0, 3, 30, 30, dtype=torch.uint8), ValueError, r"got bytes of shape \[0, 3, 30, 30\]"),
    ],
)
def test_wrong_images(image, error, message):
    with pytest.raises(error, match=message):
        Preprocessing(24, 20)(image)


def test_unknown_weights():
    with pytest.raises(ValueError, match=r"mobilenet_v2 has no weights 'V3'. Expected one of: IMAGENET1K_V1"):
        Preprocessing.for_weights("mobilenet_v2", "V3")
    with pytest.raises(ValueError, match="torchvision has no network 'mobilenet_v9'"):
        Preprocessing.for_weights("mobilenet_v9")
