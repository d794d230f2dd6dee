"""A sandbox seen from outside: start it, ask it, and end it when it takes too long or too much."""

import contextlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import psutil

from tlcourse.sandbox.encoding import LARGEST, EncodingError, decode

PACKAGE = Path(__file__).parent.parent
LOOK_EVERY = 0.02  # seconds between two looks at how much memory is used
START_SECONDS = 120  # importing PyTorch on a busy machine with a slow disk


@dataclass(frozen=True)
class Reply:
    """What came out of a sandbox.

    Attributes:
        value: what was returned, or None.
        error: `type`, `message` and `frames` (file, line, function) of what was raised; None when nothing was.
        printed: what was printed.
    """

    value: Any = None
    error: Mapping[str, Any] | None = None
    printed: str = ""


@dataclass(frozen=True)
class Limits:
    """How much an answer may take.

    Attributes:
        seconds: time for one call.
        memory: bytes beyond what PyTorch and the course take themselves.
    """

    seconds: float = 20.0
    memory: int = 2**30


class Sandbox:
    """A process of its own for somebody's code; it starts with the first task and again after it was ended.

    Args:
        limits: time and memory for each task.
        fenced: also without network, other programs and writing; for code of strangers.
        closed: files and folders that fenced code may not read.
        secret: modules that fenced code may not import.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        fenced: bool = False,
        closed: Sequence[Path] = (),
        secret: Sequence[str] = (),
    ) -> None:
        self.limits, self.fenced, self.closed, self.secret = limits or Limits(), fenced, closed, secret
        self._process: subprocess.Popen | None = None
        self._before = 0  # bytes in use before an answer comes in

    def ask(self, task: str, seconds: float | None = None, **arguments: object) -> Reply:
        """Let the worker do a task.

        Args:
            task: a method of `worker.Worker`.
            seconds: time for it; by default that of the limits.
            arguments: its arguments.

        Returns:
            What came out. Too much time or memory, or a process that died, comes back as an error and costs the
            process: the next task starts a new one, which knows nothing of the old.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        message = cloudpickle.dumps((task, arguments))
        return self._exchange(message, self.limits.seconds if seconds is None else seconds)

    def close(self) -> None:
        """End the process, and all that it started."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self._process = None
        self._folder.cleanup()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        """Start the worker, let it import what is heavy, and close the fence behind it."""
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="tlcourse-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tlcourse.sandbox.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
            cwd=self._folder.name if self.fenced else None,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._replies: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=_read_replies, args=(self._process, self._replies), daemon=True).start()
        self._before = 2**40
        self._exchange(pickle.dumps(("prepare", {"setup": "import torch, tlcourse"})), START_SECONDS)
        if self.fenced:
            where = {"folder": self._folder.name, "closed": [str(p) for p in self.closed], "secret": list(self.secret)}
            self._exchange(pickle.dumps(("fence", where)), START_SECONDS)
        self._exchange(pickle.dumps(("limit_memory", {"extra": 2 * self.limits.memory})), START_SECONDS)
        self._before = self._memory()

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        environment = os.environ | {"PYTHONPATH": path, "TLCOURSE_PROGRESS": "off", "TLCOURSE_DEVICE": "cpu"}
        if self.fenced:  # nothing of the teacher's account: no home, no keys, no shared cache
            home = self._folder.name
            kept = {k: v for k, v in environment.items() if k in _NEEDED or k.startswith(("PYTHON", "OMP_", "LC_"))}
            private = dict.fromkeys(
                ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "TLCOURSE_CACHE", "MPLCONFIGDIR"), home
            )
            return (
                kept | private | {"TLCOURSE_PROGRESS": "off", "TLCOURSE_DEVICE": "cpu", "PYTHONDONTWRITEBYTECODE": "1"}
            )
        return environment

    def _exchange(self, message: bytes, seconds: float) -> Reply:
        """Send a task and wait for the reply, watching clock and memory."""
        end = time.monotonic() + seconds
        try:
            self._process.stdin.write(struct.pack("<Q", len(message)) + message)
            self._process.stdin.flush()
            while True:
                with contextlib.suppress(queue.Empty):
                    return self._understand(self._replies.get(timeout=LOOK_EVERY))
                if time.monotonic() > end:
                    return self._end("TimeLimit", f"it was stopped after {seconds:g} seconds")
                if self._memory() - self._before > self.limits.memory:
                    return self._end(
                        "MemoryLimit", f"it asked for more than {self.limits.memory / 2**30:.3g} GiB of memory"
                    )
        except OSError:
            return self._end("Died", "the process that ran it ended itself")
        except KeyboardInterrupt:
            self.close()
            raise

    def _understand(self, data: bytes | None) -> Reply:
        if data is None:
            return self._end("Died", "the process that ran it ended itself")
        try:
            reply = decode(data)
            return Reply(reply.get("value"), reply.get("error"), str(reply.get("printed", "")))
        except (EncodingError, AttributeError):
            return self._end("Died", "the process that ran it answered with nonsense")

    def _end(self, kind: str, message: str) -> Reply:
        self.close()
        return Reply(error={"type": kind, "message": message, "frames": []})

    def _memory(self) -> int:
        """Count the bytes that the process and its children use."""
        try:
            family = [psutil.Process(self._process.pid)]
            return sum(process.memory_info().rss for process in family + family[0].children(recursive=True))
        except psutil.Error:
            return 0


_NEEDED = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NUMBER_OF_PROCESSORS")


def _read_replies(process: subprocess.Popen, replies: "queue.Queue[bytes | None]") -> None:
    """Pass on one reply after the other; None when there will be no more."""
    with contextlib.suppress(OSError, ValueError):
        while header := process.stdout.read(8):
            size = struct.unpack("<Q", header)[0]
            if size > LARGEST:
                break
            replies.put(process.stdout.read(size))
    replies.put(None)
