"""CIFAR-10: 60,000 small photographs of ten kinds of things, fetched once and kept as an image set in memory."""

import os
import tarfile
import tempfile
from pathlib import Path

import torch

from tlcourse.data.cache import cache_folder, cached
from tlcourse.data.downloads import download, has_hash
from tlcourse.data.imageset import ImageSet
from tlcourse.storage import StorageError, Tensors

NAME = "cifar10"
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE = "cifar-10-python.tar.gz"
UNPACKED = "cifar-10-batches-py"  # what torchvision calls the folder
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNT = {"train": 50_000, "test": 10_000}
IN_A_NOTEBOOK = 2_000  # images of each pool that a notebook takes: as many as its minute allows
RECIPE = 1  # raise when what is kept in the cache would come out different
MEANWHILE = (
    "It was looked for in {places} first; TLCOURSE_DATA may name one more folder. Meanwhile, everything runs on a "
    "world that travels with the course, such as 'handwritten-photo'."
)


def cifar10(split: str = "train", count: int | None = None) -> ImageSet:
    """Return images of CIFAR-10, downloading them (170 MB) when they are nowhere on this machine.

    The first call looks for the archive or its unpacked folder, as torchvision names them, in the folder named by
    `TLCOURSE_DATA` and in `data` beside where Python was started, and downloads the archive if there is none. What it
    read is kept in the course's cache, so that later calls take half a second. `count` keeps the first so many; their
    order mixes the classes. DownloadError says where to put the file by hand.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, technical report, University of
    Toronto.
    """
    tensors = cached(cache_key(split), lambda: _read(split))
    images, labels = (tensors[name][:count].clone() for name in ("images", "labels"))  # a copy frees what is not wanted
    return ImageSet(images, labels, CLASSES, name=f"{NAME}, {split}")


def cache_key(split: str) -> dict[str, object]:
    """Return under what key the resident form of a split is kept by `cached`."""
    return {"world": NAME, "split": split, "recipe": RECIPE}


def data_folders() -> list[Path]:
    """Return where CIFAR-10 may lie already; the first is where it is downloaded to."""
    named, ours = os.environ.get("TLCOURSE_DATA"), cache_folder()
    places = [Path(named).expanduser()] if named else []
    places += [ours / "data"] if ours else []
    return [*places, Path("data").absolute()]


def _read(split: str) -> Tensors:
    """Read a split from what is on this machine, else from the archive after downloading it."""
    for folder in data_folders():
        if (folder / UNPACKED).is_dir() and (found := _parse(folder, split)):
            return found
    with tempfile.TemporaryDirectory(prefix="tlcourse-") as folder:
        with tarfile.open(_archive()) as tar:
            tar.extractall(folder, filter="data")
        found = _parse(Path(folder), split)
    if found is None:
        raise StorageError(f"{ARCHIVE} holds other batches than torchvision expects. Remove it, and load again.")
    return found


def _archive() -> Path:
    """Return the verified archive: one that lies somewhere already, else the downloaded one."""
    places = [folder / ARCHIVE for folder in data_folders()]
    for place in places:
        if has_hash(place, SHA256):
            return place
    meanwhile = MEANWHILE.format(places=", ".join(str(place.parent) for place in places))
    return download(URL, places[0], SHA256, meanwhile=meanwhile)


def _parse(folder: Path, split: str) -> Tensors | None:
    """Let torchvision read the batches below `folder`, or return None where they are not exactly the known ones.

    Batches are pickles, which could run code. torchvision reads one only after its MD5 was that of the original.
    """
    from torchvision.datasets import CIFAR10

    try:
        data = CIFAR10(folder, train=split == "train", download=False)
    except (RuntimeError, OSError):
        return None
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()  # torchvision gives [N, 32, 32, 3]
    return {"images": images, "labels": torch.tensor(data.targets, dtype=torch.int64)}
