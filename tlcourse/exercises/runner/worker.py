"""The program inside a sandbox: it reads what to do from its standard input, does it, and writes down what came out.

What comes in is pickled, for it comes from the course. What goes out is encoded without code, for it comes from a
stranger.
"""

import contextlib
import io
import os
import pickle
import struct
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tlcourse.exercises.runner.encoding import encode
from tlcourse.exercises.runner.fence import close_fence
from tlcourse.exercises.runner.finishers import FINISHERS

ANSWER_FILE = "<answer>"
MOST_PRINTED = 4_000  # characters of what an answer prints
LARGEST_FILE = 2**26  # bytes that a fenced answer may write into one file
MOST_FILES = 128  # that it may have open
PRIVATE = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "TLCOURSE_CACHE", "MPLCONFIGDIR", "XDG_CACHE_HOME")
NOT_THEIRS = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "<setup>", "<frozen")


class Died(Exception):  # noqa: N818 - the name that a reader of the error sees
    """The answer was in a process that is gone."""


class Worker:
    """Holds one answer at a time, and does with it what it is told."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.answer: object = NOTHING

    def prepare(self, setup: str) -> list[str]:
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(setup, "<setup>", "exec"), self.names)  # the course's own code
        return [name for name in self.names if not name.startswith("__")]

    def run(self, source: str, name: str, file: str = ANSWER_FILE) -> dict[str, object]:
        """Run an answer cell and take what it calls `name`."""
        before = set(self.names)
        exec(compile(source, file, "exec"), self.names)  # this is what the sandbox is for
        self.answer = self.names.get(name)
        made = [n for n, value in self.names.items() if n not in before and not isinstance(value, types.ModuleType)]
        return {"there": name in self.names, "made": made, "callable": callable(self.answer)}

    def load(self, pickled: bytes) -> None:
        self.answer = pickle.loads(pickled)

    def get(self) -> object:
        return self.answer

    def call(self, arguments: tuple, finisher: str | None, more: tuple) -> dict[str, object]:
        """Call the answer, and return what it returned, or what a finisher says of it."""
        if self.answer is NOTHING:
            raise Died("the process that held it ended itself")
        result = self.answer(*arguments)
        return {"result": FINISHERS[finisher](result, *more) if finisher else result}

    def fence(self, folder: str, closed: list[str], secret: list[str]) -> list[str]:
        """Fence the process in; nothing opens the fence again."""
        os.chdir(folder)
        os.environ |= dict.fromkeys(PRIVATE, folder)
        tempfile.tempdir = folder
        _limit("RLIMIT_FSIZE", LARGEST_FILE, for_good=True)
        _limit("RLIMIT_NOFILE", MOST_FILES, for_good=True)
        _limit("RLIMIT_CORE", 0, for_good=True)
        return close_fence(Path(folder), [Path(path) for path in closed], secret)

    def limit_memory(self, extra: int, for_good: bool = False) -> None:
        """Ask the system to refuse more memory than `extra` bytes beyond what is in use, where it can."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            _limit("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + extra, for_good)


NOTHING = object()


class _Head(io.StringIO):
    """Keeps the first letters of what is printed, and lets the rest go."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, MOST_PRINTED - self.tell())])
        return len(text)


def _limit(name: str, value: int, for_good: bool) -> None:
    """Set a limit of the operating system; `for_good` means that nothing raises it again."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        which = getattr(resource, name)
        most = resource.getrlimit(which)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(which, (value, value if for_good else most))


def describe(error: BaseException) -> dict[str, object]:
    """Say what went wrong in an answer, with the lines of the answer alone."""
    where = _their_lines(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError):
        where = [(error.filename or ANSWER_FILE, error.lineno or 0, "<module>")]
    try:
        message = str(error)[:600]
    except Exception:  # an answer may raise what cannot even be shown
        message = "(its message cannot be shown)"
    return {"type": type(error).__name__, "message": message, "frames": where}


def _their_lines(frames: traceback.StackSummary) -> list[tuple[str, int, str]]:
    return [(f.filename, f.lineno, f.name) for f in frames if not f.filename.startswith(NOT_THEIRS)][-3:]


def perform(worker: Worker, task: str, arguments: Mapping[str, Any]) -> bytes:
    """Do one task and encode what came out, whatever that is."""
    printed = _Head()
    reply: dict[str, object] = {}
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            reply["value"] = getattr(worker, task)(**arguments)
        data = encode(reply | {"printed": printed.getvalue()})
    except BaseException as error:  # sys.exit and Ctrl-C too: an answer may end itself, not the worker
        data = encode({"error": describe(error), "printed": printed.getvalue()})
    return data


def end_with_the_parent(parent: int) -> None:
    """End this process when the notebook or the grader that started it is gone, endless loop or not."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


class Clock:
    """Says where an answer was when its time was over, and ends the process, if that was not done from outside."""

    def __init__(self, seconds: float, send: Callable[[bytes], None]) -> None:
        self._send, self._answering, self._one = send, threading.get_ident(), threading.Lock()
        self._timer = threading.Timer(seconds, self._over)
        self._timer.daemon = True
        self._timer.start()

    def stop(self, data: bytes) -> None:
        """Send what came out in time."""
        with self._one:  # so that not both send
            self._timer.cancel()
            self._send(data)

    def _over(self) -> None:
        with self._one:
            frames = _their_lines(traceback.extract_stack(sys._current_frames()[self._answering]))
            self._send(encode({"error": {"type": "TimeLimit", "message": "", "frames": frames}}))
            os._exit(1)


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Do tasks until the input ends."""

    def send(data: bytes) -> None:
        outgoing.write(struct.pack("<Q", len(data)) + data)
        outgoing.flush()

    worker = Worker()
    while header := incoming.read(8):
        task, arguments, seconds = pickle.loads(incoming.read(struct.unpack("<Q", header)[0]))
        clock = Clock(seconds, send)
        clock.stop(perform(worker, task, arguments))


def main() -> None:
    """Keep the two pipes for ourselves, so that an answer that prints does not write into them."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdin = io.StringIO()
    threading.Thread(target=end_with_the_parent, args=(os.getppid(),), daemon=True).start()
    serve(incoming, outgoing)


if __name__ == "__main__":
    main()
