"""Files from the network: verified by hash, and in place only when they are right."""

import contextlib
import hashlib
import http.client
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import torch

from tlcourse.repro import watched
from tlcourse.storage import StorageError, temporary_beside

SILENCE = 30.0  # seconds without a byte that end a download


class DownloadError(StorageError):
    """A file could not be fetched, or what came was not the file."""


def download(url: str, path: Path | str, sha256: str, *, progress: bool = True, meanwhile: str = "") -> Path:
    """Fetch a file once, and leave nothing half-written under its name: PyTorch's downloader, with better errors.

    A file that is there and has the right hash is taken as it is, without network. `sha256` may be the first digits
    alone, as in the names of torchvision's files; `meanwhile` is a sentence that ends the error message: what to do
    until the file is there. DownloadError when it could not be fetched or written, or was another file than expected.
    """
    path = Path(path).expanduser()
    if has_hash(path, sha256):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _not_forever(), _folder_beside(path) as temporary:
            torch.hub.download_url_to_file(url, str(temporary / path.name), sha256.lower(), progress and watched())
            os.replace(temporary / path.name, path)
    except (OSError, RuntimeError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(
            f"could not download {url}: {_reason(error)}. Expected a whole file at {path.absolute()}; nothing "
            f"half-written lies there.{' The file that lies there is another one.' if path.is_file() else ''} Check "
            "the connection (behind a proxy, set HTTPS_PROXY) and try again; or fetch the file with a browser or on "
            f"another machine, and put it there by hand. {meanwhile}".rstrip()
        ) from error
    return path


def has_hash(path: Path, sha256: str) -> bool:
    """Whether a file is there and its SHA-256 begins with these hexadecimal digits."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256.lower())


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """Give a folder for what is not whole yet; what a killed process left there, the next download deletes."""
    folder = temporary_beside(path)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _not_forever() -> Iterator[None]:
    """Let silent connections end: PyTorch's downloader sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: Exception) -> str:
    """Say in a few words what went wrong."""
    inner = error.reason if isinstance(getattr(error, "reason", None), Exception) else error  # what urllib wrapped
    if isinstance(inner, TimeoutError):
        return f"the server was silent for {SILENCE:g} seconds"
    if "invalid hash value" in str(inner):
        return f"what came is not the file, perhaps a part of it, or the log-in page of a network: {inner}"
    return str(inner) or type(inner).__name__
