"""A fence around a process: no network, no other programs, no writing outside its folder, no reading of what is closed.

Python tells an audit hook (PEP 578, 2019) about every file, socket and process before it is touched, and a hook can
never be taken away again. That stops answers which reach for what is not theirs, on every system. It is no prison:
who has to expect attacks on the interpreter itself runs the grader in a container as well.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NEVER = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.kill",
    "os.startfile",
    "pty.",
    "signal.pthread_kill",
    "syslog.",
    "ftplib.",
    "smtplib.",
    "urllib.",
    "http.",
    "webbrowser.",
    "winreg.",
    "_winapi.",
    "sqlite3.",
)
CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink",
            "os.truncate", "os.utime", "os.setxattr", "os.removexattr", "shutil.", "os.chflags")  # fmt: skip


class FencedError(PermissionError):
    """Code inside the fence reached for something outside."""


def close_fence(folder: Path, closed: Sequence[Path], secret: Sequence[str]) -> None:
    """Fence this process in, for the rest of its life.

    Args:
        folder: the only folder in which files may be written, changed or removed.
        closed: folders and files that may not be read either.
        secret: names of modules that may not be imported.
    """
    home, shut, secret = _real(folder), tuple(_real(path) for path in closed), tuple(secret)
    library = tuple(_real(path) for path in sys.path if path and "packages" in path)

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            _check_open(arguments, home, shut)
        elif event == "import" and arguments[0].startswith(secret):
            raise FencedError(f"an answer may not import {arguments[0]}: that is where the solutions are.")
        elif event.startswith(NEVER):
            raise FencedError(f"an answer may not use the network or start other programs ({event}).")
        elif event.startswith(CHANGING):
            _check_changes(event, arguments, home)
        elif event.startswith("ctypes.") and not _asked_by_a_library(library):
            raise FencedError(f"an answer may not call into the operating system ({event}).")

    sys.addaudithook(hook)


def _check_open(arguments: tuple, home: str, shut: Sequence[str]) -> None:
    name, mode, flags = arguments
    if not isinstance(name, str | bytes | os.PathLike):
        return  # a descriptor that is open already
    path = _real(name)
    writes = any(sign in (mode or "") for sign in "wax+") or bool((flags or 0) & WRITING)
    if writes and path not in (os.devnull, "/dev/null") and not _inside(path, home):
        raise FencedError(f"an answer may not write to {path}.")
    if any(_inside(path, closed) for closed in shut):
        raise FencedError(f"an answer may not read {path}.")


def _check_changes(event: str, arguments: tuple, home: str) -> None:
    for name in arguments:
        if isinstance(name, str | bytes | os.PathLike) and name and not _inside(_real(name), home):
            raise FencedError(f"an answer may not change {os.fsdecode(name)} ({event}).")


def _asked_by_a_library(library: Sequence[str]) -> bool:
    """Say whether an installed package, and not the answer, is what loads a system library."""
    frame = sys._getframe(2)
    while frame and (
        Path(frame.f_code.co_filename).parent.name == "ctypes" or frame.f_globals.get("__name__") == "ctypes"
    ):
        frame = frame.f_back
    return frame is not None and any(_inside(_real(frame.f_code.co_filename), folder) for folder in library)


def _real(path: str | bytes | os.PathLike) -> str:
    return os.path.realpath(os.fsdecode(path))


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


Hook = Callable[[str, tuple], None]
