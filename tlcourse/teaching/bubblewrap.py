"""A fence around handed-in answers: bubblewrap gives a program a system in which only what is named here exists.

There is no network, no other process, no home, no submission and no solution; the system is read-only, but for one
small folder in memory. What this does not stop: reading what an answer may read anyway (Python, PyTorch, the course
without its solutions, and so all labelled images), using its time and memory, and faults of the kernel.

Source: https://github.com/containers/bubblewrap (the sandbox of Flatpak); 0.7 or newer.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tlcourse.lessons.registry import SOLUTION_FILES

PACKAGE = Path(__file__).parent.parent
AROUND = "/tmp"
FOLDER = f"{AROUND}/answer"  # inside: the one that can be written to; the course itself may lie beside it
SIZE = 2**28  # bytes in it
ALONE = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")


def fence() -> list[str]:
    """Return the words to put before a command, so that it runs fenced in."""
    kernel = ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    writable = ["--tmpfs", AROUND, "--size", str(SIZE), "--tmpfs", FOLDER]
    return [
        "bwrap",
        *ALONE,
        *_system(),
        *kernel,
        *writable,
        *_python(),
        *_hidden(),
        "--remount-ro",
        AROUND,
        "--remount-ro",
        "/",
        "--chdir",
        FOLDER,
    ]


def why_not() -> str:
    """Say why nothing can be fenced in on this system, as a trial showed it; nothing if it can."""
    try:
        tried = subprocess.run([*fence(), sys.executable, "-c", ""], capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return "the program bwrap is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap does not run ({error})"
    return "" if tried.returncode == 0 else f"bwrap does not work ({tried.stderr.strip()[:200] or tried.returncode})"


def _system() -> Iterator[str]:
    for path in SYSTEM:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.exists(path):
            yield from ("--ro-bind", path, path)


def _python() -> Iterator[str]:
    """Python, what is installed for it, and the course; not the folder around the course."""
    packages = [path for path in sys.path if "packages" in path and os.path.isdir(path)]
    places = [sys.base_prefix, sys.prefix, *packages, str(PACKAGE)]
    for path in dict.fromkeys([*map(os.path.realpath, places), *places]):
        yield from ("--ro-bind", path, path)


def _hidden() -> Iterator[str]:
    lessons = PACKAGE / "lessons"
    for path in (path for name in SOLUTION_FILES for path in sorted(lessons.glob(f"nb*/{name}"))):
        yield from ("--ro-bind", os.devnull, str(path))
    for path in (PACKAGE / "teaching", *sorted(lessons.glob("nb*/__pycache__"))):
        yield from ("--tmpfs", str(path), "--remount-ro", str(path))
