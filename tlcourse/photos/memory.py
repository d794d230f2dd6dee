"""Photographs that training reads again and again: in memory as bytes where they are few, else from disk."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from tqdm.auto import tqdm

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.loader import MOST_WORKERS, photo_augmentation, usable_cores
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import open_photo
from tlcourse.photos.views import RandomView
from tlcourse.repro import generator

Pair = tuple[torch.Tensor, torch.Tensor]
IN_MEMORY_UP_TO = 1_000_000_000  # bytes of a set; what is larger is read from disk in every epoch


@dataclass(frozen=True, eq=False)
class DecodedPhotos:
    """Photographs in memory, resized for one network; what is normalised is made batch by batch."""

    images: torch.Tensor  # uint8 [N, 3, S, S]; the network sees the middle crop x crop, the rim is for random crops
    labels: torch.Tensor  # int64 [N]
    classes: tuple[str, ...]
    preprocessing: Preprocessing

    def __len__(self) -> int:
        return len(self.images)

    def in_order(self, size: int = 32) -> "PreparedBatches":
        """Return batches of `(float32 [B, 3, crop, crop], int64 [B])` as the network takes them, in order."""
        return PreparedBatches(self, size)

    def for_training(self, size: int, view: RandomView, seed: int = 0, side: int | None = None) -> "TrainingViews":
        """Return shuffled batches, every photograph once an epoch, each time seen differently, at `side` x `side`."""
        return TrainingViews(self, size, view, seed, side or self.preprocessing.crop)

    def middle(self, rows: slice | torch.Tensor) -> torch.Tensor:
        """Return the middle of some photographs as the network takes it, float32 `[B, 3, crop, crop]`."""
        crop = self.preprocessing.crop
        rim = (self.images.shape[-1] - crop) // 2
        return normalised(self.images[rows, :, rim : rim + crop, rim : rim + crop] / 255, self.preprocessing)


class PreparedBatches:
    """Batches of photographs in their order, prepared as the network takes them."""

    def __init__(self, photos: DecodedPhotos, size: int) -> None:
        self.photos, self.size = photos, size

    def __len__(self) -> int:
        return -(-len(self.photos) // self.size)

    def __iter__(self) -> Iterator[Pair]:
        for start in range(0, len(self.photos), self.size):
            rows = slice(start, start + self.size)
            yield self.photos.middle(rows), self.photos.labels[rows]


class TrainingViews:
    """Shuffled batches of about the same size, different in every epoch and the same for the same seed and epoch.

    Sizes differ by one at most: a last batch of one or two photographs would spoil the statistics of batch
    normalisation.
    """

    def __init__(self, photos: DecodedPhotos, size: int, view: RandomView, seed: int, side: int) -> None:
        self.photos, self.view, self.seed, self.side, self.epoch = photos, view, seed, side, 0
        self.count = -(-len(photos) // size)

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through, so that an interrupted training can go on where it was."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Pair]:
        """Yield the batches of the current epoch, and move on to the next."""
        draws = generator("photo views", self.seed, self.epoch)
        self.epoch += 1
        for rows in torch.randperm(len(self.photos), generator=draws).tensor_split(self.count):
            seen = self.view(self.photos.images[rows], self.side, draws)
            yield normalised(seen, self.photos.preprocessing), self.photos.labels[rows]


@dataclass(frozen=True, eq=False)
class PhotosOnDisk:
    """The same for sets that are too large for the memory; batches come from a `DataLoader`."""

    photos: PhotoSet
    preprocessing: Preprocessing

    @property
    def labels(self) -> torch.Tensor:
        """Class numbers, int64 `[N]`."""
        return self.photos.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.photos.classes

    def __len__(self) -> int:
        return len(self.photos)

    def in_order(self, size: int = 32) -> Iterator[Pair]:
        """As for `DecodedPhotos`."""
        return self.photos.loader(self.preprocessing, size)

    def for_training(self, size: int, view: RandomView, seed: int = 0, side: int | None = None) -> Iterator[Pair]:
        """As for `DecodedPhotos`."""
        side = side or self.preprocessing.crop
        augment = photo_augmentation(side, flip=view.mirror, smallest=view.smallest)
        prepare = replace(self.preprocessing, resize=side, crop=side)
        return self.photos.loader(prepare, _no_single(len(self), size), augment=augment, seed=seed)


PhotoSource = DecodedPhotos | PhotosOnDisk


def open_photos(
    photos: PhotoSet, preprocessing: Preprocessing, *, most_bytes: int = IN_MEMORY_UP_TO, progress: bool = True
) -> PhotoSource:
    """Decode photographs into memory where they fit into `most_bytes`, and leave them on disk where they do not.

    Raises ValueError where there is none, and PhotoError where a file is gone or was changed since the inspection.
    """
    if not len(photos):
        raise ValueError(f"{photos!r} is empty, but at least one photograph was expected.")
    side = _side_in_memory(preprocessing)
    if len(photos) * 3 * side * side > most_bytes:
        return PhotosOnDisk(photos, preprocessing)
    images = torch.empty(len(photos), 3, side, side, dtype=torch.uint8)
    with ThreadPoolExecutor(min(usable_cores(), MOST_WORKERS)) as pool:
        squares = pool.map(lambda path: as_bytes(read_for(path, preprocessing), preprocessing, side), photos.paths)
        try:
            for i, square in enumerate(tqdm(squares, "reading", len(photos), leave=False, disable=not progress)):
                images[i] = square
        except BaseException:
            pool.shutdown(cancel_futures=True)  # where someone interrupts, what waits is not begun
            raise
    return DecodedPhotos(images, photos.labels, photos.classes, preprocessing)


def read_for(path: Path | str, preprocessing: Preprocessing) -> Image.Image:
    """Read a photograph at least twice as large as the network wants it: large JPEG files then decode faster."""
    return open_photo(path, at_least=2 * preprocessing.resize)


def as_bytes(picture: Image.Image, preprocessing: Preprocessing, side: int) -> torch.Tensor:
    """Resize a picture as the preprocessing does and cut the middle, uint8 `[3, side, side]`, not normalised."""
    plain = replace(preprocessing, crop=side, mean=(0, 0, 0), std=(1, 1, 1))
    return (plain(picture) * 255).round().to(torch.uint8)


def normalised(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Take the mean off pixels from 0 to 1 and divide by the standard deviation, float32 `[B, 3, H, W]`."""
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (pixels - mean) / std


def _side_in_memory(preprocessing: Preprocessing) -> int:
    """Return the side of the square to keep: an even rim all around, so that its middle is exactly the usual crop."""
    rim = (preprocessing.resize - preprocessing.crop) // 2
    return preprocessing.crop + 2 * (rim - rim % 2)


def _no_single(count: int, size: int) -> int:
    """Return the largest size of batches, up to `size`, that leaves no last batch of one photograph."""
    return next((s for s in range(min(size, count), 1, -1) if count % s != 1), count)
