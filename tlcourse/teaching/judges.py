"""Judges: processes that mark, each one answer at a time, and that are replaced when an answer brings one down."""

import contextlib
import functools
import queue
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle

from tlcourse.exercises.runner.process import Limits, Sandbox
from tlcourse.lessons.registry import find
from tlcourse.teaching.marking import ALL_CALLS

AROUND = 180.0  # seconds for what is not the answer: starting, drawing inputs, running the reference
MEMORY = 3 * 2**30  # bytes for what is not the answer


class JudgeError(RuntimeError):
    """A judge did not come to an end; the message says how."""


class StoppedError(RuntimeError):
    """The judge was sent home while it worked, or before."""


class Judge:
    """One process that marks."""

    def __init__(self) -> None:
        self._box = Sandbox(Limits(AROUND, MEMORY))
        self._closed = False
        self._folder = tempfile.TemporaryDirectory(prefix="tlcourse-", ignore_cleanup_errors=True)

    def ask(self, work: Callable, *arguments: object, exercise: str = "", seconds: float = AROUND) -> Any:  # noqa: ANN401
        """Let the judge call a function of the course that takes and returns plain values.

        It has `seconds` and the limits of an `exercise` besides. Raises JudgeError when it raised, died, or took too
        much, StoppedError when the judge was closed.
        """
        if self._closed:
            raise StoppedError("this judge was closed")
        limits = find(exercise).limits if exercise else Limits(0, 0)
        self._box.limits = Limits(seconds + (ALL_CALLS + 1) * limits.seconds, MEMORY + limits.memory)
        work = functools.partial(in_folder, self._folder.name, work)
        reply = self._box.ask("load", AROUND, pickled=cloudpickle.dumps(work))
        if reply.error is None:
            reply = self._box.ask("call", arguments=arguments, finisher=None, more=())
        if self._closed:
            raise StoppedError("this judge was closed while it worked")
        if reply.error is not None:
            raise JudgeError(f"{reply.error['type']}: {reply.error['message']}")
        return reply.value["result"]

    def close(self) -> None:
        """End the process, and the one behind the fence; whoever waits for it gets a StoppedError."""
        self._closed = True
        self._box.close()
        with contextlib.suppress(OSError, RecursionError):
            self._folder.cleanup()


def in_folder(folder: str, work: Callable, *arguments: object) -> object:
    """Do something with a folder for temporary files that is removed with the judge, even if it dies on the way."""
    tempfile.tempdir = folder
    return work(*arguments)


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
