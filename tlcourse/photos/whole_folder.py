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

    `ours` are names of files that may be replaced there. Returns the absolute path; raises StorageError.
    """
    folder = Path(folder).expanduser().absolute()
    restore(folder)
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"{folder} is a file, but a folder for a saved model was expected. Choose another name.")
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
    """Write a folder so that a reader finds the old one or the new one, never a mixture; returns its absolute path.

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
        raise StorageError(
            f"could not write a saved model to {folder}: {getattr(error, 'strerror', None) or error}.{kept} Free "
            "some space, close what has its files open, or choose another folder."
        ) from error
    shutil.rmtree(aside, ignore_errors=True)
    return folder


def restore(folder: Path | str) -> None:
    """Put a folder back that a stopped `write_folder` had put aside."""
    folder = Path(folder).expanduser().absolute()
    if not folder.exists() and _aside(folder).is_dir():
        with contextlib.suppress(OSError):
            os.replace(_aside(folder), folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.before")
