import pytest
import torch
from torchvision.transforms.v2 import functional as library

from tlcourse.data.normalisation import (
    HALF,
    channel_statistics,
    convert,
    denormalise,
    normalise,
    scale,
    streamed_statistics,
)


@pytest.fixture
def images():
    draws = torch.Generator().manual_seed(0)
    brightness = torch.randint(60, 256, (50, 3, 1, 1), generator=draws)
    return (torch.rand(50, 3, 8, 8, generator=draws) * brightness).to(torch.uint8)


def test_statistics_are_those_of_numpy(images):
    pixels = images.numpy() / 255
    ours = channel_statistics(images)
    assert ours.mean.numpy() == pytest.approx(pixels.mean((0, 2, 3)))
    assert ours.std.numpy() == pytest.approx(pixels.std((0, 2, 3)))
    assert ours.pixels == 50 * 64


@pytest.mark.parametrize("sizes", [[50], [1] * 50, [7, 30, 13], [49, 1]])
def test_a_stream_gives_the_same_in_any_batches(images, sizes):
    streamed, whole = streamed_statistics(iter(images.split(sizes))), channel_statistics(images)
    assert torch.allclose(streamed.mean, whole.mean, atol=1e-12)
    assert torch.allclose(streamed.std, whole.std, atol=1e-12)
    assert streamed.pixels == whole.pixels


def test_normalise_is_that_of_torchvision(images):
    statistics = channel_statistics(images)
    theirs = library.normalize(images.float() / 255, statistics.mean.tolist(), statistics.std.tolist())
    assert torch.allclose(normalise(images, statistics), theirs, atol=1e-5)
    classic = library.normalize(images.float() / 255, [0.5] * 3, [0.5] * 3)
    assert torch.allclose(scale(images), classic, atol=1e-6)
    assert torch.allclose(normalise(images, HALF), classic, atol=1e-6)


def test_denormalise_brings_the_bytes_back(images):
    statistics = channel_statistics(images)
    assert torch.equal(denormalise(normalise(images, statistics), statistics), images)
    assert torch.equal(denormalise(scale(images)), images)
    assert denormalise(torch.full((1, 3, 2, 2), 9.0)).unique().tolist() == [255]


def test_convert_changes_the_convention_and_nothing_else(images):
    statistics = channel_statistics(images)
    assert torch.allclose(convert(scale(images), HALF, statistics), normalise(images, statistics), atol=1e-5)
    assert torch.equal(convert(scale(images), HALF, HALF), scale(images))


def test_bad_input(images):
    with pytest.raises(TypeError, match=r"images are torch.float32.*Were they normalised already\?"):
        channel_statistics(images.float())
    with pytest.raises(TypeError, match="uint8"):
        normalise(images.float(), HALF)
    with pytest.raises(ValueError, match="no images"):
        streamed_statistics([])
    with pytest.raises(ValueError, match=r"shape \[50, 1, 8, 8\]"):
        channel_statistics(images[:, :1])
    with pytest.raises(ValueError, match="numbers above 0 were expected"):
        normalise(images, channel_statistics(torch.full((2, 3, 4, 4), 7, dtype=torch.uint8)))
