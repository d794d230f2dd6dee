"""Photographs for one network: resized once, in memory as bytes where they are few, else read from disk when needed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import PhotoError, open_photo, printable, reading_threads
from tlcourse.photos.views import RandomView
from tlcourse.repro import generator, progress_bar, seeded

Pair = tuple[torch.Tensor, torch.Tensor]
IN_MEMORY_UP_TO = 1_000_000_000  # bytes of a set; what is larger is read from disk in every epoch


@dataclass(frozen=True, eq=False)
class PhotoSource(Dataset):
    """Photographs for one network, resized, as bytes with their labels; what is normalised is made batch by batch."""

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

    def __getitems__(self, rows: Sequence[int]) -> list[Pair]:
        """Return photographs, uint8 `[3, S, S]`, and labels, as DataLoader asks for a batch; threads read them.

        Raises PhotoError where a file was changed since.
        """
        if self.images is not None:
            squares = [self.images[row] for row in rows]
        else:
            squares = _read([self.photos.paths[row] for row in rows], self.preprocessing)
        return list(zip(squares, self.labels[list(rows)], strict=True))

    def in_order(self, size: int = 16) -> DataLoader:
        """Return batches of `(float32 [B, 3, crop, crop], int64 [B])` as the network takes them, in order."""
        return DataLoader(self, size, collate_fn=self._as_the_network_takes_them, generator=torch.Generator())

    def for_training(self, size: int, view: RandomView, seed: int = 0, steps: int | None = None) -> "TrainingBatches":
        """Return shuffled batches, at most `steps` an epoch or every photograph once, each time seen differently."""
        return TrainingBatches(self, size, view, seed, steps)

    def prepared(self, rows: torch.Tensor) -> torch.Tensor:
        """Return some photographs as the network takes them, float32 `[B, 3, crop, crop]`."""
        return self._as_the_network_takes_them(self.__getitems__(rows.tolist()))[0]

    def _as_the_network_takes_them(self, pairs: list[Pair]) -> Pair:
        squares, labels = default_collate(pairs)
        rim = (squares.shape[-1] - self.preprocessing.crop) // 2
        end = rim + self.preprocessing.crop
        return self.preprocessing.normalised(squares[..., rim:end, rim:end]), labels


class TrainingBatches:
    """Shuffled batches of random views, the same for the same seed and epoch.

    Sizes differ by one at most: a last batch of one or two photographs would spoil the statistics of batch
    normalisation.
    """

    def __init__(
        self, source: PhotoSource, size: int, view: RandomView, seed: int = 0, steps: int | None = None
    ) -> None:
        self.source, self.seed, self.epoch, self.steps = source, seed, 0, steps
        self.count, self.view = -(-len(source) // size), view.transform(source.preprocessing.crop)

    def __len__(self) -> int:
        return self.count if self.steps is None else min(self.count, self.steps)

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through, so that an interrupted training can go on where it was."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Pair]:
        """Yield the batches of the current epoch, and move on to the next."""
        keys = ("photo views", self.seed, self.epoch)
        self.epoch += 1
        order = torch.randperm(len(self.source), generator=generator(*keys))
        rows = [part.tolist() for part in order.tensor_split(self.count)[: self.steps]]
        loader = DataLoader(self.source, batch_sampler=rows, generator=torch.Generator())
        for number, (squares, labels) in enumerate(loader):
            with seeded(*keys, number):
                views = torch.stack([self.view(square) for square in squares])
            yield self.source.preprocessing.normalised(views), labels


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
    for i, square in enumerate(progress_bar(squares, "reading", len(photos), shown=progress)):
        images[i] = square
    return PhotoSource(photos, preprocessing, images)


def read_for(path: Path | str, preprocessing: Preprocessing) -> torch.Tensor:
    """Read a photograph as bytes, uint8 `[3, crop, crop]`; large JPEG files decode faster at a reduced scale.

    Raises PhotoError, which names the file, also where it is too long and narrow.
    """
    photo = open_photo(path, at_least=2 * preprocessing.resize)
    try:
        return preprocessing.pixels(photo)
    except ValueError as error:
        raise PhotoError(f"{printable(path)}: {error}") from error


def _read(paths: Sequence[Path], preprocessing: Preprocessing) -> Iterator[torch.Tensor]:
    """Yield photographs in order as bytes, uint8 `[3, S, S]`, resized as the preprocessing does; threads read ahead."""
    whole = replace(preprocessing, crop=_side_in_memory(preprocessing))
    pool = ThreadPoolExecutor(reading_threads())
    try:
        yield from pool.map(lambda path: read_for(path, whole), paths)
    finally:
        pool.shutdown(cancel_futures=True)  # where someone interrupts, what waits is not begun


def _side_in_memory(preprocessing: Preprocessing) -> int:
    """Return the side of the square to keep: an even rim all around, so that its middle is exactly the usual crop."""
    rim = (preprocessing.resize - preprocessing.crop) // 2
    return preprocessing.crop + 2 * (rim - rim % 2)
