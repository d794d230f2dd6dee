"""Photographs that training reads again and again: in memory as bytes where they are few, else from disk."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from tqdm.auto import tqdm

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import open_photo, reading_threads
from tlcourse.photos.views import RandomView
from tlcourse.repro import generator

Pair = tuple[torch.Tensor, torch.Tensor]
IN_MEMORY_UP_TO = 1_000_000_000  # bytes of a set; what is larger is read from disk in every epoch


@dataclass(frozen=True, eq=False)
class PhotoSource:
    """Photographs for one network, resized; what is normalised is made batch by batch."""

    photos: PhotoSet
    preprocessing: Preprocessing
    # uint8 [N, 3, S, S]; the network sees the middle crop x crop, the rim is for random crops. None: read when needed
    images: torch.Tensor | None = None

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

    def in_order(self, size: int = 32) -> "PhotoBatches":
        """Return batches of `(float32 [B, 3, crop, crop], int64 [B])` as the network takes them, in order."""
        return PhotoBatches(self, size)

    def for_training(self, size: int, view: RandomView, seed: int = 0) -> "PhotoBatches":
        """Return shuffled batches, every photograph once an epoch, each time seen differently."""
        return PhotoBatches(self, size, view, seed)

    def squares(self, rows: torch.Tensor) -> torch.Tensor:
        """Return some photographs as bytes, uint8 `[B, 3, S, S]`; raises PhotoError where a file was changed since."""
        if self.images is not None:
            return self.images[rows]
        return torch.stack(list(_read(self.photos.subset(rows).paths, self.preprocessing)))

    def middle(self, squares: torch.Tensor) -> torch.Tensor:
        """Return the middle of such bytes as the network takes it, float32 `[B, 3, crop, crop]`."""
        crop = self.preprocessing.crop
        rim = (squares.shape[-1] - crop) // 2
        return normalised(squares[..., rim : rim + crop, rim : rim + crop] / 255, self.preprocessing)


class PhotoBatches:
    """Batches of photographs: in their order, or with a `view` shuffled, the same for the same seed and epoch.

    When training, sizes differ by one at most: a last batch of one or two photographs would spoil the statistics of
    batch normalisation.
    """

    def __init__(self, source: PhotoSource, size: int, view: RandomView | None = None, seed: int = 0) -> None:
        self.source, self.view, self.seed, self.epoch = source, view, seed, 0
        self.size, self.count = size, -(-len(source) // size)

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through, so that an interrupted training can go on where it was."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Pair]:
        """Yield the batches of the current epoch, and move on to the next."""
        side, draws = self.source.preprocessing.crop, generator("photo views", self.seed, self.epoch)
        self.epoch += 1
        if self.view is None:
            parts = torch.arange(len(self.source)).split(self.size)
        else:
            parts = torch.randperm(len(self.source), generator=draws).tensor_split(self.count)
        for rows, squares in zip(parts, _ahead(self.source.squares, parts), strict=True):
            if self.view is None:
                x = self.source.middle(squares)
            else:
                x = normalised(self.view(squares, side, draws), self.source.preprocessing)
            yield x, self.source.labels[rows]


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
        return PhotoSource(photos, preprocessing)
    images = torch.empty(len(photos), 3, side, side, dtype=torch.uint8)
    squares = _read(photos.paths, preprocessing)
    for i, square in enumerate(tqdm(squares, "reading", len(photos), leave=False, disable=not progress)):
        images[i] = square
    return PhotoSource(photos, preprocessing, images)


def read_for(path: Path | str, preprocessing: Preprocessing) -> Image.Image:
    """Read a photograph at least twice as large as the network wants it: large JPEG files then decode faster."""
    return open_photo(path, at_least=2 * preprocessing.resize)


def normalised(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Take the mean off pixels from 0 to 1 and divide by the standard deviation, float32 `[B, 3, H, W]`."""
    mean, std = (pixels.new_tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (pixels - mean) / std


def _read(paths: Sequence[Path], preprocessing: Preprocessing) -> Iterator[torch.Tensor]:
    """Yield photographs in order as bytes, uint8 `[3, S, S]`, resized as the preprocessing does; threads read ahead."""
    plain = replace(preprocessing, crop=_side_in_memory(preprocessing), mean=(0, 0, 0), std=(1, 1, 1))
    pool = ThreadPoolExecutor(reading_threads())
    try:
        yield from pool.map(lambda path: (plain(read_for(path, plain)) * 255).round().to(torch.uint8), paths)
    finally:
        pool.shutdown(cancel_futures=True)  # where someone interrupts, what waits is not begun


def _ahead(read: Callable[[torch.Tensor], torch.Tensor], parts: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Read one part ahead of the one that is asked for, so that the network need not wait for the disk."""
    with ThreadPoolExecutor(1) as pool:
        coming = None
        for rows in parts:
            before, coming = coming, pool.submit(read, rows)
            if before is not None:
                yield before.result()
        yield coming.result()


def _side_in_memory(preprocessing: Preprocessing) -> int:
    """Return the side of the square to keep: an even rim all around, so that its middle is exactly the usual crop."""
    rim = (preprocessing.resize - preprocessing.crop) // 2
    return preprocessing.crop + 2 * (rim - rim % 2)
