"""The lab of notebook 04, the judge: mistakes, calibration, interval width, and whether A is better than B."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import ipywidgets as widgets
import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.lessons.nb04_evaluation.duelling import challenger_hits
from tlcourse.lessons.nb04_evaluation.lab_duels import Hits
from tlcourse.lessons.nb04_evaluation.lab_luck import DuelPage, WidthPage
from tlcourse.lessons.nb04_evaluation.lab_pages import MistakesPage, TemperaturePage
from tlcourse.notebook.controls import buttons
from tlcourse.notebook.handmade_lab import HandmadeLab


class JudgeLab(HandmadeLab):
    """Four pages, one at a time: mistakes, temperature, interval width, and the duel.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about.
        hits: whether each network reads each test image, bool `[seeds, N]`, by name; at least two networks.

    Attributes:
        pages: the pages by title; each has its own controls.
        look_at: which page is shown.
    """

    def __init__(self, scores: Mapping[str, torch.Tensor], data: ImageSet, hits: Hits) -> None:
        self.pages = {
            "mistakes": MistakesPage(scores, data),
            "temperature": TemperaturePage(scores, data),
            "interval width": WidthPage(hits),
            "is A better than B?": DuelPage(hits),
        }
        self._adjusting = False
        self.look_at = buttons(list(self.pages), "look at", "which page")
        self.look_at.button_style = "info"
        self.look_at.tooltips = ["which answers are wrong", "how sure it is", "how precise a score is", "who wins"]
        boxes = [widgets.VBox([_row(row) for row in page.rows]) for page in self.pages.values()]
        self.stack = widgets.Stack(boxes, selected_index=0)
        widgets.link((self.look_at, "index"), (self.stack, "selected_index"))
        mistakes = self.pages["mistakes"]
        mistakes.chosen = lambda *cell: self._at_once(mistakes.choose, *cell)
        mistakes.further.on_click(lambda _: self._at_once(mistakes.go_on))
        super().__init__([self.look_at, *(control for page in self.pages.values() for control in page.controls)])
        seen = widgets.HBox([mistakes.matrix.widget, self.picture])
        self.widget.children = (self.look_at, self.stack, self.text, seen)

    @property
    def page(self) -> MistakesPage | TemperaturePage | WidthPage | DuelPage:
        """The page that is shown."""
        return self.pages[self.look_at.value]

    def look(self) -> tuple[Figure, str]:
        """Return the picture of the page that is shown, and its sentences."""
        mistakes = self.pages["mistakes"]
        mistakes.matrix.widget.layout.display = None if self.page is mistakes else "none"
        with self._adjust():
            self.page.adjust()
        return self.page.look()

    @contextmanager
    def _adjust(self) -> Iterator[None]:
        """Let the lab itself move controls without drawing in between."""
        self._adjusting = True
        try:
            yield
        finally:
            self._adjusting = False

    def _at_once(self, move: Callable[..., None], *arguments: int) -> None:
        """Move several controls, and draw the picture once."""
        with self._adjust():
            move(*arguments)
        self._update(None)

    def _update(self, change: object) -> None:
        if not self._adjusting:
            super()._update(change)

    def close(self) -> None:
        """Take the lab and all its controls off the page."""
        _close(self.widget)


def judge(scores: Mapping[str, torch.Tensor], data: ImageSet, hits: Hits) -> widgets.Widget:
    """Return the lab as one widget; more networks than the two rivals come from the table of the course.

    Args:
        scores: before the softmax, float `[N, classes]`, by network.
        data: the images that were asked about: validation images.
        hits: whether each rival reads each test image, bool `[seeds, N]`, by name.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return JudgeLab(scores, data, {**hits, **challenger_hits(load("handwritten-photo", split="test").labels)}).widget


def _row(controls: list[widgets.Widget]) -> widgets.HBox:
    return widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap"))


def _close(widget: widgets.Widget) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()
