"""Rotation: all four directions of every image, by NumPy, and the answer is the number of quarters."""

import numpy as np
import pytest
import torch

from tests.unlabelled.test_pretext import FEW, images, network
from tlcourse.data.normalisation import scale
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.rotation import pretrain_by_rotation, rotation_batches, turned


def test_turned_by_numpy():
    x = scale(images(5))
    every_way, quarters = turned(x)
    assert every_way.shape == (20, 3, 32, 32)
    assert quarters.dtype == torch.int64
    for number, (image, quarter) in enumerate(zip(every_way, quarters, strict=True)):
        expected = np.rot90(x[number % 5].numpy(), quarter.item(), (1, 2))
        np.testing.assert_array_equal(image.numpy(), expected)
    assert quarters.bincount().tolist() == [5, 5, 5, 5]


def test_a_turn_makes_no_new_pixel_and_four_turns_are_none():
    x = scale(images(5))
    every_way, quarters = turned(x)
    for quarter in range(4):
        some = every_way[quarters == quarter]
        assert torch.equal(some.flatten(2).sort(2).values, x.flatten(2).sort(2).values)
        assert torch.equal(turned(some)[0][quarters == (4 - quarter) % 4], x)


def test_all_directions_of_an_image_come_in_one_batch():
    batches = list(rotation_batches(images(), Recipe(epochs=1, steps=2, batch=6, augment=None)))
    assert [(len(x), len(y)) for x, y in batches] == [(24, 24)] * 2
    known = {image.numpy().tobytes() for image in scale(images())}
    for x, y in batches:
        assert {image.numpy().tobytes() for image in x[y == 0]} <= known
        assert torch.equal(x[y == 0].rot90(2, (2, 3)), x[y == 2])


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"shape \[8, 3, 32, 20\], but \[B, C, H, H\] was expected"):
        pretrain_by_rotation(network(), images()[:, :, :, :20].contiguous(), FEW)
