"""A fence around a process: no network, no other programs, no writing outside its folder, no reading of what is closed.

An audit hook (PEP 578, 2019) hears of the files, sockets and processes that Python code touches: it works on every
system and says clearly what was refused, but libraries written in C and attacks on Python itself get past it. So on
Linux the system refuses the same things once more (`walls`).

What neither stops: reading what an answer may read anyway (Python, PyTorch, the course without its solutions, and so
all labelled images), using the time and memory it is given, and faults of the system. Without Landlock
(macOS, Windows) only the hook is there: who expects attacks runs the grader in a container or a virtual machine.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tlcourse.exercises.runner.walls import raise_walls

PACKAGE = Path(__file__).parents[2]
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NEVER = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill"),
    *("os.startfile", "os.symlink", "os.link", "pty.", "signal.pthread_kill", "resource.", "syslog.", "ftplib."),
    *("smtplib.", "urllib.", "http.", "webbrowser.", "winreg.", "_winapi.", "sqlite3."),
)
BY_NUMBER = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown")  # their last argument may be one
CHANGING = (*BY_NUMBER, "os.truncate", "os.utime", "os.setxattr", "os.removexattr", "shutil.", "os.chflags")
# Modules that do what the hook is never told about: they reach the system, the network or files from C.
FOREIGN = ("_posixsubprocess", "cffi", "_cffi_backend", "zmq", "readline", "_winapi", "_gdbm", "_dbm", "pyarrow")
# What the interpreter and PyTorch read of the system; names that a system does not have are left out.
SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo"),
    *("/proc/meminfo", "/proc/stat", "/sys/devices/system", "/sys/fs/cgroup", "/dev/null", "/dev/zero", "/dev/random"),
    *("/dev/urandom", "/System", "/Library", "/opt/homebrew", "/private/etc/localtime", "/private/var/db/timezone"),
    os.environ.get("SYSTEMROOT", "/usr"),
)


class FencedError(PermissionError):
    """Code inside the fence reached for something outside."""


def close_fence(folder: Path, closed: Sequence[Path], secret: Sequence[str]) -> list[str]:
    """Fence this process in, for the rest of its life.

    Files may be changed in `folder` alone; `closed` may not be read, although it lies where the course is; `secret`
    modules may not be imported. Returns what the system refuses by itself from now on, as `raise_walls` does.
    """
    home, shut, secret = _real(folder), tuple(_real(path) for path in closed), tuple(secret)
    packages = [path for path in sys.path if "packages" in path]
    library = tuple({_real(path) for path in (sys.prefix, sys.base_prefix, PACKAGE, *packages)})
    readable = (home, *library, *{_real(path) for path in SYSTEM if os.path.exists(path)})
    standing = raise_walls(home, readable, shut)
    alone = "files" not in standing  # the hook is not told about folders given by number, so it refuses them itself

    allowed = ("socket.__new__",) if "calls" in standing else ()  # pairs that asyncio makes; the system refuses others

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            _check_open(arguments, home, readable, shut, alone)
        elif event == "import":
            _check_import(arguments, home, secret)
        elif event.startswith(NEVER) and event not in allowed:
            raise FencedError(f"an answer may not use the network, start other programs or change limits ({event}).")
        elif event.startswith(CHANGING):
            _check_changes(event, arguments, home, alone)
        elif event.startswith("ctypes.") and not _asked_by_a_library(library, home):
            raise FencedError(f"an answer may not call into the operating system ({event}).")

    sys.addaudithook(hook)
    return standing


def _check_open(arguments: tuple, home: str, readable: Sequence[str], shut: Sequence[str], alone: bool) -> None:
    name, mode, flags = arguments
    if not isinstance(name, str | bytes | os.PathLike):
        return  # a descriptor that is open already
    path = _real(name)
    if alone and (_goes_up(name) or (os.path.isdir(path) and not _inside(path, home))):
        raise FencedError(f"an answer may not open {os.fsdecode(name)}: neither folders, nor paths that go up.")
    writes = any(sign in (mode or "") for sign in "wax+") or bool((flags or 0) & WRITING)
    if writes and path not in (os.devnull, "/dev/null") and not _inside(path, home):
        raise FencedError(f"an answer may not write to {path}.")
    if any(_inside(path, place) for place in shut) or not any(_inside(path, place) for place in readable):
        raise FencedError(f"an answer may not read {path}.")


def _goes_up(name: str | bytes | os.PathLike) -> bool:
    return os.pardir in Path(os.fsdecode(name)).parts


def _check_import(arguments: tuple, home: str, secret: Sequence[str]) -> None:
    name, file = arguments[:2]
    if name.startswith(secret):
        raise FencedError(f"an answer may not import {name}: that is where the solutions are.")
    if name.partition(".")[0] in FOREIGN:  # an ImportError, since pandas and others do without such a module
        raise ImportError(f"an answer may not import {name}, which reaches past Python.")
    if file and _inside(_real(file), home):
        raise FencedError(f"an answer may not load machine code of its own ({file}).")


def _check_changes(event: str, arguments: tuple, home: str, alone: bool) -> None:
    if alone and event in BY_NUMBER and isinstance(arguments[-1], int) and arguments[-1] >= 0:
        raise FencedError(f"an answer may not change files in a folder given by its number ({event}).")
    for name in arguments:
        if isinstance(name, str | bytes | os.PathLike) and name and not _inside(_real(name), home):
            raise FencedError(f"an answer may not change {os.fsdecode(name)} ({event}).")


def _asked_by_a_library(library: Sequence[str], home: str) -> bool:
    """Say whether an installed package, and not the answer, is what loads a system library."""
    frame = sys._getframe(2)
    while frame and (
        Path(frame.f_code.co_filename).parent.name == "ctypes" or frame.f_globals.get("__name__") == "ctypes"
    ):
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") == "__main__":
        return False
    file = _real(frame.f_code.co_filename)
    return any(_inside(file, folder) for folder in library) and not _inside(file, home)


def _real(path: str | bytes | os.PathLike) -> str:
    return os.path.realpath(os.fsdecode(path))


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
