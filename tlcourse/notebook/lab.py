"""Labs: controls, a sentence and a picture, declared in a class; the base class lays out, draws, guards and closes."""

import gc
import html
import inspect
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.notebook.controls import Control, close_all
from tlcourse.notebook.display import as_image
from tlcourse.notebook.jobs import End, Job, Steps, Worker

KEPT_PICTURES = 30  # of positions of the controls; about 10 MB


class Columns(NamedTuple):
    """A block of a lab's rows: controls of equal width in so many columns, their names equally wide too."""

    count: int
    names: tuple[str, ...]
    name_width: str = "9em"


Row = str | Columns | tuple


class Lab:
    """Controls with a sentence and a picture below, made anew whenever a control moves.

        class ShiftLab(Lab):
            shift = Slider("shift (0 to 1)", (0.0, 0.5, 1.0), tip="how far the world was moved")
            start = Choice("answers of", ("scratch", "fine-tuned"), tip="whose answers are shown")
            rows = (("shift", "start"),)

            def look(self, shift, start):
                figure, (ax,) = page((6, 3), (0.1, 0.2, 0.85, 0.7))
                ...
                return figure, f"At shift {shift}, {start} reads 80 % of the images."

    `look` is handed the controls that its signature names; a picture is kept by these values, so whatever else it looks
    at changes in an action or a job alone, or is told by `forget`. `adjust` runs before each look, to switch off what
    has no meaning and to write notes; what it sets draws nothing. An `__init__` keeps its data first and calls
    `super().__init__()` last. `lab.shift = 0.5` does what a hand does.

    `rows` says what stands where, by name: controls, `sentence`, `picture`, with jobs also `stop`, `bar` and `status`,
    and widgets that are attributes. A tuple is a row, a tuple inside it a column, and so on. Without it, every control
    has a row. Attributes: `controls` by name; `widget`, all of it; `failure`, what the last job raised, or None.
    """

    rows: tuple = ()

    def __init__(self) -> None:
        self.declared = _declared(type(self))
        self.controls = {name: control.make(self) for name, control in self.declared.items()}
        self.sentence, self.picture = widgets.HTML(), widgets.HTML()
        self.stop = widgets.Button(description="Stop", icon="stop", tooltip="stop after the present step")
        self.stop.layout.width, self.stop.disabled = "80px", True
        self.stop.on_click(lambda _button: self.worker.stop())
        self.bar = widgets.FloatProgress(0, max=1, layout={"width": "110px", "visibility": "hidden"})
        self.status = widgets.HTML()
        self.worker, self.failure = Worker(), None
        self._drawing, self._quiet = threading.RLock(), 0  # a job draws too, on its own thread
        self._pictures: OrderedDict[tuple, tuple[str, str]] = OrderedDict()
        self._drawn: tuple | None = None
        for name, control in self.controls.items():
            if self.declared[name].shown_by_look:
                control.observe(self._moved, "value")
        self._draw()
        self.widget = widgets.VBox(self._arranged())
        self.widget.add_class("tlcourse-lab")  # by this name the browser tests find it

    def look(self, **values: object) -> tuple[Figure, str]:
        """Return the picture for these values of the controls, and the sentence that says what it shows."""
        raise NotImplementedError(f"{type(self).__name__} has no method `look` that says what is to be seen.")

    def adjust(self) -> None:
        """Prepare controls and notes for what is to be looked at; does nothing here."""

    def say(self, sentence: str) -> None:
        """Write beside the progress bar."""
        self.status.value = html.escape(sentence)

    def forget(self) -> None:
        """Keep no picture: something changed that is no control."""
        self._pictures.clear()
        self._drawn = None

    def redraw(self) -> None:
        """Draw anew, from any thread, since something changed that is no control."""
        with self._drawing:
            self.forget()
            self._moved()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Move several controls, and draw one picture when that is done."""
        with self._drawing:
            with self._quietly():
                yield
            self._moved()

    @contextmanager
    def errors_shown(self) -> Iterator[None]:
        """Show in the lab what goes wrong here, and raise it: nothing is swallowed."""
        try:
            yield
        except Exception as error:
            self._complain(error)
            raise

    @property
    def running(self) -> bool:
        """Whether a job runs."""
        return self.worker.running

    def refused(self) -> bool:
        """Say that something is running, if so."""
        if self.running:
            self.say(f"Refused: {self.worker.doing} is not over. Wait, or press Stop.")
        return self.running

    def start_job(self, doing: str, steps: Steps) -> None:
        """Run a job in the background, unless one runs."""
        with self._drawing:  # what the job draws comes after this
            if self.refused():
                steps.close()
                return
            self.failure, self.bar.value = None, 0.0
            self.say(f"{doing} is running.")
            self.worker.start(doing, steps, self._step, lambda end: self._over(doing, end))
            self._refresh()
            self.redraw()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the job; returns whether none runs any more, and raises what it raised."""
        over = self.worker.wait(seconds)
        if over and self.failure is not None:
            raise self.failure
        return over

    def close(self, seconds: float = 5.0) -> bool:
        """Stop the job, close all widgets and free all pictures; returns whether no job is left."""
        self.worker.stop()
        gone = self.worker.wait(seconds)
        for part in (self.widget, self.stop, self.bar, self.status):
            close_all(part)
        self._pictures.clear()
        return gone

    def _repr_mimebundle_(self, **options: object) -> object:
        """Be shown as the widget where the lab is the last line of a cell."""
        return self.widget._repr_mimebundle_(**options)

    def _moved(self, _change: object = None) -> None:
        with self._drawing:
            if not self._quiet:
                with self.errors_shown():
                    self._draw()

    def _draw(self) -> None:
        with self._drawing:
            with self._quietly():
                self.adjust()
            values = self._looked_at()
            key = tuple(values.items())
            if key == self._drawn:
                return
            self._drawn = None  # after an error, the way back draws again
            if key not in self._pictures:
                with _garbage_left():
                    figure, sentence = self.look(**values)
                    self._pictures[key] = sentence, as_image(figure, sentence, quick=True)
            self._pictures.move_to_end(key)
            if len(self._pictures) > KEPT_PICTURES:
                self._pictures.popitem(last=False)
            sentence, self.picture.value = self._pictures[key]
            self.sentence.value = f'<p style="line-height: 1.4; margin: 2px">{html.escape(sentence)}</p>'
            self._drawn = key

    def _looked_at(self) -> dict[str, object]:
        """Return the values of the controls that `look` names; `**values` names all."""
        asked = inspect.signature(self.look).parameters
        whole = any(parameter.kind is parameter.VAR_KEYWORD for parameter in asked.values())
        named = (name for name, control in self.declared.items() if control.shown_by_look)
        return {name: self.controls[name].value for name in named if whole or name in asked}

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _complain(self, error: BaseException) -> None:
        self._drawn = None
        self.sentence.value = f"<p><b>The lab stopped: {html.escape(str(error))}.</b> Run the cell again.</p>"

    def _step(self, done: float | tuple[float, str]) -> None:
        self.bar.value, sentence = done if isinstance(done, tuple) else (done, None)
        if sentence is not None:
            self.say(sentence)

    def _over(self, doing: str, end: End) -> None:
        """Show how a job ended; here, on its thread, nobody else would show an error."""
        how = "failed" if end.error else "was stopped" if end.stopped else "is done"
        with self._drawing:
            self.failure = end.error
            try:
                self.redraw()  # first: what is said to be done is to be seen
            except Exception as error:
                self.failure = self.failure or error
            if end.error is not None:
                self._complain(end.error)
            self.say(end.said or f"{doing} {how}.")
            self._refresh()

    def _refresh(self) -> None:
        """Let the buttons offer what can be done now."""
        for name, control in self.declared.items():
            if isinstance(control, Job):
                self.controls[name].disabled = self.running
        self.stop.disabled = not self.running
        self.bar.layout.visibility = "visible" if self.running else "hidden"

    def _arranged(self) -> list[widgets.Widget]:
        """Return the lab's widgets as `rows` says, with what it need not say below."""
        rows = list(self.rows) or [name for name, control in self.declared.items() if not isinstance(control, Job)]
        missing = sorted(set(self.controls) - _names(rows)) if self.rows else []
        jobs = [name for name, control in self.declared.items() if isinstance(control, Job)]
        if jobs and "stop" not in _names(rows):
            rows.append((*(name for name in jobs if name not in _names(rows)), "stop", "bar", "status"))
            missing = [name for name in missing if name not in jobs]
        if missing:
            raise ValueError(f"{type(self).__name__}.rows lacks {', '.join(missing)}. Expected every control in a row.")
        rows += [name for name in ("sentence", "picture") if name not in _names(rows)]
        return [self._placed(row) for row in rows]

    def _placed(self, entry: Row, box: type[widgets.Box] = widgets.HBox) -> widgets.Widget:
        if isinstance(entry, str):
            return self.controls[entry] if entry in self.controls else getattr(self, entry)
        if isinstance(entry, Columns):
            for name in entry.names:
                self.controls[name].layout.width = "100%"
                self.controls[name].style.description_width = entry.name_width
            columns = f"repeat({entry.count}, minmax(0, 1fr))"
            return widgets.GridBox([self.controls[n] for n in entry.names], layout={"grid_template_columns": columns})
        inner = widgets.VBox if box is widgets.HBox else widgets.HBox
        wrap = {"flex_flow": "row wrap", "align_items": "center"} if box is widgets.HBox else {}
        return box([self._placed(part, inner) for part in entry], layout=wrap)


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Let Python look for garbage afterwards; among all that matplotlib makes, it would look many times a picture."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def _declared(lab: type[Lab]) -> dict[str, Control]:
    """Return the controls of a lab's class and of those that it derives from, in the order they are written."""
    found: dict[str, Control] = {}
    for owner in reversed(lab.__mro__):
        found |= {name: value for name, value in vars(owner).items() if isinstance(value, Control)}
    for name in [name for name in found if hasattr(Lab, name)]:
        raise ValueError(f"{lab.__name__} calls a control {name!r}, as a method of every lab. Expected another name.")
    return found


def _names(rows: Row) -> set[str]:
    """Return all names in rows."""
    if isinstance(rows, str):
        return {rows}
    return set().union(*(_names(part) for part in (rows.names if isinstance(rows, Columns) else rows)))


def page(size: tuple[float, float], *places: tuple[float, float, float, float]) -> tuple[Figure, list[Axes]]:
    """Make a figure with axes at fixed places: nothing jumps between pictures, and it draws in half the time.

    `size` is width and height in inches; a place is left, bottom, width and height as shares of the figure. `pyplot`,
    which keeps a list of figures that threads would share, does not know of it.
    """
    figure = Figure(figsize=size)
    axes = [figure.add_axes(place) for place in places]
    for ax in axes:
        ax.set_title("", y=1.0)  # else matplotlib looks for a free place, which takes time
    return figure, axes
