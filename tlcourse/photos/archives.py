"""Unpacking a zip archive that somebody sent: nothing lands outside its folder, and nothing fills the disk."""

import re
import shutil
import stat
import zipfile
from io import BytesIO
from pathlib import Path

from tlcourse.photos.scan import is_system_file
from tlcourse.photos.whole_folder import new_folder
from tlcourse.storage import StorageError

MOST_BYTES = 8_000_000_000  # unpacked
MOST_FILES = 200_000
MOST_TIMES = 200  # larger unpacked than packed: photographs hardly shrink, a bomb grows a thousandfold
FREE_BYTES = 50_000_000  # up to here the ratio does not matter
# What Windows does not allow in a name, and names that it keeps for devices; replaced everywhere, so that the same
# archive gives the same classes on all machines.
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


class ArchiveError(StorageError):
    """An archive cannot be unpacked, or tries what no archive of photographs does. Nothing was unpacked."""


def unpack_zip(data: bytes | memoryview | Path | str, into: Path | str, *, most_bytes: int = MOST_BYTES) -> Path:
    """Unpack a zip archive of photographs, a file or its content, into a folder of its own, completely or not at all.

    Refused are names that lead out of the folder, links, devices, passwords, and bombs; `zipfile` unpacks no more of a
    file than the archive says it has. Archives inside are not unpacked. Returns the folder that holds the classes:
    `into`, or, where the archive wraps everything in one folder, that one. Raises ArchiveError: damaged, refused, the
    disk is full, or `into` is not empty.
    """
    into = Path(into)
    name, source = (str(data), data) if isinstance(data, Path | str) else ("the archive", BytesIO(data))
    try:
        with zipfile.ZipFile(source) as archive:
            packed = Path(source).stat().st_size if isinstance(data, Path | str) else memoryview(data).nbytes
            entries = _entries(archive, name)
            _check_size(sum(entry.file_size for entry in entries.values()), packed, name, most_bytes)
            _unpack(archive, entries, into)
    except ArchiveError:
        raise
    except OSError as error:
        raise ArchiveError(
            f"could not unpack {name} into {into}: {error.strerror or error}. Nothing was left there. Check the name, "
            "free some space, or choose another folder."
        ) from error
    except Exception as error:  # a damaged archive raises errors of many kinds
        raise ArchiveError(
            f"{name} is not a whole zip archive: {error}. Nothing was unpacked. Send or download it again, packed as "
            "an ordinary zip without a password."
        ) from error
    return _class_folder(into)


def _entries(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by the safe name that each gets, before anything is written."""
    files = [e for e in archive.infolist() if e.filename[-1:] not in ("/", "\\") and not _is_left_behind(e.filename)]
    if not files:
        raise ArchiveError(f"{name} holds no files. Expected an archive of photographs, one subfolder for every class.")
    if len(files) > MOST_FILES:
        raise ArchiveError(f"{name} was refused: it holds {len(files):,} files, but at most {MOST_FILES:,} are taken.")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in files:
        safe = "/".join(safe_parts(_decoded_name(entry)))
        if safe in entries:
            raise ArchiveError(f"{name} was refused: it holds {safe!r} twice. Pack it again.")
        entries[safe] = entry
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            what = "a link" if kind == stat.S_IFLNK else "no ordinary file"
            raise ArchiveError(f"{name} was refused: {safe!r} in it is {what}. Pack the files themselves.")
        if entry.flag_bits & 1:
            raise ArchiveError(f"{name} needs a password for {safe!r}. Pack it again without one.")
    return entries


def safe_parts(name: str) -> list[str]:
    r"""Split the name of an entry into folders and file, fit for every system: what Windows forbids becomes `_`.

    Raises ArchiveError where the name is absolute, names a drive, climbs with `..`, or has no part left.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if name[:1] in ("/", "\\") or re.match(r"[A-Za-z]:", name) or ".." in parts or not parts:
        raise ArchiveError(
            f"the archive was refused: the name {name!r} in it leads out of the folder. Expected names such as "
            "'apples/1.jpg'. Nothing was unpacked."
        )
    parts = [FORBIDDEN.sub("_", part).rstrip(". ") or "_" for part in parts]
    return [f"_{part}" if DEVICES.fullmatch(part) else part for part in parts]


def _decoded_name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name; some programs write UTF-8 without saying so, which reads as the letters of 1981."""
    if not entry.flag_bits & 0x800:
        try:
            return entry.orig_filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return entry.orig_filename


def _is_left_behind(name: str) -> bool:
    return any(part != ".." and is_system_file(part) for part in name.replace("\\", "/").split("/"))


def _check_size(unpacked: int, packed: int, name: str, most_bytes: int) -> None:
    """Refuse a bomb."""
    if unpacked > most_bytes or unpacked > max(FREE_BYTES, MOST_TIMES * packed):
        raise ArchiveError(
            f"{name} was refused: {packed:,} bytes unpack to {unpacked:,}, like a decompression bomb. Expected "
            f"at most {most_bytes:,}, and at most {MOST_TIMES} times the packed size. Nothing was unpacked."
        )


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], into: Path) -> None:
    with new_folder(into) as temporary:
        for safe, entry in entries.items():
            path = temporary / safe
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(path, "xb") as target:
                shutil.copyfileobj(source, target)


def _class_folder(folder: Path) -> Path:
    """Go down through folders that only wrap one other folder of folders."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or not any(path.is_dir() for path in inside[0].iterdir()):
            return folder
        folder = inside[0]
