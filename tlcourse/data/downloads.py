"""Files from the network: continued where they broke off, verified by hash, and in place only when they are right."""

import contextlib
import hashlib
import os
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock
from tqdm.auto import tqdm

from tlcourse.data.resuming import TransferError, fetch_rest, forget, size_of, version_of
from tlcourse.storage import StorageError

SHORTEST_PREFIX = 8  # hexadecimal digits of a SHA-256, as in the names of torchvision's files
DIGITS = {"sha256": (SHORTEST_PREFIX, 64), "md5": (32, 32)}  # how many hexadecimal digits a hash may have
NAMES = {"sha256": "SHA-256", "md5": "MD5"}


class DownloadError(StorageError):
    """A file could not be fetched, or what came was not the file."""


def download(
    url: str,
    path: Path | str,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    progress: bool = True,
    meanwhile: str = "",
) -> Path:
    """Fetch a file over `http` or `https` once, and leave nothing half-written under its name.

    A file that is there and has the right hash is taken as it is, without network. Otherwise the bytes go to
    `<path>.part`, which a later call continues where it broke off, if the server still has the same file. Only when the
    whole has the expected hash is it moved into place. Two calls at once fetch the file once: the second waits.

    `sha256` may be the first 8 digits or more; `meanwhile` is a sentence that ends the error message: what to do until
    the file is there. DownloadError when it could not be fetched or written, or was another file than expected.
    """
    _check(url, {"sha256": sha256, "md5": md5})
    job = _Job(url, Path(path).expanduser(), {"sha256": sha256, "md5": md5}, progress, meanwhile)
    if not job.done():
        with _alone(job):
            if not job.done():  # another call may have fetched it while this one waited
                _fetch(job)
    return job.path


def wrong_hash(path: Path | str, *, sha256: str | None = None, md5: str | None = None) -> str | None:
    """Say in half a sentence how a file's hash differs from the expected one; None when it does not."""
    for kind, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, kind).hexdigest()
            if not found.startswith(expected.lower()):
                return f"the {NAMES[kind]} is {found[:16]}…, but {expected[:16]}… was expected"
    return None


@dataclass(frozen=True)
class _Job:
    url: str
    path: Path
    hashes: dict[str, str | None]
    progress: bool
    meanwhile: str

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    def done(self) -> bool:
        return self.path.is_file() and wrong_hash(self.path, **self.hashes) is None

    def error(self, why: str) -> DownloadError:
        kept = size_of(self.part)
        later = f" {kept:,} bytes came and are kept: the next call continues there." if kept else ""
        problem = wrong_hash(self.path, **self.hashes) if self.path.is_file() else None
        there = f" The file that lies there is another one: {problem}." if problem else ""
        ending = f" {self.meanwhile}" if self.meanwhile else ""
        return DownloadError(
            f"could not download {self.url}: {why}.{later} Expected a whole file at {self.path.absolute()}; nothing "
            f"half-written lies there.{there} Check the connection (behind a proxy, set HTTPS_PROXY) and try again; or "
            f"fetch the file with a browser or on another machine, and put it there by hand.{ending}"
        )


def _check(url: str, hashes: dict[str, str | None]) -> None:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url!r} cannot be downloaded: an address that begins with https:// was expected.")
    for kind, value in hashes.items():
        least, most = DIGITS[kind]
        if value is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{least},{most}}}", value):
            wanted = f"{least} to {most}" if least < most else f"{most}"
            raise ValueError(f"{kind} is {value!r}, but {wanted} hexadecimal digits were expected.")


@contextlib.contextmanager
def _alone(job: _Job) -> Iterator[None]:
    """Let one call at a time work on a file, from whatever process."""
    folder = job.path.absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(folder / f".{job.path.name}.lock").acquire()
    except (OSError, NotImplementedError) as error:
        raise job.error(f"{folder} cannot be written ({getattr(error, 'strerror', None) or error})") from error
    with held:
        yield


def _fetch(job: _Job) -> None:
    """Bring all bytes, check them, and move them into place; begin again once if what was continued proves wrong."""
    continued = size_of(job.part) > 0
    problem = _bytes(job)
    if problem and continued:
        forget(job.part)
        problem = _bytes(job)
    if problem:
        came, page = size_of(job.part), _looks_like_a_page(job.part)
        forget(job.part)
        what = "a web page, perhaps the log-in page of a network" if page else "not the file"
        raise job.error(f"{came:,} bytes came, but they are {what}: {problem}")
    try:
        os.replace(job.part, job.path)
        version_of(job.part).unlink(missing_ok=True)
    except OSError as error:
        raise job.error(f"{job.path.name} cannot be put in place ({error.strerror or error})") from error


def _bytes(job: _Job) -> str | None:
    """Bring all bytes, and say what is wrong with them, if anything."""
    options = {"unit": "B", "unit_scale": True, "leave": False, "disable": not job.progress}
    try:
        with tqdm(desc=job.path.name, **options) as bar:
            fetch_rest(job.url, job.part, verified=any(job.hashes.values()), bar=bar)
    except TransferError as error:
        raise job.error(str(error)) from error
    return wrong_hash(job.part, **job.hashes)


def _looks_like_a_page(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(200).lstrip().lower().startswith((b"<!doctype html", b"<html"))
