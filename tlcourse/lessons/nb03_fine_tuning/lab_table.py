"""The table of runs on the bench of notebook 03: one row a run, ticked when it is in the picture."""

import html
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from tlcourse.lessons.nb03_fine_tuning.figures import LINES
from tlcourse.lessons.nb03_fine_tuning.lab_records import Run, best_of, make_room

COLUMNS = {  # widths in em, which add up to that of the table
    **{"strategy": 9.7, "labels": 3.8, "rate": 4.0, "frozen": 4.2, "pull": 3, "epochs": 4.3},
    **{"loss": 2.9, "accuracy": 5.8, "seconds": 5.8},
}
GRID = f"display: grid; grid-template-columns: 1.5em {' '.join(f'{width}em' for width in COLUMNS.values())}"
GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}


def cells(run: Run, best: bool) -> list[str]:
    """Return what the table says of a run, in the order of `COLUMNS`."""
    how = run.settings
    frozen, pull = "by turns" if how.thaws else str(how.depth), f"{how.strength:g}" if how.pulls else "–"
    settings = [how.strategy, str(how.per_class), f"{how.rate:g}", frozen, pull]
    epochs = f"{len(run.measured)} of {how.epochs}" if run.state != "finished" else str(how.epochs)
    loss, accuracy = (f"{run.loss:.2f}", f"{run.accuracy:.0f} %") if run.measured else ("", "")
    took = "shipped" if run.seconds is None else f"{run.seconds:.1f} s"
    return [*settings, epochs, loss, accuracy + " best" * best, took if run.state == "finished" else run.state]


class RunTable:
    """Rows of runs, the newest first, each with a box that is ticked while the run is in the picture.

    Args:
        changed: called when a box was ticked or cleared by hand.
        say: called with a sentence when a tick is refused.

    Attributes:
        ticks: the boxes, by the run's number.
        places: which of the lines of the picture a ticked run has, by its number.
        widget: the table.
    """

    def __init__(self, changed: Callable[[], None], say: Callable[[str], None]) -> None:
        self.changed, self.say = changed, say
        self.ticks: dict[int, widgets.Checkbox] = {}
        self.places: dict[int, int] = {}
        self.best: int | None = None
        self._texts: dict[int, widgets.HTML] = {}
        names = "".join(f"<b>{name}</b>" for name in COLUMNS)
        header = widgets.HTML(f'<div style="{GRID}; padding-left: 3.6em"><span></span>{names}</div>')
        header.layout = {"margin": "0", "height": "26px", "flex": "0 0 auto"}
        self._rows = widgets.VBox(layout={"height": "108px", "overflow": "hidden auto"})
        self.widget = widgets.VBox([header, self._rows], layout={"flex": "0 0 auto", "width": "632px"})

    def add(self, run: Run) -> None:
        """Add a row, and give the run a place in the picture; when all are taken, the oldest leaves."""
        leaves = make_room(list(self.places), self.best, len(LINES))
        if leaves is not None:
            self.places.pop(leaves)
            self.ticks[leaves].value = False
        self._give_place(run.number)
        tick = widgets.Checkbox(value=True, description=str(run.number), indent=False)
        tick.tooltip = f"show run {run.number} in the picture"
        tick.layout = {"width": "3.6em", "margin": "0"}
        tick.observe(lambda change: self._ticked(run.number, change["new"]), "value")
        self.ticks[run.number] = tick
        self._texts[run.number] = widgets.HTML(layout={"margin": "0", "height": "26px"})
        self._arrange()

    def remove(self, number: int) -> None:
        """Take a run out."""
        self.places.pop(number, None)
        for widget in (self.ticks.pop(number), self._texts.pop(number)):
            widget.close()
        self._arrange()

    def write(self, runs: Sequence[Run]) -> None:
        """Write what is known of every run."""
        best = best_of(runs)
        self.best = best.number if best else None
        for run in runs:
            texts = "".join(f"<span>{html.escape(text)}</span>" for text in cells(run, run is best))
            style = f"{GRID}; white-space: nowrap; font-weight: {'bold' if run is best else 'normal'}"
            self._texts[run.number].value = f'<div style="{style}">{self._mark(run.number)}{texts}</div>'

    def _mark(self, number: int) -> str:
        """Return the marker of a run's line, in its colour."""
        if number not in self.places:
            return "<span></span>"
        colour, _, marker = LINES[self.places[number]]
        return f'<span style="color: {colour}">{GLYPHS[marker]}</span>'

    def _ticked(self, number: int, wanted: bool) -> None:
        """Follow a box; one that was set by the table itself changes nothing."""
        if wanted == (number in self.places):
            return
        if not wanted:
            self.places.pop(number)
        elif len(self.places) < len(LINES):
            self._give_place(number)
        else:
            self.ticks[number].value = False
            self.say(f"There is room for {len(LINES)} lines. Clear the tick of another run first.")
            return
        self.changed()

    def _give_place(self, number: int) -> None:
        self.places[number] = min(set(range(len(LINES))) - set(self.places.values()))

    def _arrange(self) -> None:
        layout = {"flex": "0 0 auto", "height": "26px", "align_items": "center"}
        pairs = [[self.ticks[number], self._texts[number]] for number in sorted(self.ticks, reverse=True)]
        old, self._rows.children = self._rows.children, [widgets.HBox(pair, layout=layout) for pair in pairs]
        for row in old:
            row.close()
