"""The pictures of the lab: examples, uploads, the content of zip archives, and snapshots of the camera."""

import base64
import binascii
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from tlcourse.photos.archives import unpack_zip
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import PhotoError, open_photo, printable
from tlcourse.photos.scan import is_system_file
from tlcourse.repro import generator
from tlcourse.storage import StorageError

EXAMPLES = 24
MOST_OF_AN_ARCHIVE = 300  # pictures that are taken
MOST_AT_ONCE = 30  # uploaded pictures; each is kept in memory
ZIP = b"PK\x03\x04"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture by its file or its content; `label` is its class, or None where nobody said."""

    name: str
    source: Path | bytes
    label: str | None = None

    def open(self, at_least: int) -> Image.Image:
        """Return it upright and in RGB, its shorter side at least so many pixels long where it was so.

        Raises PhotoError when it cannot be read; the message names it.
        """
        try:
            return open_photo(self.source, at_least=at_least)
        except PhotoError as error:
            shown = printable(self.source) if isinstance(self.source, Path) else "the content"
            raise PhotoError(str(error).replace(shown, self.name, 1)) from error


class Gallery:
    """All pictures that can be chosen; there is at least one, blank if need be.

    Pictures of an archive that lie in a folder named as one of `classes` have that class. `at_least` is the shortest
    side that is needed, in pixels.
    """

    def __init__(self, classes: Sequence[str], examples: PhotoSet | None, at_least: int) -> None:
        self.classes, self.at_least = tuple(classes), at_least
        self.pictures = examples_of(examples)
        self._folder: tempfile.TemporaryDirectory | None = None
        self._archives = self._snapshots = 0

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.pictures)

    def names(self) -> dict[str, int]:
        """Number the pictures, by what is shown of them in a list."""
        return {f"{place + 1}. {picture.name}": place for place, picture in enumerate(self.pictures)}

    def open(self, number: int) -> Image.Image:
        """Return a picture by its number; raises PhotoError when it cannot be read."""
        return self.pictures[number].open(self.at_least)

    def add_uploads(self, files: Sequence[Mapping[str, Any]]) -> str:
        """Add files with `name` and `content`, as a `FileUpload` gives them; say what was added, and why others not."""
        before, refused = len(self), []
        for file in files[:MOST_AT_ONCE]:
            name, content = str(file["name"]), bytes(file["content"])
            try:
                if content[:4] == ZIP:
                    refused += self._add_archive(name, content)
                else:
                    self._add(Picture(name, content))
            except StorageError as error:
                refused.append(str(error))
        if len(files) > MOST_AT_ONCE:
            refused.append(f"{len(files)} files came at once; {MOST_AT_ONCE} were taken. Pack more of them as a zip.")
        return _told(len(self) - before, refused)

    def add_snapshot(self, address: str) -> str:
        """Add a picture of the camera from `data:image/jpeg;base64,...`, as a browser writes it; say how that went."""
        head, _, text = address.partition(",")
        try:
            if not head.startswith("data:image/") or not head.endswith(";base64"):
                raise PhotoError(f"the camera sent {head[:40]!r}, but a picture was expected. Try again.")
            content = base64.b64decode(text, validate=True)
            self._add(Picture(f"camera {self._snapshots + 1}", content))
        except binascii.Error:
            return "The camera's picture arrived incomplete. Try again."
        except PhotoError as error:
            return str(error)
        self._snapshots += 1
        return _told(1, [])

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._folder is not None:
            self._folder.cleanup()

    def _add(self, picture: Picture) -> None:
        picture.open(self.at_least)
        self.pictures.append(picture)

    def _add_archive(self, name: str, content: bytes) -> list[str]:
        """Unpack an archive, and add its pictures; they are opened when they are looked at."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="tlcourse-lab-")
        self._archives += 1
        folder = unpack_zip(content, Path(self._folder.name) / str(self._archives))
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not is_system_file(path.name)]
        for path in files[:MOST_OF_AN_ARCHIVE]:
            label = path.parent.name if path.parent.name in self.classes else None
            self.pictures.append(Picture(printable(path.relative_to(folder).as_posix()), path, label))
        if len(files) <= MOST_OF_AN_ARCHIVE:
            return []
        return [f"{name} holds {len(files):,} files; the first {MOST_OF_AN_ARCHIVE} were taken."]


def examples_of(photos: PhotoSet | None) -> list[Picture]:
    """Choose up to 24 photographs in mixed order; without any, a blank one, so that there is something to see."""
    if photos is None or not len(photos):
        buffer = io.BytesIO()
        Image.new("RGB", (256, 256), (200, 200, 200)).save(buffer, "PNG")
        return [Picture("a blank picture", buffer.getvalue())]
    order = torch.randperm(len(photos), generator=generator("examples"))[:EXAMPLES].tolist()
    labels = [photos.classes[photos.labels[i]] for i in order]
    paths = [photos.paths[i] for i in order]
    return [Picture(f"example {n}", *which) for n, which in enumerate(zip(paths, labels, strict=True), 1)]


def _told(added: int, refused: list[str]) -> str:
    said = [f"{added} picture{'s' if added != 1 else ''} added." if added else "Nothing was added.", *refused[:3]]
    if len(refused) > 3:
        said.append(f"And {len(refused) - 3} more.")
    return " ".join(said)
