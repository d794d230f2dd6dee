"""One file over HTTP into one growing file on disk, through broken connections: the transport beneath `download`."""

import errno
import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import BinaryIO

from tqdm.auto import tqdm

TRIES = 3  # attempts in a row that bring nothing new
PAUSE = 1.0  # seconds before the second attempt; twice as long before each one after
TIMEOUT = 10.0  # seconds of silence that end an attempt
CHUNK = 1 << 18  # bytes
WORTH_RETRYING = (408, 425, 429, 500, 502, 503, 504)  # what a server answers when it is busy, not when it says no
DISK = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM")} - {None}


class TransferError(Exception):
    """The bytes could not be fetched; the message says why in a few words."""


class _StartAgainError(Exception):
    """The server has another file than the one that was begun."""


def version_of(part: Path) -> Path:
    """Return the small file beside a growing one that holds what the server called the version which was begun."""
    return part.with_name(f"{part.name}.version")


def size_of(part: Path) -> int:
    """Return how many bytes came so far."""
    return part.stat().st_size if part.is_file() else 0


def forget(part: Path) -> None:
    """Remove what came so far."""
    part.unlink(missing_ok=True)
    version_of(part).unlink(missing_ok=True)


def fetch_rest(url: str, part: Path, *, verified: bool, bar: tqdm) -> None:
    """Append what is missing to a growing file until it is whole; TransferError after attempts that bring nothing new.

    What is there is continued (`Range`) if the server still has the version that was begun (`If-Range`, RFC 9110,
    section 13.1.5). A server that cannot do this sends everything again.

    `verified` says whether the whole will be checked by a hash afterwards. Only then is a file continued that no
    version names, and only then may a safe address lead to an unsafe one. The bar's total is set here.
    """
    most, fruitless = size_of(part), 0
    while True:
        try:
            return _attempt(url, part, verified, bar)
        except _StartAgainError:
            forget(part)
            why, final = "the file on the server changed while it was fetched", False
        except (OSError, http.client.HTTPException) as error:
            why, final = _reason(error), _is_final(error)
        fruitless = 0 if size_of(part) > most else fruitless + 1
        most = max(most, size_of(part))
        if final or fruitless == TRIES:
            raise TransferError(why if final else f"{why} (tried {TRIES} times)")
        time.sleep(PAUSE * 2 ** max(0, fruitless - 1))


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError):
        return f"the server was silent for {TIMEOUT:g} seconds"
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"the server's certificate could not be verified ({inner.verify_message})"
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def _is_final(error: Exception) -> bool:
    """Whether another attempt would end the same way: the server said no, or the disk is full."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code not in WORTH_RETRYING
    inner = getattr(error, "reason", error)
    return isinstance(inner, ssl.SSLCertVerificationError) or getattr(inner, "errno", None) in DISK


def _attempt(url: str, part: Path, verified: bool, bar: tqdm) -> None:
    """Ask for what is missing, and append it."""
    have = size_of(part)
    try:
        response = urllib.request.urlopen(_request(url, part, have, verified), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # nothing is missing
        raise _StartAgainError from error
    with response:
        _refuse_unsafe(url, response.url, verified)
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            _check_rest(part, response, have)
        else:
            have = 0
            forget(part)
            version_of(part).write_text(_version(response), encoding="latin-1")
        _receive(response, part, have, bar)


def _request(url: str, part: Path, have: int, verified: bool) -> urllib.request.Request:
    """Ask for the whole, or for the rest if the server still has the version that was begun."""
    headers = {"User-Agent": "tlcourse", "Accept-Encoding": "identity"}
    begun = _begun(part)
    if have and begun:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun}
    elif have and verified:  # nothing names the version, but the hash would find a mixture
        headers["Range"] = f"bytes={have}-"
    return urllib.request.Request(url, headers=headers)


def _begun(part: Path) -> str:
    """Return which version was begun, or an empty text."""
    file = version_of(part)
    return file.read_text(encoding="latin-1") if file.is_file() else ""


def _version(response: http.client.HTTPResponse) -> str:
    """Return what names exactly this version of the file: a strong ETag, else its date, else nothing."""
    etag = response.headers.get("ETag") or ""
    return etag if etag.startswith('"') else response.headers.get("Last-Modified") or ""


def _refuse_unsafe(asked: str, answered: str, verified: bool) -> None:
    """Refuse to be led from a safe address to one where anybody may change the bytes, unless a hash would tell."""
    if asked.startswith("https:") and not answered.startswith("https:") and not verified:
        raise TransferError(f"it leads to {answered}, which is not safe (https), and no hash would tell a wrong file")


def _check_rest(part: Path, response: http.client.HTTPResponse, have: int) -> None:
    """Refuse a rest that does not continue what is there."""
    fits = (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
    if not fits or _begun(part) not in ("", _version(response)):
        raise _StartAgainError


def _receive(response: http.client.HTTPResponse, part: Path, have: int, bar: tqdm) -> None:
    """Append what the server sends, and complain when less came than was announced."""
    announced = response.headers.get("Content-Length")
    total = have + int(announced) if announced else None
    if total and shutil.disk_usage(part.parent).free < total - have:
        raise OSError(errno.ENOSPC, f"{total - have:,} bytes are missing, and the disk has less free space")
    bar.reset(total)
    bar.update(have)
    with open(part, "ab") as file:
        _pour(response, file, bar)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and size_of(part) != total:
        raise OSError(f"the connection broke off after {size_of(part):,} of {total:,} bytes")


def _pour(response: http.client.HTTPResponse, file: BinaryIO, bar: tqdm) -> None:
    """Write pieces as they come, so that little is lost when the next one does not."""
    while piece := response.read1(CHUNK):
        file.write(piece)
        bar.update(len(piece))
