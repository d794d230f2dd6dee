"""The table of runs in the lab of notebook 03: one row a run, ticked when it is in the picture."""

import html
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from tlcourse.lessons.nb03_fine_tuning.figures import LINES
from tlcourse.lessons.nb03_fine_tuning.lab_runs import Run, best_of

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
    settings = [how.strategy, str(how.per_class), f"{how.lr:g}", frozen, pull]
    epochs = f"{len(run.measured)} of {how.epochs}" if run.state != "finished" else str(how.epochs)
    loss, accuracy = (f"{run.measured[-1].watched_loss:.2f}", f"{run.accuracy:.0f} %") if run.measured else ("", "")
    took = "shipped" if run.seconds is None else f"{run.seconds:.1f} s"
    return [*settings, epochs, loss, accuracy + " best" * best, took if run.state == "finished" else run.state]


class RunTable:
    """Rows of runs, the newest first, each with a box that is ticked while the run is in the picture.

    `changed` is called when a box was ticked or cleared by hand, `say` with a sentence when a tick is refused. `ticks`
    holds the boxes by the run's number, `places` which of `LINES` a run in the picture has.
    """

    def __init__(self, changed: Callable[[], None], say: Callable[[str], None]) -> None:
        self.changed, self.say = changed, say
        self.ticks: dict[int, widgets.Checkbox] = {}
        self.texts: dict[int, widgets.HTML] = {}
        self.places: dict[int, int] = {}
        self.best: int | None = None
        names = "".join(f"<b>{name}</b>" for name in COLUMNS)
        header = widgets.HTML(f'<div style="{GRID}; padding-left: 3.6em"><span></span>{names}</div>')
        header.layout = {"margin": "0", "height": "26px", "flex": "0 0 auto"}
        self.rows = widgets.VBox(layout={"height": "108px", "overflow": "hidden auto"})
        self.widget = widgets.VBox([header, self.rows], layout={"flex": "0 0 auto", "width": "632px"})

    def write(self, runs: Sequence[Run]) -> None:
        """Write what is known of every run; a new one gets a row and a place in the picture."""
        for number in self.ticks.keys() - {run.number for run in runs}:
            self.places.pop(number, None)
            for widget in (self.ticks.pop(number), self.texts.pop(number)):
                widget.close()
        for run in runs:
            if run.number not in self.ticks:
                self._add(run.number)
        best = best_of(runs)
        self.best = best.number if best else None
        for run in runs:
            texts = "".join(f"<span>{html.escape(text)}</span>" for text in cells(run, run is best))
            style = f"{GRID}; white-space: nowrap; font-weight: {'bold' if run is best else 'normal'}"
            self.texts[run.number].value = f'<div style="{style}">{self._mark(run.number)}{texts}</div>'
        self._arrange()

    def _add(self, number: int) -> None:
        """Add a row; when all places in the picture are taken, the oldest run apart from the best leaves it."""
        if len(self.places) == len(LINES):
            leaves = min(set(self.places) - {self.best})
            self.places.pop(leaves)
            self.ticks[leaves].value = False
        self._give_place(number)
        tick = widgets.Checkbox(value=True, description=str(number), indent=False)
        tick.tooltip = f"show run {number} in the picture"
        tick.layout = {"width": "3.6em", "margin": "0"}
        tick.observe(lambda change: self._ticked(number, change["new"]), "value")
        self.ticks[number], self.texts[number] = tick, widgets.HTML(layout={"margin": "0", "height": "26px"})

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
        """Put the newest row on top, unless they stand so already."""
        if len(self.rows.children) == len(self.ticks):
            return
        layout = {"flex": "0 0 auto", "height": "26px", "align_items": "center"}
        pairs = [[self.ticks[number], self.texts[number]] for number in sorted(self.ticks, reverse=True)]
        old, self.rows.children = self.rows.children, [widgets.HBox(pair, layout=layout) for pair in pairs]
        for row in old:
            row.close()
