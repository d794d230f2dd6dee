"""Buttons of labs: an action is done at once; a job is a generator on a thread of its own, which can be stopped."""

import functools
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

import ipywidgets as widgets

from tlcourse.notebook.controls import Control, Host

Progress = float | tuple[float, str]
Steps = Generator[Progress, None, str | None]


class Action(Control):
    """A button; calling the attribute is the same as pressing it, and whatever it changed is drawn in one picture."""

    shown_by_look = False

    def __init__(self, function: Callable, name: str, tip: str, width: str, style: str) -> None:
        super().__init__(name, tip, width=width)
        self.function, self.style = function, style

    def __get__(self, lab: Host, owner: type | None = None) -> object:
        """Return what presses the button."""
        return self if lab is None else functools.partial(self.press, lab)

    def build(self, lab: Host) -> widgets.Button:
        """Make the button; ipywidgets alone would keep its errors to a log."""
        button = widgets.Button(button_style=self.style)
        button.on_click(lambda _button: self.press(lab))
        return button

    def press(self, lab: Host) -> None:
        """Do it, and draw what changed."""
        with lab.errors_shown(), lab.at_once():
            lab.forget()
            self.function(lab)


class Job(Action):
    """A button that starts a generator in the background, unless one runs."""

    def press(self, lab: Host) -> None:
        """Start it."""
        with lab.errors_shown():
            lab.start_job(self.name, self.function(lab))


def action(name: str, tip: str, *, width: str = "auto", style: str = "") -> Callable[[Callable], Action]:
    """Turn a method of a lab into a button."""
    return lambda function: Action(function, name, tip, width, style)


def job(name: str, tip: str, *, width: str = "auto", style: str = "primary") -> Callable[[Callable], Job]:
    """Turn a generator method of a lab into a button that runs it in the background.

    It yields how much is done, from 0 to 1, alone or with a sentence, and returns a last sentence or None. Up to the
    first `yield` it runs at once, on the thread of the notebook: that is the place to read the controls, and for what
    needs PyTorch's global generator. Stop raises `GeneratorExit` at the next `yield`; who wants to tell something else
    than "was stopped" catches it and returns a sentence.
    """
    return lambda function: Job(function, name, tip, width, style)


@dataclass(frozen=True)
class End:
    """How a job ended: with the sentence that it returned, by being stopped, or with an error."""

    said: str | None = None
    stopped: bool = False
    error: BaseException | None = None


class Worker:
    """Runs generators on a thread, one at a time; `doing` names the one that runs."""

    def __init__(self) -> None:
        self.doing = ""
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether a job runs."""
        return bool(self.doing)

    def start(self, doing: str, steps: Steps, seen: Callable[[Progress], None], over: Callable[[End], None]) -> bool:
        """Take the first step here and all others on a thread; False, and nothing done, while another job runs.

        `seen` gets everything that is yielded. `over` is called once, on that thread, when the next job may start.
        An error of the first step is raised here, and then `over` is not called.
        """
        with self._lock:
            if self.running:
                return False
            self.doing = doing
        self._stop.clear()
        try:
            seen(next(steps))
        except StopIteration as finished:
            self.doing = ""
            over(End(finished.value))
            return True
        except BaseException:
            self.doing = ""
            raise
        self._thread = threading.Thread(target=self._work, args=(steps, seen, over), name="tlcourse lab", daemon=True)
        self._thread.start()
        return True

    def _work(self, steps: Steps, seen: Callable[[Progress], None], over: Callable[[End], None]) -> None:
        try:
            while not self._stop.is_set():
                seen(next(steps))
            end = End(_close(steps), stopped=True)
        except StopIteration as finished:
            end = End(finished.value)
        except BaseException as error:
            steps.close()
            end = End(error=error)
        self.doing = ""
        over(end)

    def stop(self) -> None:
        """Ask the job to stop; it does at its next step."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until no job runs; returns whether none does."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return not self.running


def _close(steps: Steps) -> str | None:
    """End a generator as `close` does, and return what it returns; before Python 3.13, `close` forgets that."""
    try:
        steps.throw(GeneratorExit)
    except StopIteration as finished:
        return finished.value
    except GeneratorExit:
        return None
    raise RuntimeError("the job went on after Stop: it caught GeneratorExit. Expected it to return then.")
