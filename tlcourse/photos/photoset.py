"""Photographs that stay on disk: their paths, their labels, and which of them belong together."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tlcourse.data.splits import few_per_class, stratified_group_split
from tlcourse.photos.read import open_photo
from tlcourse.repro import generator
from tlcourse.storage import sha256


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Paths of photographs, their labels and the names of the classes.

    Raises ValueError where they do not fit together. Near duplicates share a group, and are never torn apart by a
    split.
    """

    paths: tuple[Path, ...]
    labels: torch.Tensor  # int64 [N]
    classes: tuple[str, ...]
    groups: torch.Tensor  # int64 [N]
    name: str = "photographs"  # in tables and pictures
    thumbnails: torch.Tensor | None = None  # uint8 [N, P], by which copies in other sets are found

    def __post_init__(self) -> None:
        n = len(self.paths)
        if self.labels.shape != (n,) or self.groups.shape != (n,):
            raise ValueError(
                f"{n} paths came with labels {list(self.labels.shape)} and groups {list(self.groups.shape)}. "
                f"Expected [{n}] of both, one an image."
            )
        if n and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"labels go from {int(self.labels.min())} to {int(self.labels.max())}, but there are "
                f"{len(self.classes)} classes. Expected 0 to {len(self.classes) - 1}."
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"PhotoSet({self.name!r}: {len(self):,} photographs, {len(self.classes)} classes)"

    def open(self, index: int) -> Image.Image:
        """Return one photograph as upright RGB; raises PhotoError where the file is gone or was changed since."""
        return open_photo(self.paths[index])

    def subset(self, indices: torch.Tensor) -> "PhotoSet":
        """Return the photographs at `indices` (int64 `[M]` or bool `[N]`), in that order, as a new set."""
        rows = indices.nonzero()[:, 0] if indices.dtype == torch.bool else indices
        paths = tuple(self.paths[i] for i in rows.tolist())
        thumbnails = None if self.thumbnails is None else self.thumbnails[rows]
        return replace(self, paths=paths, labels=self.labels[rows], groups=self.groups[rows], thumbnails=thumbnails)

    def joined(self, others: "PhotoSet") -> "PhotoSet":
        """Return these and then others of the same division, whose classes and groups are numbered as here."""
        labels, groups = torch.cat([self.labels, others.labels]), torch.cat([self.groups, others.groups])
        thumbnails = None if self.thumbnails is None else torch.cat([self.thumbnails, others.thumbnails])
        return replace(self, paths=self.paths + others.paths, labels=labels, groups=groups, thumbnails=thumbnails)

    def few(self, per_class: int, seed: int = 0) -> "PhotoSet":
        """Keep a few photographs of every class, no two near duplicates; raises ValueError where there are fewer."""
        draws = generator("few", seed)
        order = torch.randperm(len(self), generator=draws)
        firsts = order[np.sort(np.unique(self.groups[order], return_index=True)[1])]  # one of every group
        return self.subset(firsts[few_per_class(self.labels[firsts], per_class, draws)])

    def split(self, fraction: float, seed: int = 0) -> tuple["PhotoSet", "PhotoSet"]:
        """Split with about the same share of every class on both sides, near duplicates together.

        Raises ValueError where the fraction is not between 0 and 1, or a class has too few different photographs.
        """
        first, second = stratified_group_split(self.labels, self.groups, fraction, generator("split", seed))
        return self.subset(first), self.subset(second)

    def counts(self) -> dict[str, int]:
        """Return how many photographs every class has."""
        return dict(zip(self.classes, torch.bincount(self.labels, minlength=len(self.classes)).tolist(), strict=True))


def in_order_of_content(photos: PhotoSet) -> PhotoSet:
    """Return photographs in an order that renaming files and folders does not change, and that is as if shuffled."""
    shown = photos.thumbnails if photos.thumbnails is not None else torch.zeros(len(photos), 1, dtype=torch.uint8)
    keys = [
        (sha256(row.numpy().tobytes()), sha256(path.read_bytes()))
        for row, path in zip(shown, photos.paths, strict=True)
    ]
    return photos.subset(torch.tensor(sorted(range(len(photos)), key=keys.__getitem__), dtype=torch.int64))
