"""The pictures on the photo desk: examples, uploads, the content of zip archives, and snapshots."""

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
MOST_OF_AN_ARCHIVE = 300  # pictures that are put on the desk
MOST_AT_ONCE = 30  # uploaded pictures; each is kept in memory
ZIP = b"PK\x03\x04"


@dataclass(frozen=True, eq=False)
class Print:
    """One picture on the tray.

    Attributes:
        name: what to call it.
        source: its file, or its content.
        label: its class, or None where nobody said.
    """

    name: str
    source: Path | bytes
    label: str | None = None

    def open(self, at_least: int) -> Image.Image:
        """Return it as an upright RGB picture, its shorter side at least this long where it was so.

        Raises:
            PhotoError: it cannot be read; the message names it.
        """
        try:
            return open_photo(self.source, at_least=at_least)
        except PhotoError as error:
            raise PhotoError(_named(error, self)) from error


class Tray:
    """All pictures that can be chosen, and what was said about the last ones that came.

    Args:
        classes: names that the classifier knows; pictures in folders of these names have a class.
        examples: photographs to begin with, or None.
        at_least: shortest side that is needed, in pixels.

    Attributes:
        prints: the pictures; there is at least one, blank if need be.
    """

    def __init__(self, classes: Sequence[str], examples: PhotoSet | None, at_least: int) -> None:
        self.classes, self.at_least = tuple(classes), at_least
        self.prints = examples_of(examples)
        self._folder: tempfile.TemporaryDirectory | None = None
        self._archives = self._snapshots = 0

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.prints)

    def open(self, number: int) -> Image.Image:
        """Return a picture by its number.

        Raises:
            PhotoError: it cannot be read.
        """
        return self.prints[number].open(self.at_least)

    def add_uploads(self, files: Sequence[Mapping[str, Any]]) -> str:
        """Put uploaded files on the tray.

        Args:
            files: with `name` and `content`, as a `FileUpload` gives them.

        Returns:
            Sentences: how many pictures were added, and why others were not.
        """
        before, refused = len(self), []
        for file in files[:MOST_AT_ONCE]:
            name, content = str(file["name"]), bytes(file["content"])
            try:
                if content[:4] == ZIP:
                    refused += self._add_archive(name, content)
                else:
                    self._add(Print(name, content))
            except StorageError as error:
                refused.append(str(error))
        if len(files) > MOST_AT_ONCE:
            refused.append(f"{len(files)} files came at once; {MOST_AT_ONCE} were taken. Pack more of them as a zip.")
        return _told(len(self) - before, refused)

    def add_snapshot(self, address: str) -> str:
        """Put a picture of the camera on the tray.

        Args:
            address: a data address, `data:image/jpeg;base64,...`, as a browser writes a picture as text.

        Returns:
            A sentence.
        """
        head, _, text = address.partition(",")
        try:
            if not head.startswith("data:image/") or not head.endswith(";base64"):
                raise PhotoError(f"the camera sent {head[:40]!r}, but a picture was expected. Try again.")
            content = base64.b64decode(text, validate=True)
            self._add(Print(f"camera {self._snapshots + 1}", content))
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

    def _add(self, picture: Print) -> None:
        """Put a picture on the tray if it opens.

        Raises:
            PhotoError: it does not.
        """
        picture.open(self.at_least)
        self.prints.append(picture)

    def _add_archive(self, name: str, content: bytes) -> list[str]:
        """Unpack a zip archive and put its pictures on the tray; they are opened when they are looked at.

        Raises:
            ArchiveError: it was refused.
        """
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="tlcourse-desk-")
        self._archives += 1
        folder = unpack_zip(content, Path(self._folder.name) / str(self._archives))
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not is_system_file(path.name)]
        for path in files[:MOST_OF_AN_ARCHIVE]:
            label = path.parent.name if path.parent.name in self.classes else None
            self.prints.append(Print(printable(path.relative_to(folder).as_posix()), path, label))
        if len(files) <= MOST_OF_AN_ARCHIVE:
            return []
        return [f"{name} holds {len(files):,} files; the first {MOST_OF_AN_ARCHIVE} are on the desk."]


def examples_of(photos: PhotoSet | None) -> list[Print]:
    """Choose photographs to begin with.

    Args:
        photos: to choose from, or None.

    Returns:
        Up to 24 pictures in mixed order; without photographs a single blank one, so that there is something to see.
    """
    if photos is None or not len(photos):
        return [Print("a blank picture", _blank())]
    order = torch.randperm(len(photos), generator=generator("examples on the desk"))[:EXAMPLES].tolist()
    return [
        Print(f"example {place}", photos.paths[i], photos.classes[photos.labels[i]]) for place, i in enumerate(order, 1)
    ]


def _blank() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (200, 200, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def _named(error: PhotoError, picture: Print) -> str:
    """Put the picture's name where a message says "the content"."""
    shown = printable(picture.source) if isinstance(picture.source, Path) else "the content"
    return str(error).replace(shown, picture.name, 1)


def _told(added: int, refused: list[str]) -> str:
    said = [f"{added} picture{'s' if added != 1 else ''} added." if added else "Nothing was added."]
    return " ".join([*said, *refused[:3], *([f"And {len(refused) - 3} more."] if len(refused) > 3 else [])])
