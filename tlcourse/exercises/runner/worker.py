"""The program that runs somebody's code: it reads what to do, does it, and writes what came out.

What comes in is pickled, for it comes from the course. What goes out is encoded without code, for it comes from a
stranger. Where the system can copy processes, each answer has a copy of its own, with PyTorch imported already.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import pickle
import select
import shutil
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from tlcourse.exercises.runner.encoding import encode
from tlcourse.exercises.runner.finishers import FINISHERS
from tlcourse.exercises.runner.messages import read, write

ANSWER_FILE = "<answer>"
MOST_PRINTED = 4_000  # characters of what an answer prints
MOST_PROCESSES = 128  # and threads, for an answer that is fenced in; not for the administrator's account
DONE = 17  # the status with which a copy ends when it was told to
IDLE = 0.2  # seconds without a request
CAN_FORK = sys.platform == "linux"  # macOS does not once its own libraries were used
NOT_THEIRS = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "<setup>", "<frozen", "<string>")


class Worker:
    """Holds one answer, and does with it what it is told."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.answer: object = None

    def limit(self, memory: int, fenced: bool) -> None:
        """Ask the system, where it can, to refuse more than `memory` bytes of address space beyond what is in use."""
        with contextlib.suppress(ImportError, OSError, ValueError):
            import resource  # not on Windows

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if fenced:  # in a folder of its own, which an earlier answer may have used
                resource.setrlimit(resource.RLIMIT_NPROC, (MOST_PROCESSES, MOST_PROCESSES))
                tidy(Path.cwd())
            most = psutil.Process().memory_info().vms + memory
            resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def prepare(self, setup: str) -> list[str]:
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(setup, "<setup>", "exec"), self.names)  # the course's own code
        return [name for name in self.names if not name.startswith("__")]

    def run(self, source: str, name: str, file: str = ANSWER_FILE) -> dict[str, object]:
        """Run an answer cell, with `await` as in a notebook, and take what it calls `name`."""
        before = set(self.names)
        run_cell(source, file, self.names)  # this is what the process is for
        self.answer = self.names.get(name)
        made = [n for n, value in self.names.items() if n not in before and not isinstance(value, types.ModuleType)]
        return {"there": name in self.names, "made": made, "callable": callable(self.answer)}

    def load(self, pickled: bytes) -> None:
        self.answer = pickle.loads(pickled)

    def get(self) -> object:
        return self.answer

    def call(self, arguments: tuple, finisher: str | None, more: tuple) -> dict[str, object]:
        """Call the answer, and return what it returned, or what a finisher says of it."""
        result = self.answer(*arguments)
        return {"result": FINISHERS[finisher](result, *more) if finisher else result}


def tidy(folder: Path) -> None:
    """Remove what lies in a folder, as far as that goes: folders can be nested deeper than Python looks."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError, RecursionError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def run_cell(source: str, file: str, names: dict[str, Any]) -> None:
    """Run a cell as a notebook does."""
    code = compile(source, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)


class _Head(io.StringIO):
    """Keeps the first letters of what is printed, and lets the rest go."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, MOST_PRINTED - self.tell())])
        return len(text)


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
        return encode(reply | {"printed": printed.getvalue()})
    except BaseException as error:  # sys.exit and Ctrl-C too: an answer may end itself, not the worker
        return encode({"error": describe(error), "printed": printed.getvalue()})


class Clock:
    """Says where an answer was when its time was over, and ends the process."""

    def __init__(self, seconds: float, outgoing: BinaryIO) -> None:
        self._outgoing, self._answering, self._one = outgoing, threading.get_ident(), threading.Lock()
        self._timer = threading.Timer(seconds, self._over)
        self._timer.daemon = True
        self._timer.start()

    def stop(self, data: bytes) -> None:
        """Send what came out in time."""
        with self._one:  # so that not both send
            self._timer.cancel()
            write(self._outgoing, data)

    def _over(self) -> None:
        with self._one:
            frames = _their_lines(traceback.extract_stack(sys._current_frames()[self._answering]))
            write(self._outgoing, encode({"error": {"type": "TimeLimit", "message": "", "frames": frames}}))
            os._exit(1)


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Do tasks until this answer is done with; an empty message says so."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    worker = Worker()
    while message := read(incoming):
        task, arguments, seconds = pickle.loads(message)
        clock = Clock(seconds, outgoing)
        clock.stop(perform(worker, task, arguments))


def copy_for_each_answer(incoming: BinaryIO, later: str) -> None:
    """Return in a copy of this process, and when that has ended as it should, in another one."""
    parent = os.getppid()
    while True:
        if later and not select.select([incoming], [], [], IDLE)[0]:
            run_own(later)
            later = ""
        copy = os.fork()
        if copy == 0:
            os.setsid()
            return
        while os.waitid(os.P_PID, copy, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if os.getppid() != parent:
                os._exit(1)  # and the copy sees that its own parent is gone
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(copy, signal.SIGKILL)  # what the answer has started
        if os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) != DONE:
            os._exit(1)


def end_with(parent: int) -> None:
    """End this process when the one that started it is gone, endless loop or not."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def run_own(code: str) -> None:
    """Run code of the course."""
    exec(compile(code, "<setup>", "exec"), {"__name__": "__main__"})


def main() -> None:
    """Keep the two pipes for ourselves, so that an answer that prints does not write into them."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.stdin = io.StringIO()
    now, later = sys.argv[1:]
    run_own(now)
    if CAN_FORK:
        copy_for_each_answer(incoming, later)
    with contextlib.suppress(EOFError):
        serve(incoming, outgoing)
        os._exit(DONE)
    os._exit(1)


if __name__ == "__main__":
    main()
