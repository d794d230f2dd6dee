import pytest
import torch

from tlcourse.data.imageset import ImageSet

CLASSES = ("a", "b", "c")


def images(count=12, classes=CLASSES):
    pixels = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4).clone()
    labels = torch.arange(count) % 3
    return ImageSet(pixels, labels, classes, {"weight": torch.arange(count)}, "test")


def test_subset_keeps_images_labels_and_attributes_together():
    assert repr(images()) == "ImageSet('test': 12 images of 4x4, 3 classes)"
    part = images().subset(torch.tensor([7, 2]))
    assert part.images[:, 0, 0, 0].tolist() == [7, 2]
    assert part.labels.tolist() == [1, 2]
    assert part.attributes["weight"].tolist() == [7, 2]
    assert len(images().subset(images().labels == 1)) == 4
    with pytest.raises(TypeError, match=r"12 images of .* cannot be looped over.*\.batches\(50\)"):
        iter(images())


def test_few_and_split():
    few = images().few(2, seed=1)
    assert torch.bincount(few.labels).tolist() == [2, 2, 2]
    assert torch.equal(few.images, images().few(2, seed=1).images)
    first, second = images().split(0.5)
    assert sorted(torch.cat([first.images, second.images])[:, 0, 0, 0].tolist()) == list(range(12))
    assert torch.bincount(first.labels).tolist() == [2, 2, 2]


def test_shared_images_are_counted():
    whole = images()
    first, second = whole.split(0.5)
    assert first.shared_with(second) == 0
    assert first.shared_with(whole) == len(first)
    assert whole.shared_with(first) == len(first)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": torch.ones(12, 3, 4, 4)}, TypeError, r"torch.float32, but uint8.*0 to 1, use \(images \* 255\)"),
        ({"images": torch.full((12, 3, 4, 4), 255.0)}, TypeError, r"from 0 to 255, use images.round\(\)"),
        ({"images": images().images.numpy()}, TypeError, "images are a ndarray.*torch.from_numpy"),
        ({"images": torch.zeros(12, 4, 4, 3, dtype=torch.uint8)}, ValueError, r"\[12, 4, 4, 3\].*permute\(0, 3, 1"),
        ({"images": torch.zeros(12, 1, 4, 4, dtype=torch.uint8)}, ValueError, "repeat a grey channel"),
        ({"images": torch.zeros(3, 4, 4, dtype=torch.uint8)}, ValueError, r"shape \[3, 4, 4\]"),
        ({"images": torch.zeros(11, 3, 4, 4, dtype=torch.uint8)}, ValueError, r"shape \[12\] for 11 images"),
        ({"labels": torch.zeros(12)}, TypeError, "labels are torch.float32"),
        ({"labels": torch.arange(1, 13) % 4}, ValueError, "label 3 is outside the 3 classes.*counting began at 1"),
        ({"labels": torch.full((12,), -1)}, ValueError, "label -1 is outside"),
        ({"attributes": {"angle": torch.zeros(5)}}, ValueError, "attribute 'angle' has 5 values for 12 images"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, message):
    good = images()
    parts = {"images": good.images, "labels": good.labels, "classes": CLASSES, "attributes": {}} | change
    with pytest.raises(error, match=message):
        ImageSet(**parts)
