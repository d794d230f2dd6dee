"""The four worlds: what is in them, that their pools share nothing, and that a seed says it all."""

import numpy as np
import pytest
import torch

from tlcourse.data import glyphs, handwriting
from tlcourse.data import worlds as domains
from tlcourse.data.backgrounds import SOURCE_PHOTO, TARGET_PHOTO, patch_boxes, photograph
from tlcourse.data.glyphs import DIGITS, FACES, draw_printed
from tlcourse.data.handwriting import handwritten_digits
from tlcourse.data.worlds import WORLDS, exam_room, lean, load
from tlcourse.repro import generator

PRINTED = [name for name, world in WORLDS.items() if not world.handwritten]


def draw(classes=DIGITS, count=200, pool="train", seed=0):
    return draw_printed(classes, count, pool, generator("test", seed))


@pytest.mark.parametrize("world", WORLDS)
def test_what_a_world_holds(world):
    images = load(world, count=50)
    assert images.images.shape == (50, 3, 32, 32)
    assert images.images.dtype == torch.uint8
    assert images.classes == DIGITS
    assert set(images.attributes) == ({"sheet"} if WORLDS[world].handwritten else {"weight", "slant", "serif", "angle"})


@pytest.mark.parametrize("world", WORLDS)
def test_the_arguments_say_it_all(world, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", "off")
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first, again, other = (load(world, count=40, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()
    if WORLDS[world].handwritten:  # a smaller number keeps the first ones
        assert torch.equal(load(world, count=7, seed=3).images, first.images[:7])


def test_a_set_does_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", "off")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = load("printed-photo", "letters", count=100)
    torch.set_num_threads(threads)
    assert torch.equal(alone.images, load("printed-photo", "letters", count=100).images)


def test_three_pools_of_sheets_are_all_of_the_real_digits():
    pools = {pool: handwritten_digits(pool, generator(0)) for pool in ("train", "test", "exam")}
    assert {pool: len(ink) for pool, (ink, _, _) in pools.items()} == domains.HANDWRITTEN_COUNT
    assert sum(domains.HANDWRITTEN_COUNT.values()) == 1797
    sheets = {pool: set(sheet.tolist()) for pool, (_, _, sheet) in pools.items()}
    assert sheets == {"train": set(range(7)), "test": set(range(7, 11)), "exam": set(range(11, 14))}
    fewest = {pool: int(torch.bincount(labels, minlength=10).min()) for pool, (_, labels, _) in pools.items()}
    assert fewest["train"] >= 86  # enough for 50 labels per class
    assert fewest["test"] >= 46
    assert fewest["exam"] >= 35
    for ink, _, _ in pools.values():
        assert ink.min() == 0
        assert ink.max() == 1


def test_the_exam_pool_opens_in_the_exam_room_alone():
    for world in ("handwritten", "handwritten-photo"):
        with pytest.raises(ValueError, match=r"exam pool is for checks and grading alone.*split='test'"):
            load(world, split="exam")
        with exam_room():
            assert set(load(world, split="exam").attributes["sheet"].tolist()) == {11, 12, 13}
    with pytest.raises(ValueError, match="checks and grading alone"):
        load("handwritten", split="exam")
    with exam_room(), pytest.raises(ValueError, match=r"'printed' has no exam pool\. Expected a handwritten world"):
        load("printed", split="exam")


def test_a_digit_placed_at_full_size_is_the_original_enlarged(monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.setattr(handwriting, "SIDES", (32.0, 32.0))
    large = handwritten_digits("train", generator(0))[0]
    shrunk = torch.nn.functional.interpolate(large[:, None], size=(8, 8), mode="area").flatten(1)
    original = torch.from_numpy(load_digits().images[:906]).float().flatten(1) / 16
    assert torch.cosine_similarity(shrunk, original).min() > 0.98


def test_fonts_for_testing_are_never_trained_on():
    train, test = ({face.file for face in FACES[pool]} for pool in ("train", "test"))
    assert not train & test
    for pool in FACES.values():
        mixes = {face[1:] for face in pool}
        assert len(mixes) == 8, "each pool has every mix of weight, slant and serif"


@pytest.mark.parametrize("name", [SOURCE_PHOTO, TARGET_PHOTO])
def test_regions_for_testing_are_never_trained_on(name):
    seen = {}
    for pool in ("train", "test"):
        touched = torch.zeros(photograph(name).shape[1:], dtype=torch.bool)
        for left, top, side in patch_boxes(name, 3000, pool, generator(pool)).tolist():
            touched[int(top) : int(np.ceil(top + side)), int(left) : int(np.ceil(left + side))] = True
        seen[pool] = touched
    assert not (seen["train"] & seen["test"]).any()
    assert all(touched.float().mean() > 0.4 for touched in seen.values())


def test_classes_are_drawn_equally_often_and_attributes_are_those_of_the_drawn_face():
    assert FACES["train"][1][0].endswith("Bold")
    ink, labels, attributes = draw(count=2000)
    assert torch.bincount(labels, minlength=10).min() > 140
    for name in ("weight", "slant", "serif"):
        assert set(attributes[name].tolist()) == {0, 1}
    assert attributes["angle"].abs().max() <= glyphs.ANGLE
    assert attributes["angle"].std() == pytest.approx(2 * glyphs.ANGLE / 12**0.5, rel=0.05)
    amount, bold = ink.mean((1, 2)), attributes["weight"] == 1
    assert amount[bold].mean() > 1.2 * amount[~bold].mean()


def tilt(ink):
    """The angle of the long axis of an upright stroke, in degrees clockwise, from its second moments."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    weight = ink / ink.sum()
    dx, dy = x - (weight * x).sum(), y - (weight * y).sum()
    xy, yy, xx = (weight * dx * dy).sum(), (weight * dy * dy).sum(), (weight * dx * dx).sum()
    return -0.5 * torch.rad2deg(torch.atan2(2 * xy, yy - xx))


def test_angle_is_what_the_picture_shows():
    ink, _, attributes = draw_printed(("1",), 400, "test", generator("tilt"))
    upright = (attributes["slant"] == 0).nonzero()[:, 0]
    measured = torch.stack([tilt(ink[i]) for i in upright])
    both = torch.stack([measured, attributes["angle"][upright]])
    assert torch.corrcoef(both)[0, 1] > 0.9


def test_lean_turns_clockwise_and_zero_is_the_identity():
    bar = torch.zeros(1, 32, 32)
    bar[0, 4:28, 14:18] = 1
    assert lean(bar, 0) is bar
    assert tilt(lean(bar, 20)[0]) == pytest.approx(20, abs=1)
    assert torch.allclose(lean(lean(bar, 20), -20), bar, atol=0.7)


@pytest.mark.parametrize("world", WORLDS)
def test_the_dial_moves_the_same_images_further_and_further(world):
    labels = "digits"
    still, *moved = (load(world, labels, count=60, shift=shift) for shift in (0.0, 0.1, 0.4, 1.0))
    distances = [(m.images.float() - still.images.float()).abs().mean().item() for m in moved]
    assert 0 < distances[0] < distances[1] < distances[2]
    assert all(torch.equal(m.labels, still.labels) for m in moved)
    if world in PRINTED:
        assert torch.allclose(moved[2].attributes["angle"] - still.attributes["angle"], torch.tensor(domains.LEAN))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"world": "moon"}, "'moon' is not a world. Expected one of: 'printed'"),
        ({"world": "printed", "labels": "runes"}, "'runes' is not a label space"),
        ({"world": "printed", "labels": "test"}, "'test' is not a label space.*Did you mean split='test'"),
        ({"world": "printed", "split": "validation"}, "'validation' is not a split"),
        ({"world": "handwritten", "labels": "letters"}, "has digits only"),
        ({"world": "printed", "shift": 1.5}, "shift is 1.5"),
        ({"world": "printed", "shift": float("nan")}, "shift is nan"),
        ({"world": "printed", "count": 0}, "0 images .* Expected from 1"),
        ({"world": "handwritten", "count": 907}, "907 images .* from 1 to 906"),
        # of CIFAR-10 before any download
        (
            {"world": "cifar10", "labels": "letters"},
            "'letters' was asked of 'cifar10', but its photographs have their own",
        ),
        ({"world": "cifar10", "shift": 2}, "shift is 2, but a number from 0"),
        ({"world": "cifar10", "split": "validation"}, "'validation' is not a split"),
        ({"world": "cifar10", "count": 50_001}, r"50001 images of 'cifar10' \(train\) .* from 1 to 50,000"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)
