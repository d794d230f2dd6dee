"""A process for somebody's code, seen from outside: start it, ask it, and end it when it takes too long or too much."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import psutil

from tlcourse.exercises.runner.encoding import LARGEST, EncodingError, decode
from tlcourse.exercises.runner.messages import read, write
from tlcourse.exercises.runner.worker import CAN_FORK, MOST_PROCESSES

PACKAGE = Path(__file__).parents[2]
LOOK_EVERY = 0.2  # seconds between two looks at how much is used
LAST_WORDS = 1.0  # seconds in which a process may say where it was when its time was over
START_SECONDS = 180  # importing PyTorch on a busy machine with a slow disk
COPY_SECONDS = 20  # letting one answer go, and beginning the next
COURSE = "from tlcourse import *\n"  # imported once, and then there in every copy
TRAINING = "import torch._dynamo\n"  # what PyTorch imports by itself at the first training step, which takes seconds


@dataclass(frozen=True)
class Reply:
    """What came out of a process; an error has `type`, `message` and `frames` (file, line, function)."""

    value: Any = None
    error: Mapping[str, Any] | None = None
    printed: str = ""


@dataclass(frozen=True)
class Limits:
    """How much an answer may take: time for one call, and memory in bytes beyond what PyTorch and the course take."""

    seconds: float = 20.0
    memory: int = 2**30


class Sandbox:
    """A process of its own for somebody's code; it starts with the first task and again after it was ended.

    `fence` is a command that runs the one behind it fenced in, `environment` and `folder` are what the process finds.
    It runs `now`, code of the course, before any answer, and `later` when it has time.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        fence: Sequence[str] = (),
        environment: Mapping[str, str] = os.environ,
        folder: str | None = None,
        now: str = "",
        later: str = "",
    ) -> None:
        self.limits, self.fence, self.environment, self.folder = limits or Limits(), fence, environment, folder
        self.now, self.later = now, later
        self._process: subprocess.Popen | None = None
        self._clean = self._new = True  # nothing of an answer, or of any, is in the process

    @property
    def starts_quickly(self) -> bool:
        """Whether a clean process takes milliseconds and not seconds."""
        return CAN_FORK

    def ask(self, task: str, seconds: float | None = None, **arguments: object) -> Reply:
        """Let the worker do a task, a method of `worker.Worker`, in the limits' time unless told otherwise.

        Too much time or memory, or a process that died, comes back as an error; the next task starts a new process.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        if self._clean:
            self._begin()
        return self._exchange(task, arguments, self.limits.seconds if seconds is None else seconds)

    def renew(self) -> None:
        """Forget an answer and all that it did: the next one begins in a clean process."""
        if not CAN_FORK:
            self.close()
        elif self._process is not None and not self._clean:
            self._messages.put(b"")  # the copy ends, and the process makes another one
            self._clean = True

    def close(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        for member in _family(process.pid) if process.poll() is None else ():  # else the number may be another's
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
        self._messages.put(None)

    def _start(self) -> None:
        self.close()
        path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        own = {"PYTHONPATH": path, "TLCOURSE_PROGRESS": "off", "TLCOURSE_DEVICE": "cpu"}
        self._process = subprocess.Popen(
            [*self.fence, sys.executable, "-m", "tlcourse.exercises.runner.worker", COURSE + self.now, self.later],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**self.environment, **own},
            cwd=self.folder,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._messages, self._replies = queue.Queue(), queue.Queue()
        threading.Thread(target=_talk, args=(self._process, self._messages, self._replies), daemon=True).start()
        self._clean = self._new = True

    def _begin(self) -> None:
        """Set the limits of a clean process, which has to succeed before an answer comes in."""
        arguments = {"memory": 2 * self.limits.memory, "fenced": bool(self.fence)}
        self._before = 2**40  # bytes in use before an answer comes in
        reply = self._exchange("limit", arguments, START_SECONDS if self._new else COPY_SECONDS)
        if reply.error and not self._new:  # the answer before it did not let go
            self._start()
            return self._begin()
        if reply.error:
            self.close()
            raise OSError(f"no answer was run: its process was not ready ({reply.error['message']}). Try again.")
        self._clean = self._new = False
        self._before = _used(self._process.pid)[0]

    def _exchange(self, task: str, arguments: Mapping[str, Any], seconds: float) -> Reply:
        end = time.monotonic() + seconds + LAST_WORDS
        self._messages.put(cloudpickle.dumps((task, arguments, seconds)))
        try:
            while True:
                with contextlib.suppress(queue.Empty):
                    return self._understand(self._replies.get(timeout=LOOK_EVERY), seconds)
                memory, processes = _used(self._process.pid)
                if time.monotonic() > end:
                    return self._end("TimeLimit", f"it was stopped after {seconds:g} seconds")
                if memory - self._before > self.limits.memory:
                    size = self.limits.memory / 2**30
                    return self._end("MemoryLimit", f"it asked for more than {size:.3g} GiB of memory")
                if processes > MOST_PROCESSES:
                    return self._end("ProcessLimit", f"it started more than {MOST_PROCESSES} processes")
        except KeyboardInterrupt:
            self.close()
            raise

    def _understand(self, data: bytes | None, seconds: float) -> Reply:
        if data is None:
            return self._end("Died", "the process that ran it ended itself")
        try:
            reply = _as_reply(decode(data))
        except (EncodingError, AttributeError, KeyError, TypeError, ValueError):
            return self._end("Died", "the process that ran it answered with nonsense")
        if reply.error and reply.error["type"] == "TimeLimit":
            return self._end("TimeLimit", f"it was stopped after {seconds:g} seconds", reply.error["frames"])
        return reply

    def _end(self, kind: str, message: str, frames: Sequence[tuple] = ()) -> Reply:
        self.close()
        return Reply(error={"type": kind, "message": message, "frames": list(frames)})


def _talk(process: subprocess.Popen, messages: queue.Queue, replies: queue.Queue) -> None:
    """Pass on one message and its reply after the other; None when there will be no more."""
    with contextlib.suppress(OSError, EOFError), process:
        try:
            while (message := messages.get()) is not None:
                write(process.stdin, message)
                if message:
                    replies.put(read(process.stdout, LARGEST + 2**20))
        finally:
            replies.put(None)


def _as_reply(reply: Mapping[str, Any]) -> Reply:
    """Take a stranger's reply apart: what is in it may be of any kind."""
    error = reply.get("error")
    if error is not None:
        frames = [(str(file), int(line), str(function)) for file, line, function in error["frames"]]
        error = {"type": str(error["type"])[:100], "message": str(error["message"])[:1000], "frames": frames[:5]}
    return Reply(reply.get("value"), error, str(reply.get("printed", ""))[:10_000])


def _family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started, while they are there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _used(pid: int) -> tuple[int, int]:
    """Count the bytes that a process and all that it started use, and how many they are."""
    total, family = 0, _family(pid)
    for member in family:
        with contextlib.suppress(psutil.Error):
            total += member.memory_info().rss
    return total, len(family)
