"""Folders that are written as one unit: all of their files are new, or all are as before."""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tlcourse.storage import StorageError, temporary_beside, write_atomically


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder, which becomes `folder` at the end, and is deleted where something goes wrong before.

    Raises OSError where there is a `folder` already that is not empty.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir()
        yield temporary
        if folder.exists():
            folder.rmdir()
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(folder: Path | str, ours: Collection[str]) -> Path:
    """Refuse a place that cannot be written, or that holds what would be lost. Ask before the long work, not after it.

    `ours` are names of files that may be replaced there. Returns the path behind all links; raises StorageError.
    """
    folder = real_path(folder)
    restore(folder)
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        what = "a link that leads nowhere" if folder.is_symlink() else "a file"
        raise StorageError(f"{folder} is {what}, but a folder for a saved model was expected. Choose another name.")
    others = sorted(entry.name for entry in folder.iterdir() if entry.name not in ours) if folder.exists() else []
    if others:
        raise StorageError(
            f"{folder} holds {', '.join(others[:3])}{' and more' if len(others) > 3 else ''}, which would be lost: a "
            "folder with a saved model is replaced as a whole. Nothing was changed. Choose another one, or empty this."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        probe = temporary_beside(folder)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror or error}. Choose a folder that you can write to."
        ) from error
    return folder


def write_folder(folder: Path | str, files: Mapping[str, bytes], *, replaces: Collection[str] = ()) -> Path:
    """Write a folder so that a reader finds the old one or the new one, never a mixture; returns its real path.

    The files go into a new folder beside it, and are forced to disk. Then the old folder is put aside, the new one
    takes its place, and the old one is deleted. If the machine stops between these steps, the old folder is put back by
    the next who asks for it (`restore`). Files named in `replaces` may be there, and will be gone. Raises StorageError
    where it could not be written; what was there before is then unchanged.
    """
    folder = check_target(folder, {*files, *replaces})
    aside = _aside(folder)
    try:
        with new_folder(folder) as fresh:
            for name, data in files.items():
                write_atomically(fresh / name, data)
            if folder.exists():
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(folder, aside)
    except BaseException as error:  # an interruption too
        restore(folder)
        if not isinstance(error, OSError):
            raise
        kept = " What was there before is unchanged." if folder.exists() else ""
        reason = getattr(error.__cause__ or error, "strerror", None) or error  # of a StorageError, what it came from
        raise StorageError(
            f"could not write a saved model to {folder}: {reason}.{kept} Free some space, close what has its files "
            "open, or choose another folder."
        ) from error
    shutil.rmtree(aside, ignore_errors=True)
    return folder


def restore(folder: Path | str) -> None:
    """Put a folder back that a stopped `write_folder` had put aside."""
    folder = real_path(folder)
    if not folder.exists() and _aside(folder).is_dir():
        with contextlib.suppress(OSError):
            os.replace(_aside(folder), folder)


def real_path(path: Path | str) -> Path:
    """Return the absolute path behind all links; for links in a circle, Path.resolve() would raise RuntimeError."""
    return Path(os.path.realpath(Path(path).expanduser()))


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.before")
