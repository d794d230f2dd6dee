"""Dividing photographs into what is learned from, what is chosen by, and what is measured on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tlcourse.photos.photoset import PhotoSet


@dataclass(frozen=True)
class PhotoParts:
    """Photographs for three different uses; near duplicates are in one part only."""

    train: PhotoSet
    validation: PhotoSet  # to choose the probe's penalty, the epoch and the temperature
    test: PhotoSet  # looked at once, at the end
    left_out: tuple[Path, ...] = ()  # given for training, but among the test photographs too

    def counts(self) -> dict[str, int]:
        """Return how many photographs each part has."""
        return {name: len(getattr(self, name)) for name in ("train", "validation", "test")}


def train_validation_test(
    photos: PhotoSet, test: PhotoSet | None = None, *, validation: float = 0.2, test_share: float = 0.2, seed: int = 0
) -> PhotoParts:
    """Divide photographs into three parts with about the same share of every class, near duplicates together.

    `test` are photographs kept for the test, for example from a folder of their own; else `test_share` of `photos` is
    taken. `validation` is a share of the rest. Raises ValueError where a class has too few different photographs, or
    the test photographs have other classes.
    """
    _check_enough(photos, 2 if test is not None else 3)
    left_out: tuple[Path, ...] = ()
    if test is None:
        test, rest = photos.split(test_share, seed)
    else:
        test = with_classes(test, photos.classes)
        rest, left_out = without_files_of(photos, test)
        _check_enough(rest, 2)
    chosen_by, train = rest.split(validation, seed)
    return PhotoParts(train, chosen_by, test, left_out)


def from_another_day(test: PhotoSet, photos: PhotoSet) -> PhotoSet:
    """Return test photographs from elsewhere with the classes of `photos`, without files that are among those too."""
    return without_files_of(with_classes(test, photos.classes), photos)[0]


def with_classes(photos: PhotoSet, classes: Sequence[str]) -> PhotoSet:
    """Number the classes of photographs as in `classes`; raises ValueError where one is not among them."""
    present = [name for name, count in photos.counts().items() if count]
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise ValueError(
            f"the test photographs have the classes {', '.join(map(repr, unknown[:5]))}, which there are none of to "
            f"learn from. Expected only: {', '.join(map(repr, classes[:10]))}. Rename their folders, or take them out."
        )
    place = {name: number for number, name in enumerate(classes)}
    new = torch.tensor([place.get(name, -1) for name in photos.classes])
    return replace(photos, labels=new[photos.labels], classes=tuple(classes))


def _check_enough(photos: PhotoSet, parts: int) -> None:
    sizes = {name: len(photos.groups[photos.labels == number].unique()) for number, name in enumerate(photos.classes)}
    few = {name: size for name, size in sizes.items() if size < parts}
    if few or len(sizes) < 2:
        named = ", ".join(f"{name!r} ({size})" for name, size in list(few.items())[:5])
        raise ValueError(
            f"{f'too few different photographs in {named}' if few else f'{len(sizes)} classes were found'}. Expected "
            f"at least 2 classes and {parts} different photographs in each, one for every part. Add some, or take the "
            "class out."
        )


def without_files_of(photos: PhotoSet, others: PhotoSet) -> tuple[PhotoSet, tuple[Path, ...]]:
    """Leave out what lies among others too, byte for byte; return the rest, and the paths of what was left out."""
    theirs = {_fingerprint(path) for path in others.paths}
    copies = torch.tensor([_fingerprint(path) in theirs for path in photos.paths], dtype=torch.bool)
    return photos.subset(~copies), tuple(photos.paths[i] for i in copies.nonzero()[:, 0].tolist())


def _fingerprint(path: Path) -> bytes:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
