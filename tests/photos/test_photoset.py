"""A set of photographs, by its paths: split, and the same for every seed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pictures import picture

from tlcourse.photos.inspection import inspect
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.scan import scan


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
    both, thumbnails = first.joined(second), torch.arange(12, dtype=torch.uint8)[:, None]
    assert both.paths == first.paths + second.paths
    assert both.labels.tolist() == [*first.labels.tolist(), *second.labels.tolist()]
    assert both.groups.tolist() == [*first.groups.tolist(), *second.groups.tolist()]
    shown = replace(photos, thumbnails=thumbnails)
    assert shown.subset(photos.labels == 1).joined(shown).thumbnails.tolist()[:5] == [[8], [9], [10], [11], [0]]


NOTHING = torch.tensor([], dtype=torch.int64)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda: PhotoSet((Path("a"),), torch.tensor([0, 1]), ("x", "y"), NOTHING),
            r"1 paths came with labels \[2\]",
        ),
        (lambda: replace(set_of([0, 3]), classes=("x", "y")), "labels go from 0 to 3, but there are 2 classes"),
        (
            lambda: set_of([0, 0, 0, 1, 1, 1], [0, 1, 2, 9, 9, 9]).split(0.5),
            "class number 1 has 3 images, which cannot",
        ),
        (lambda: set_of([0, 0, 1, 1]).split(1.0), "fraction is 1"),
        (lambda: set_of([0, 0, 0, 1, 1, 1, 1]).few(4), "has 3 images"),
    ],
)
def test_what_cannot_be_is_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_few_takes_no_two_near_duplicates():
    data = set_of([0] * 6 + [1] * 6, [0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8])
    for seed in range(10):
        few = data.few(3, seed)
        assert few.counts() == {"a": 3, "b": 3}
        assert len(few.groups.unique()) == 6
