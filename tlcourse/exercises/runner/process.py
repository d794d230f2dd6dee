"""A sandbox seen from outside: start it, ask it, and end it when it takes too long or too much."""

import contextlib
import os
import queue
import struct
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle
import psutil

from tlcourse.exercises.runner.encoding import LARGEST, EncodingError, decode
from tlcourse.exercises.runner.starting import Copy, Program, Template
from tlcourse.exercises.runner.worker import PRIVATE

PACKAGE = Path(__file__).parents[2]
LOOK_EVERY = 0.02  # seconds between two looks at how much memory is used
LOOK_AROUND_EVERY = 0.5  # seconds between two looks at what it started and wrote, which take longer
LAST_WORDS = 1.0  # seconds in which a process may say where it was when its time was over
START_SECONDS = 120  # importing PyTorch on a busy machine with a slow disk
MOST_ENTRIES = 10_000  # files and folders that a fenced answer may make
DEEPEST = 50  # folders in each other
TRAINING = "import torch._dynamo\n"  # what PyTorch imports by itself at the first training step, which takes seconds


@dataclass(frozen=True)
class Reply:
    """What came out of a sandbox; an error has `type`, `message` and `frames` (file, line, function)."""

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

    `fenced` is for strangers: no network, other programs or writing, nor reading `closed` or importing `secret`. `warm`
    is course code that a new process has run already (`later`: once there is time); `walls` what the system refuses.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        fenced: bool = False,
        closed: Sequence[Path] = (),
        secret: Sequence[str] = (),
        warm: str = "",
        later: str = "",
    ) -> None:
        self.limits, self.fenced, self.closed, self.secret = limits or Limits(), fenced, closed, secret
        self.warm, self.later, self.walls = warm, later, []
        self._template: Template | None = None
        self._process: Program | Copy | None = None
        self._before = 0  # bytes in use before an answer comes in

    @property
    def starts_quickly(self) -> bool:
        """Whether a new process takes milliseconds and not seconds."""
        return Template.possible()

    def ask(self, task: str, seconds: float | None = None, **arguments: object) -> Reply:
        """Let the worker do a task, a method of `worker.Worker`, in the limits' time unless told otherwise.

        Too much time or memory, or a process that died, comes back as an error; the next task starts a new process.
        """
        if self._process is None or not self._process.running():
            try:
                self._start()
            except OSError:  # on a busy machine, a process may end while it begins
                self.close()
                self._start()
        return self._exchange(task, arguments, self.limits.seconds if seconds is None else seconds)

    def renew(self) -> None:
        """End the process and all that it started; the next one knows nothing of it."""
        if self._process is None:
            return
        self._process.end()
        self._messages.put(None)
        self._process = None
        with contextlib.suppress(OSError, RecursionError):  # folders can be nested deeper than Python looks
            self._folder.cleanup()

    def close(self) -> None:
        self.renew()
        self._end_template()

    def _start(self) -> None:
        self.renew()
        self._folder = tempfile.TemporaryDirectory(prefix="tlcourse-", ignore_cleanup_errors=True)
        self._process = self._new_process()
        self._messages, self._replies = queue.Queue(), queue.Queue()
        pipes = self._process.to_it, self._process.from_it, self._messages, self._replies
        threading.Thread(target=_talk, args=pipes, daemon=True).start()
        self._before = 2**40
        self._begin("prepare", {"setup": "import torch, tlcourse"})
        self._begin("limit_memory", {"extra": 2 * self.limits.memory, "for_good": self.fenced})
        if self.fenced:
            where = {"folder": self._folder.name, "closed": [str(p) for p in self.closed], "secret": list(self.secret)}
            self.walls = self._begin("fence", where)
        self._before = self._memory(around=True)

    def _begin(self, task: str, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Do a task that has to succeed before an answer comes in, above all closing the fence."""
        reply = self._exchange(task, arguments, START_SECONDS)
        if reply.error is not None:
            self.close()
            raise OSError(f"no answer was run: its process was not ready ({reply.error['message']}). Try again.")
        return reply.value

    def _new_process(self) -> Program | Copy:
        if not self.starts_quickly:
            home = self._folder.name if self.fenced else None
            return Program(self._environment(home), home)
        if self._template is None or not self._template.running():
            self._end_template()
            self._template_folder = tempfile.TemporaryDirectory(prefix="tlcourse-", ignore_cleanup_errors=True)
            home = self._template_folder.name if self.fenced else None
            self._template = Template(self._environment(home), self.warm, self.later)
        return self._template.copy()

    def _end_template(self) -> None:
        if self._template is not None:
            self._template.close()
            self._template_folder.cleanup()
            self._template = None

    def _environment(self, home: str | None) -> dict[str, str]:
        path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        environment = os.environ | {"PYTHONPATH": path, "TLCOURSE_PROGRESS": "off", "TLCOURSE_DEVICE": "cpu"}
        if home is None:
            return environment
        # nothing of the teacher's account: no home, no keys, no shared cache
        kept = {k: v for k, v in environment.items() if k in _NEEDED or k.startswith(("PYTHON", "OMP_", "LC_"))}
        own = {"TLCOURSE_PROGRESS": "off", "TLCOURSE_DEVICE": "cpu", "MPLBACKEND": "agg", "JOBLIB_MULTIPROCESSING": "0"}
        return kept | own | dict.fromkeys(PRIVATE, home) | {"PYTHONDONTWRITEBYTECODE": "1"}

    def _exchange(self, task: str, arguments: Mapping[str, Any], seconds: float) -> Reply:
        end, around = time.monotonic() + seconds + LAST_WORDS, time.monotonic() + LOOK_AROUND_EVERY
        stopped = f"it was stopped after {seconds:g} seconds"
        self._messages.put(cloudpickle.dumps((task, arguments, seconds)))
        try:
            while True:
                with contextlib.suppress(queue.Empty):
                    reply = self._understand(self._replies.get(timeout=LOOK_EVERY))
                    over = reply.error is not None and reply.error["type"] == "TimeLimit"
                    return self._end("TimeLimit", stopped, reply.error["frames"]) if over else reply
                now = time.monotonic()
                if now > end:
                    return self._end("TimeLimit", stopped)
                if self._memory(now > around) - self._before > self.limits.memory:
                    size = self.limits.memory / 2**30
                    return self._end("MemoryLimit", f"it asked for more than {size:.3g} GiB of memory")
                if now > around and self.fenced and _too_much(self._folder.name, self.limits.memory):
                    return self._end("DiskLimit", "it wrote too much to the disk")
                around = around if now <= around else now + LOOK_AROUND_EVERY
        except KeyboardInterrupt:
            self.close()
            raise

    def _understand(self, data: bytes | None) -> Reply:
        if data is None:
            return self._end("Died", "the process that ran it ended itself")
        try:
            return _as_reply(decode(data))
        except (EncodingError, AttributeError, KeyError, TypeError, ValueError):
            return self._end("Died", "the process that ran it answered with nonsense")

    def _end(self, kind: str, message: str, frames: Sequence[tuple] = ()) -> Reply:
        self.renew()
        return Reply(error={"type": kind, "message": message, "frames": list(frames)})

    def _memory(self, around: bool) -> int:
        """Count the bytes that the process uses, and `around` it those of what it started too."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)] if around else [process]
            return sum(member.memory_info().rss for member in family)
        except psutil.Error:
            return 0


_NEEDED = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NUMBER_OF_PROCESSORS")


def _talk(to_it: BinaryIO, from_it: BinaryIO, messages: queue.Queue, replies: queue.Queue) -> None:
    """Pass on one message and one reply after the other; None when there will be no more."""
    with contextlib.suppress(OSError, ValueError, struct.error), from_it, to_it:
        while (message := messages.get()) is not None:
            to_it.write(struct.pack("<Q", len(message)) + message)
            to_it.flush()
            (size,) = struct.unpack("<Q", from_it.read(8))
            if size > LARGEST + 8:
                break
            replies.put(from_it.read(size))
    replies.put(None)


def _as_reply(reply: Mapping[str, Any]) -> Reply:
    """Take a stranger's reply apart: what is in it may be of any kind."""
    error = reply.get("error")
    if error is not None:
        frames = [(str(file), int(line), str(function)) for file, line, function in error["frames"]]
        error = {"type": str(error["type"])[:100], "message": str(error["message"])[:1000], "frames": frames[:5]}
    return Reply(reply.get("value"), error, str(reply.get("printed", ""))[:10_000])


def _too_much(folder: str, most: int) -> bool:
    """Say whether there are too many files below a folder, too large ones, or too many folders in each other."""
    total = entries = 0
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(place) as found:  # what is being removed, or may not be listed
            for entry in found:
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
                if total > most or entries > MOST_ENTRIES or depth > DEEPEST:
                    return True
    return False
