"""The lab of notebook 03, the training bench: choose how to train, run it in the background, and compare the runs."""

import functools
import html
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.lessons.nb03_fine_tuning import lab_figures as pictures
from tlcourse.lessons.nb03_fine_tuning import lab_runs as compute
from tlcourse.lessons.nb03_fine_tuning.lab_controls import Choices
from tlcourse.lessons.nb03_fine_tuning.lab_export import save, write_csv
from tlcourse.lessons.nb03_fine_tuning.lab_readymade import ready_made
from tlcourse.lessons.nb03_fine_tuning.lab_records import SHORT, Run, Settings, nearest_rate
from tlcourse.lessons.nb03_fine_tuning.lab_table import RunTable
from tlcourse.notebook.background import Background, Ticket
from tlcourse.notebook.controls import button, close_all
from tlcourse.notebook.display import as_image
from tlcourse.notebook.handmade_lab import HandmadeLab
from tlcourse.training.loop import NonFiniteLossError
from tlcourse.training.lr_finder import RangeTest

Found = tuple[RangeTest, Settings]
T = TypeVar("T")


class BenchLab(HandmadeLab):
    """Controls for a training, buttons, all runs laid over each other in a picture, and a table of them.

    Attributes:
        choices: the controls.
        table: the table of runs.
        runs: every run by its number; it begins with two that came with the course.
        found: the last range test and what was tested, or None.
        failure: what went wrong in the background, or None.
        background: where trainings and range tests run.
    """

    def __init__(self) -> None:
        self.found: Found | None = None
        self.failure: BaseException | None = None
        self.background, self._doing, self._drawn = Background(), "", None
        self.choices, self.runs = Choices(), {}
        self.table = RunTable(lambda: self._update(None), self._say)
        self.bar = widgets.IntProgress(layout={"width": "300px", "visibility": "hidden"})
        self.note = widgets.HTML(layout={"height": "80px", "overflow": "hidden auto", "margin": "0", "width": "203px"})
        self.folder = widgets.Text(".", description="folder", tooltip="where CSV and PNG are written")
        self.folder.style.description_width, self.folder.layout.width = "3.5em", "203px"
        for run in ready_made():
            self._put(run)
        super().__init__(self.choices.all)
        row = widgets.HBox([*self._buttons(), self.bar], layout={"flex_flow": "row wrap"})
        side = widgets.VBox([self.folder, widgets.HBox(self._file_buttons()), self.note])
        below = widgets.HBox([self.table.widget, side])
        self.text.layout = {"height": "60px", "overflow": "hidden auto"}  # so that the picture stays where it is
        self.widget.children = (self.choices.widget, row, self.text, self.picture, below)

    def look(self) -> tuple[Figure, str]:
        """Return the picture of the ticked runs, and sentences on the last run, the best one and the range test."""
        runs, places = list(self.runs.values()), self.table.places
        said = [pictures.describe_runs(runs, places), *([pictures.describe_found(*self.found)] if self.found else [])]
        return pictures.draw_bench(runs, places, self.found, self.choices.rate.value), " ".join(said)

    def run(self) -> None:
        """Train as the controls say, in the background."""
        with self._drawing:
            if self._refused():
                return
            run = Run(max(self.runs, default=0) + 1, self.choices.settings())
            prepared = compute.prepare(run.settings)

            def task(ticket: Ticket) -> Run:
                last = run
                for last in self._counted(compute.compute_run(run, prepared), ticket):
                    if len(last.measured) > len(self.runs[run.number].measured):
                        self._grow(last)
                return last

            self._put(run)
            self._start(f"run {run.number}", run.settings.epochs * SHORT.steps, task, self._finish, run.number)

    def find(self) -> None:
        """Make a range test of what the controls say, in the background."""
        with self._drawing:
            if self._refused():
                return
            settings = self.choices.settings()
            prepared = compute.prepare(settings)

            def task(ticket: Ticket) -> Found:
                *_, found = self._counted(compute.compute_range(settings, prepared), ticket)
                return found, settings

            self._start("range test", compute.FOUND_IN, task, self._show_found)

    def take(self) -> None:
        """Set the rate to what the last range test suggests."""
        if self.found:
            self.choices.rate.value = nearest_rate(self.found[0].suggestion)

    def forget(self) -> None:
        """Begin again with no runs."""
        with self._drawing:
            if self._refused():
                return
            for number in list(self.runs):
                self._drop(number)
            self._say("All runs are forgotten.")
            self._draw()

    def save_table(self) -> None:
        """Write all runs, epoch by epoch, as CSV."""
        self._say(save(self.folder.value, "csv", write_csv(list(self.runs.values())).encode()))

    def save_picture(self) -> None:
        """Write the picture as PNG, large enough to print."""
        buffer = io.BytesIO()
        with self._drawing:
            self.look()[0].savefig(buffer, format="png", dpi=200, facecolor="white")
        self._say(save(self.folder.value, "png", buffer.getvalue()))

    def close(self) -> bool:
        """Stop what runs and close all widgets; returns whether no thread is left."""
        gone = self.background.close()
        close_all(self.widget)
        return gone

    def _buttons(self) -> list[widgets.Button]:
        self.go = button("Run", self.run, "train as the controls say", 90, self._complain)
        self.halt = button("Stop", self.background.stop, "stop after the present batch", 90, self._complain)
        tip = "raise the rate from 0.0001 on, batch by batch, and watch the loss"
        self.finder = button("Find a rate", self.find, tip, 110, self._complain)
        self.taker = button("Take the rate", self.take, "set the rate to what the test suggests", 140, self._complain)
        self.go.button_style = "primary"
        self._refresh()
        return [self.go, self.halt, self.finder, self.taker]

    def _file_buttons(self) -> list[widgets.Button]:
        self.csv = button("CSV", self.save_table, "write all runs, epoch by epoch", 64, self._complain)
        self.png = button("PNG", self.save_picture, "write the picture", 64, self._complain)
        self.clear = button("Clear", self.forget, "forget all runs", 64, self._complain)
        return [self.csv, self.png, self.clear]

    def _say(self, sentence: str) -> None:
        self.note.value = f'<div style="overflow-wrap: anywhere; line-height: 1.3">{html.escape(sentence)}</div>'

    def _refused(self) -> bool:
        """Say that something is running, if so."""
        if self.background.running:
            self._say(f"One thing at a time: {self._doing} is not over. Wait, or press Stop.")
        return self.background.running

    def _start(
        self, doing: str, updates: int, task: Callable[[Ticket], object], done: Callable, number: int | None = None
    ) -> None:
        """Start a task; `number` is that of its run, if it is one."""
        self._doing, self.failure = doing, None
        self.bar.max, self.bar.value, self.bar.description = updates, 0, doing
        self._say("")
        ends = (done, functools.partial(self._fail, number), functools.partial(self._stopped, number))
        self.background.start(task, *(functools.partial(self._end, then) for then in ends))
        self._refresh()
        self._draw()

    def _counted(self, steps: Iterator[T], ticket: Ticket) -> Iterator[T]:
        """Pass on what a task yields at every update; move the bar, or end the task."""
        for count, step in enumerate(steps, 1):
            ticket.check()
            self.bar.value = count
            yield step

    def _end(self, then: Callable, *arguments: object) -> None:
        """Do what is to be done when a task is over; here, on its thread, nobody else would show an error."""
        try:
            with self._drawing:
                self._refresh()
                then(*arguments)
                self._draw()
        except Exception as error:
            self.failure = error
            self._complain(error)

    def _grow(self, run: Run) -> None:
        """Draw one epoch more; called on the task's thread."""
        with self._drawing:
            self._put(run)
            self._draw()

    def _finish(self, run: Run) -> None:
        self._put(run)
        self._say(f"Run {run.number} took {run.seconds:.1f} s.")

    def _show_found(self, found: Found) -> None:
        self.found = found
        self.taker.description = f"Take rate {nearest_rate(found[0].suggestion):g}"
        self._refresh()

    def _stopped(self, number: int | None) -> None:
        if number is None:
            self._say("The range test was stopped.")
        elif self.runs[number].measured:
            self._put(replace(self.runs[number], state="stopped"))
            self._say(f"Run {number} was stopped. It stays in the table, but cannot be the best.")
        else:
            self._drop(number)
            self._say(f"Run {number} was stopped before its first epoch was over. There is nothing to keep.")

    def _fail(self, number: int | None, error: BaseException) -> None:
        self.failure = error
        if number is not None and isinstance(error, NonFiniteLossError) and self.runs[number].measured:
            self._put(replace(self.runs[number], state="broke"))
        elif number is not None:
            self._drop(number)
        self._say(f"{self._doing.capitalize()} ended with an error: {error}")

    def _put(self, run: Run) -> None:
        """Keep a run, new or further than before."""
        if run.number not in self.runs:
            self.table.add(run)
        self.runs[run.number] = run

    def _drop(self, number: int) -> None:
        self.runs.pop(number)
        self.table.remove(number)

    def _refresh(self) -> None:
        """Let the buttons offer what can be done now."""
        running = self.background.running
        self.go.disabled = self.finder.disabled = running
        self.halt.disabled, self.taker.disabled = not running, self.found is None
        self.bar.layout.visibility = "visible" if running else "hidden"

    def _draw(self) -> None:
        """Draw anew what has changed, and say what comes next, which the picture does not show."""
        with self._drawing:
            plan, rate = self.choices.settings(), self.choices.rate.value if self.found else None
            key = (tuple(self.runs.values()), dict(self.table.places), self.found, rate)
            if key != self._drawn:
                self.table.write(list(self.runs.values()))
                figure, self._seen = self.look()
                self.picture.value, self._drawn = as_image(figure, self._seen, quick=True), key
            said = html.escape(f"{self._seen} {pictures.describe_plan(plan)}")
            self.text.value = f'<p style="line-height: 1.4; margin: 0">{said}</p>'


def bench() -> widgets.Widget:
    """Return the lab as one widget; nothing is trained before Run is pressed.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return BenchLab().widget
