"""Rendered image sets kept on disk, safe when several notebooks start at once."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs
import safetensors.torch
from safetensors import SafetensorError

from tlcourse.storage import StorageError, Tensors, sha256, write_atomically

OFF = "off"


class CacheError(StorageError):
    """The cache folder cannot be used."""


def cache_folder() -> Path | None:
    """Return where rendered images are kept: `TLCOURSE_CACHE`, else the system's place for caches, or None when off."""
    named = os.environ.get("TLCOURSE_CACHE")
    if named:
        return None if named.lower() == OFF else Path(named)
    return platformdirs.user_cache_path("tlcourse", appauthor=False)


def cached(key: dict[str, object], make: Callable[[], Tensors]) -> Tensors:
    """Return the tensors that `make` would return, from disk when they are there.

    The file's name is a hash of the key (JSON; everything that the tensors depend on), and the file carries a hash of
    its content. One that is damaged is made again. Writers never meet: each writes a file of its own and moves it into
    place, and all write the same bytes. CacheError when the folder cannot be written.
    """
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / f"{sha256(json.dumps(key, sort_keys=True).encode())[:24]}.safetensors"
    found = _read(path)
    if found is None:
        found = make()
        _write(path, found)
    return found


def _read(path: Path) -> Tensors | None:
    """Read a cached file, or None when it is missing or not exactly what was written."""
    try:
        data = path.read_bytes()  # not memory-mapped: Windows could then not replace the file
        digest, body = data[:64], data[64:]
        return safetensors.torch.load(body) if digest == sha256(body).encode() else None
    except (OSError, SafetensorError):
        return None


def _write(path: Path, tensors: Tensors) -> None:
    body = safetensors.torch.save(tensors)
    try:
        write_atomically(path, sha256(body).encode() + body)
    except StorageError as error:
        if _read(path) is not None:
            return  # another kernel was faster, and Windows does not replace a file that is being read
        raise CacheError(
            f"rendered images could not be kept in {path.parent}: {error.__cause__}. Expected a folder that can be "
            f"written. Set the environment variable TLCOURSE_CACHE to such a folder, or to {OFF!r} to draw anew."
        ) from error
