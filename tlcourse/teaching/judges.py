"""Judges: processes that mark, each one answer at a time, and that are replaced when an answer brings one down."""

import contextlib
import multiprocessing
import queue
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import psutil

from tlcourse.lessons.registry import find
from tlcourse.teaching.marking import ALL_CALLS

AROUND = 240.0  # seconds for what is not the answer: starting, drawing inputs, running the reference
READY = "ready"
MEMORY = 4 * 2**30  # bytes that a judge may ask for


class JudgeError(RuntimeError):
    """A judge did not come to an end; the message says how."""


class StoppedError(RuntimeError):
    """The judge was sent home while it worked, or before."""


class Judge:
    """One process that marks."""

    def __init__(self) -> None:
        self._process: multiprocessing.Process | None = None
        self._closed = False
        self._folder = tempfile.TemporaryDirectory(prefix="tlcourse-", ignore_cleanup_errors=True)

    def ask(self, work: Callable, *arguments: object, exercise: str = "", seconds: float = AROUND) -> Any:  # noqa: ANN401
        """Let the judge call a function of the course that takes and returns plain values.

        It has `seconds`, and what the answer to an `exercise` may take besides. Raises JudgeError when it raised, died,
        or took too much, StoppedError when the judge was closed.
        """
        seconds += (ALL_CALLS + 1) * find(exercise).limits.seconds if exercise else 0
        try:
            if self._process is None:
                self._start()
            self._pipe.send((work, arguments))
            if not self._pipe.poll(seconds):
                raise TimeoutError(f"it took more than {seconds:g} seconds")
            good, value = self._pipe.recv()
        except (OSError, EOFError) as error:
            self._end()
            if self._closed:
                raise StoppedError("this judge was closed") from error
            raise JudgeError(str(error) if isinstance(error, TimeoutError) else "its process ended itself") from error
        if not good:
            raise JudgeError(value)
        return value

    def close(self) -> None:
        """End the process, and that of the answer; whoever waits for it gets a StoppedError."""
        self._closed = True
        self._end()
        with contextlib.suppress(OSError, RecursionError):
            self._folder.cleanup()

    def _start(self) -> None:
        if self._closed:
            raise EOFError
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_judge, args=(theirs, self._folder.name), daemon=True)
        with _deaf():  # and so is the new process, while it imports
            self._process.start()
        theirs.close()
        if not self._pipe.poll(AROUND) or self._pipe.recv() != READY:
            raise TimeoutError(f"it was not ready after {AROUND:g} seconds")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C from this thread and from the processes that it starts, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _judge(pipe: Connection, folder: str) -> None:
    """Do one piece of work after the other until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the grader is heard there
    tempfile.tempdir = folder  # it is removed with the judge, even if it dies on the way
    with contextlib.suppress(ImportError):
        import resource  # not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + MEMORY, most))
    with contextlib.suppress(EOFError, ConnectionError):  # when the grader is gone
        pipe.send(READY)
        while True:
            work, arguments = pipe.recv()
            try:
                pipe.send((True, work(*arguments)))
            except Exception as error:  # a check meets here whatever a stranger's code returned
                pipe.send((False, f"{type(error).__name__}: {error}"))


class Bench:
    """Some judges, and the work they share."""

    def __init__(self, number: int) -> None:
        self._judges = [Judge() for _ in range(number)]
        self._free: queue.Queue[Judge] = queue.Queue()
        self._stopped = threading.Event()
        for judge in self._judges:
            self._free.put(judge)

    def share(self, work: Callable[[Judge, Any], Any], things: Sequence[Any]) -> list[Any]:
        """Do something with each thing, as many at a time as there are judges; None for what was not begun."""
        with ThreadPoolExecutor(len(self._judges)) as pool:
            tasks = [pool.submit(self._with_a_judge, work, thing) for thing in things]
            try:
                return [task.result() for task in tasks]
            except BaseException:  # Ctrl-C: end at once what runs, and begin nothing more
                self._stopped.set()
                self.close()
                raise

    def _with_a_judge(self, work: Callable[[Judge, Any], Any], thing: object) -> object:
        judge = self._free.get()
        try:
            return None if self._stopped.is_set() else work(judge, thing)
        finally:
            self._free.put(judge)

    def close(self) -> None:
        for judge in self._judges:
            judge.close()
