"""Dividing photographs into what is learned from, what is chosen by, and what is measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tlcourse.photos.near_duplicates import NEAR, nearest, thumbnail
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import open_photo

PARTS = 3  # so many photographs a class needs: one to learn from, one to choose by, one for the test


@dataclass(frozen=True)
class PhotoParts:
    """Photographs for three different uses; near duplicates are in one part only."""

    train: PhotoSet
    validation: PhotoSet  # to choose recipe, epoch and temperature; a probe alone learns from it too
    test: PhotoSet  # looked at once, at the end
    left_out: tuple[Path, ...] = ()  # given for training, but among the test photographs too, or much like one
    notes: tuple[str, ...] = ()  # what a reader of the result has to know

    def counts(self) -> dict[str, int]:
        """Return how many photographs each part has."""
        return {name: len(getattr(self, name)) for name in ("train", "validation", "test")}


def train_validation_test(
    photos: PhotoSet, test: PhotoSet | None = None, *, validation: float = 0.2, test_share: float = 0.2, seed: int = 0
) -> PhotoParts:
    """Divide photographs into three parts with about the same share of every class, near duplicates together.

    `test` are photographs kept for the test, for example from a folder of their own; else `test_share` of `photos` is
    taken; photographs that are among them too, saved again or in another format, are left out of the others.
    `validation` is a share of the rest. Raises ValueError where a class has too few different photographs, or the test
    photographs have other classes.
    """
    test, rest, *said = set_test_aside(photos, test, test_share, seed)
    chosen_by, train = rest.split(validation, seed)
    return PhotoParts(train, chosen_by, test, *said)


def set_test_aside(
    photos: PhotoSet, test: PhotoSet | None = None, share: float = 0.2, seed: int = 0
) -> tuple[PhotoSet, PhotoSet, tuple[Path, ...], tuple[str, ...]]:
    """Return the photographs for the test, all others, the paths of what was left out of those, and notes.

    Arguments and errors are those of `train_validation_test`, which tests on the same ones.
    """
    if test is None:
        check_enough(photos, PARTS)
        return *photos.split(share, seed), (), ()
    test = with_classes(test, photos.classes)
    rest, left_out, notes = without_copies_of(photos, test, PARTS - 1)
    also = f", beside the {len(left_out):,} that are, or look like, photographs of the test" if left_out else ""
    check_enough(rest, PARTS - 1, f"one for every part{also}")
    return test, rest, left_out, notes


def from_another_day(test: PhotoSet, photos: PhotoSet) -> PhotoSet:
    """Return test photographs from elsewhere with the classes of `photos`, without those that are among them too."""
    return without_copies_of(with_classes(test, photos.classes), photos)[0]


def with_classes(photos: PhotoSet, classes: Sequence[str]) -> PhotoSet:
    """Number the classes of photographs as in `classes`; raises ValueError where one is not among them."""
    present = [name for name, count in photos.counts().items() if count]
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise ValueError(
            f"{photos.name}: the classes {', '.join(map(repr, unknown[:5]))} are not among those to learn from. "
            f"Expected only: {', '.join(map(repr, classes[:10]))}. Rename their folders, or take them out."
        )
    place = {name: number for number, name in enumerate(classes)}
    new = torch.tensor([place.get(name, -1) for name in photos.classes])
    return replace(photos, labels=new[photos.labels], classes=tuple(classes))


def check_enough(photos: PhotoSet, parts: int, each: str = "one for every part") -> None:
    """Raise ValueError where a class has too few different photographs to be in all of the parts."""
    sizes = {name: len(photos.groups[photos.labels == number].unique()) for number, name in enumerate(photos.classes)}
    few = {name: size for name, size in sizes.items() if size < parts}
    if few or len(sizes) < 2:
        named = ", ".join(f"{name!r} ({size})" for name, size in list(few.items())[:5])
        lacking = f"too few different photographs in {named}" if few else f"{len(sizes)} classes were found"
        raise ValueError(
            f"{photos.name}: {lacking}. Expected at least 2 classes and {parts} different photographs in each, {each}. "
            "Add some, or take the class out."
        )


def without_copies_of(
    photos: PhotoSet, others: PhotoSet, at_least: int = 0
) -> tuple[PhotoSet, tuple[Path, ...], tuple[str, ...]]:
    """Leave out photographs that lie among others too, or look like one at a glance: saved again, smaller, brighter.

    Likeness alone leaves `at_least` groups in every class; where it would not, only what is equal goes. Returns the
    rest, the paths of what was left out, and a note on every such class.
    """
    distance = torch.from_numpy(nearest(thumbnails(photos), thumbnails(others)))
    copies, notes = distance <= NEAR, []
    for c, name in enumerate(photos.classes):
        members = photos.labels == c
        near = members & copies & (distance >= 0)
        if near.any() and len(photos.groups[members & ~copies].unique()) < at_least:
            copies &= ~near
            notes.append(f"{int(near.sum())} photographs of {name!r} look much like others that are to be kept apart.")
    return photos.subset(~copies), tuple(photos.paths[i] for i in copies.nonzero()[:, 0].tolist()), tuple(notes)


def thumbnails(photos: PhotoSet) -> np.ndarray:
    """Return what photographs look like at a glance, uint8 `[N, P]`: from the inspection, else from the files."""
    if photos.thumbnails is not None:
        return photos.thumbnails.numpy()
    return np.stack([thumbnail(open_photo(path)) for path in photos.paths])
