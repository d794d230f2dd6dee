"""A set of photographs: split, batched, and the same for every seed, epoch and number of workers."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import picture, pixels
from PIL import Image

import tlcourse as tl
from tlcourse.photos import loader as photo_loader
from tlcourse.photos.inspection import inspect
from tlcourse.photos.loader import photo_augmentation
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import NotAnImageError
from tlcourse.photos.scan import scan


def tensor(image):
    return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1).float()


# a set of files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures of two classes, eight and four."""
    root = tmp_path_factory.mktemp("photographs")
    for i in range(12):
        path = root / ("apples" if i < 8 else "pears") / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        picture(i, 40, 30).save(path)
    return root


@pytest.fixture(scope="module")
def photos(folder):
    return inspect(scan(folder), progress=False).photos


def set_of(labels, groups=None):
    labels = torch.tensor(labels)
    groups = torch.arange(len(labels)) if groups is None else torch.tensor(groups)
    paths = tuple(Path(f"{i}.png") for i in range(len(labels)))
    return PhotoSet(paths, labels, tuple("abcdef"[: int(labels.max()) + 1]), groups)


def test_a_set_says_what_is_in_it_and_parts_keep_paths_and_labels_together(photos, folder):
    assert repr(photos) == f"PhotoSet({folder.name!r}: 12 photographs, 2 classes)"
    assert photos.counts() == {"apples": 8, "pears": 4}
    assert photos.open(0).size == (40, 30)
    assert photos.subset(torch.tensor([3, 1])).paths == (photos.paths[3], photos.paths[1])
    assert photos.subset(photos.labels == 1).counts() == {"apples": 0, "pears": 4}
    first, second = photos.split(0.75, seed=3)
    assert first.counts() == {"apples": 6, "pears": 3}
    assert sorted(first.paths + second.paths) == sorted(photos.paths)
    assert first.paths == photos.split(0.75, seed=3)[0].paths
    assert first.paths != photos.split(0.75, seed=4)[0].paths


NOTHING = torch.tensor([], dtype=torch.int64)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda _: PhotoSet((Path("a"),), torch.tensor([0, 1]), ("x", "y"), NOTHING),
            r"1 paths came with labels \[2\]",
        ),
        (lambda _: replace(set_of([0, 3]), classes=("x", "y")), "labels go from 0 to 3, but there are 2 classes"),
        (
            lambda _: set_of([0, 0, 0, 1, 1, 1], [0, 1, 2, 9, 9, 9]).split(0.5),
            "class number 1 has 3 images, which cannot",
        ),
        (lambda _: set_of([0, 0, 1, 1]).split(1.0), "fraction is 1"),
        (lambda _: set_of([0, 0, 0, 1, 1, 1, 1]).few(4), "has 3 images"),
        (lambda photos: photos.subset(NOTHING).loader(tensor), "got 0 photographs"),
        (lambda photos: photos.loader(tensor, 0, workers=-1), "batches of 0, -1 workers"),
    ],
)
def test_what_cannot_be_is_refused(photos, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(photos)


def test_few_takes_no_two_near_duplicates():
    data = set_of([0] * 6 + [1] * 6, [0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8])
    for seed in range(10):
        few = data.few(3, seed)
        assert few.counts() == {"a": 3, "b": 3}
        assert len(few.groups.unique()) == 6


def test_class_weights_give_every_class_the_same_say():
    data = set_of([0] * 30 + [1] * 10 + [3] * 20)
    weights = data.class_weights()
    assert weights.dtype == torch.float32
    assert weights[2] == 0
    shares = weights * torch.bincount(data.labels)
    assert torch.allclose(shares[[0, 1, 3]], torch.tensor(20.0))
    assert weights[data.labels].mean() == pytest.approx(1)


# batches


def epoch(loader):
    batches = list(loader)
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def test_without_augmentation_batches_are_the_photographs_in_order(photos):
    x, y = epoch(photos.loader(tensor, 5, workers=0))
    assert torch.equal(y, photos.labels)
    assert torch.equal(x, torch.stack([tensor(photos.open(i)) for i in range(12)]))
    assert [len(b) for b, _ in photos.loader(tensor, 5, workers=0)] == [5, 5, 2]
    black = photos.loader(tensor, 12, augment=lambda p: Image.new("RGB", p.size), workers=0)
    assert epoch(black)[0].abs().sum() == 0


def test_epochs_differ_and_can_be_repeated_without_moving_any_random_state(photos):
    before = torch.get_rng_state()
    loader = photos.loader(tensor, 4, augment=True, balanced=True, seed=1, workers=0)
    first, second = epoch(loader), epoch(loader)
    assert not torch.equal(first[0], second[0])
    loader.set_epoch(0)
    again = epoch(loader)
    assert torch.equal(again[0], first[0])
    assert torch.equal(again[1], first[1])
    other = epoch(photos.loader(tensor, 4, augment=True, balanced=True, seed=2, workers=0))
    assert not torch.equal(other[0], first[0])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="starting workers takes seconds here")
def test_the_number_of_workers_changes_nothing(photos):
    alone = photos.loader(tensor, 4, augment=True, workers=0)
    helped = photos.loader(tensor, 4, augment=True, workers=min(2, photo_loader.usable_cores()))
    for _ in range(2):
        a, b = epoch(alone), epoch(helped)
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_balanced_batches_show_every_class_equally_often():
    order = photo_loader.PhotoOrder(torch.tensor([0] * 900 + [1] * 100), True, True, 0)
    drawn = order.labels[torch.tensor([index for index, _ in order])]
    assert len(drawn) == 1000
    assert 430 < int(drawn.sum()) < 570  # 500 and 4.4 standard deviations
    plain = photo_loader.PhotoOrder(order.labels, True, False, 0)
    assert sorted(index for index, _ in plain) == list(range(1000))


@pytest.mark.parametrize(("flip", "expected"), [(False, {True}), (True, {True, False})])
def test_mirroring_can_be_switched_off(flip, expected):
    white_on_the_right = Image.new("L", (64, 64))
    white_on_the_right.paste(255, (32, 0, 64, 64))
    change = photo_augmentation(32, flip=flip, smallest=0.9)
    with tl.seeded("flips"):
        changed = [change(white_on_the_right.convert("RGB")) for _ in range(12)]
    assert {c.size for c in changed} == {(32, 32)}
    assert {bool(pixels(c)[16, 31, 0] > pixels(c)[16, 0, 0]) for c in changed} == expected


def test_a_photograph_that_broke_since_names_its_file(folder, tmp_path):
    for i in range(2):
        picture(i).save(tmp_path / f"{i}.png")
    data = PhotoSet((tmp_path / "0.png", tmp_path / "1.png"), torch.tensor([0, 1]), ("a", "b"), torch.arange(2))
    (tmp_path / "1.png").write_bytes(b"gone")
    with pytest.raises(NotAnImageError, match=r"1\.png is not a picture"):
        epoch(data.loader(tensor, 2, workers=0))


def test_what_windows_sends_to_a_worker_can_be_sent(photos):
    loader = photos.loader(tensor, 4, augment=True, workers=0)
    key = next(iter(photo_loader.PhotoOrder(photos.labels, False, False, 0)))
    there = pickle.loads(pickle.dumps(loader.dataset))
    assert torch.equal(there[key][0], loader.dataset[key][0])
