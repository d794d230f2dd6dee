"""Batches of photographs from disk: the order, the random crops and the workers that read ahead."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler

from tlcourse.photos.read import open_photo
from tlcourse.repro import generator, seeded

Preprocess = Callable[[Image.Image], torch.Tensor]
Picture = Callable[[Image.Image], Image.Image]
MOST_WORKERS = 4  # more seldom help: the network is then the slower part
USUAL_SIDE = 256  # pixels of a random crop where the preprocessing does not say what it resizes to


class PhotoLoader(DataLoader):
    """Batches of `(float32 [B, 3, H, W], int64 [B])`, the same for the same seed and epoch with any number of workers.

    `preprocessing` turns an RGB picture into float32 `[3, H, W]`. `augment` is True for random crops, flips and light,
    or a function of a picture, such as `photo_augmentation(flip=False)`. `balanced` draws every class equally often,
    with repetition, as many photographs an epoch as there are. `shuffle` gives a new order in every epoch, by default
    where `augment` or `balanced` is given. `workers` are processes that read ahead, by default as many as suit this
    machine, none on Windows and macOS. Raises ValueError where there is no photograph, or a number is below its least.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: torch.Tensor,
        preprocessing: Preprocess,
        batch_size: int = 32,
        *,
        augment: bool | Picture = False,
        balanced: bool = False,
        shuffle: bool | None = None,
        seed: int = 0,
        workers: int | None = None,
    ) -> None:
        workers = min(suitable_workers(), len(paths) // max(batch_size, 1)) if workers is None else workers
        if len(paths) == 0 or batch_size < 1 or workers < 0:
            raise ValueError(
                f"got {len(paths)} photographs, batches of {batch_size}, {workers} workers. Expected at least one "
                "photograph, batches of at least 1, and 0 or more workers."
            )
        if augment is True:
            augment = photo_augmentation(getattr(preprocessing, "resize", USUAL_SIDE))
        shuffle = bool(augment or balanced) if shuffle is None else shuffle
        super().__init__(
            PhotoDataset(paths, labels, preprocessing, augment or None),
            batch_size,
            sampler=PhotoOrder(labels, shuffle, balanced, seed),
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # of its own: PyTorch's global one is not moved
            persistent_workers=workers > 0,
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through, so that an interrupted training can go on where it was."""
        self.sampler.epoch = epoch


class PhotoDataset(Dataset):
    """Reads, augments and preprocesses one photograph at a time.

    `augment` draws from PyTorch's global generator, which is seeded for every photograph.
    """

    def __init__(
        self, paths: Sequence[Path], labels: torch.Tensor, preprocessing: Preprocess, augment: Picture | None
    ) -> None:
        self.paths, self.labels = [str(path) for path in paths], labels
        self.preprocessing, self.augment = preprocessing, augment
        side = getattr(preprocessing, "resize", USUAL_SIDE)
        self.at_least = 2 * side if augment else None  # random crops lose nothing by it, and large files read faster

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: tuple[int, tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        index, draw = key
        picture = open_photo(self.paths[index], self.at_least)
        if self.augment is not None:
            with seeded("photograph", *draw):
                picture = self.augment(picture)
        return self.preprocessing(picture), self.labels[index]


class PhotoOrder(Sampler):
    """Numbers of photographs in the order of an epoch, each with the seed of its augmentation.

    The seed travels with the number, so that it does not matter which worker reads the photograph, and when.
    """

    def __init__(self, labels: torch.Tensor, shuffle: bool, balanced: bool, seed: int) -> None:
        self.labels, self.shuffle, self.balanced, self.seed, self.epoch = labels, shuffle, balanced, seed, 0

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield an epoch, and move on to the next."""
        epoch = self.epoch
        self.epoch += 1
        for place, index in enumerate(self._order(epoch).tolist()):
            yield index, (self.seed, epoch, place)

    def _order(self, epoch: int) -> torch.Tensor:
        draws, count = generator("photographs", self.seed, epoch), len(self.labels)
        if self.balanced:
            rarity = 1 / torch.bincount(self.labels).clamp(min=1).double()
            return torch.multinomial(rarity[self.labels], count, replacement=True, generator=draws)
        return torch.randperm(count, generator=draws) if self.shuffle else torch.arange(count)


def photo_augmentation(side: int = USUAL_SIDE, *, flip: bool = True, smallest: float = 0.35) -> Picture:
    """Return an augmentation of one picture: a random part of it, mirrored half of the time, in other light.

    It comes before the preprocessing, which cuts the middle out of its `side` x `side` pixels. Switch `flip` off for
    writing, signs, or anything whose mirror image is another class. Source: Szegedy et al., "Going deeper with
    convolutions", 2015, CVPR.
    """
    from torchvision.transforms import v2  # here, because importing torchvision takes a second

    return v2.Compose(
        [
            v2.RandomResizedCrop((side, side), scale=(smallest, 1.0), antialias=True),
            *([v2.RandomHorizontalFlip()] if flip else []),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )


def suitable_workers() -> int:
    """Return how many processes should read photographs ahead on this machine, 0 for reading in the process itself.

    None on Windows and macOS: there every worker is a new Python that imports everything again, which takes longer than
    a small set takes to read, and a script that does not guard its main part would start itself without end. Elsewhere
    one less than the processor has cores, at most four.
    """
    if sys.platform in ("win32", "darwin"):
        return 0
    return min(usable_cores() - 1, MOST_WORKERS)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
