"""One task at a time on a thread of its own, which can be stopped, so that a training never blocks the notebook."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class StoppedError(Exception):
    """The task was asked to stop; raised inside the task, at the next place where it looks."""


class Ticket:
    """What a task holds: it asks here, after every batch, whether it may go on."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the task to stop."""
        self._stop.set()

    def check(self, *_: object) -> None:
        """Return if the task may go on.

        Raises:
            StoppedError: it may not.
        """
        if self._stop.is_set():
            raise StoppedError("stopped")


class Background:
    """Runs tasks one at a time; a second one is refused while the first runs.

    Attributes:
        running: whether a task runs.
    """

    def __init__(self) -> None:
        self._ticket: Ticket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether a task runs."""
        return self._ticket is not None

    def start(
        self,
        task: Callable[[Ticket], T],
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
        stopped: Callable[[], None],
    ) -> bool:
        """Run a task; exactly one of the three others is called when it is over, on the task's thread.

        Args:
            task: gets a ticket that it has to check after every batch.
            done: gets what the task returned.
            failed: gets what it raised.
            stopped: called when it was stopped.

        Returns:
            False when another task is running; then nothing happens.
        """
        with self._lock:
            if self.running:
                return False
            ticket = self._ticket = Ticket()

        def work() -> None:
            try:
                result = task(ticket)
            except StoppedError:
                self._end(stopped)
            except BaseException as error:
                self._end(failed, error)
            else:
                self._end(done, result)

        self._thread = threading.Thread(target=work, name="tlcourse lab", daemon=True)
        self._thread.start()
        return True

    def _end(self, then: Callable, *arguments: object) -> None:
        """Be free for the next task first: whoever is told that this one is over may start one at once."""
        with self._lock:
            self._ticket = None
        then(*arguments)

    def stop(self) -> None:
        """Ask the running task to stop; it does within one batch."""
        ticket = self._ticket
        if ticket is not None:
            ticket.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until no task runs.

        Args:
            seconds: how long at most.

        Returns:
            Whether none runs.
        """
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)
        return not self.running

    def close(self, seconds: float = 5.0) -> bool:
        """Stop the running task and wait for it; returns whether it is gone."""
        self.stop()
        return self.wait(seconds)
