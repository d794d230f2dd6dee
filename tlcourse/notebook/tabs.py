"""Several labs in one place, one at a time; each is made when it is first looked at."""

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from tlcourse.notebook.controls import Choice, close_all
from tlcourse.notebook.lab import Lab


class Tabs:
    """A row of buttons that chooses which lab is seen.

    `made` holds the labs that were looked at so far, by title; `titles` is the row of buttons, `widget` all of it.
    """

    def __init__(self, name: str, labs: Mapping[str, Callable[[], Lab]], tips: Sequence[str]) -> None:
        self.labs, self.made = labs, {}
        self.titles = Choice(name, list(labs), tip=tips).make(self)
        self.titles.button_style = "info"
        self.stack = widgets.Stack([widgets.VBox() for _ in labs])
        self._show(self.titles.value)
        self.titles.observe(lambda change: self._show(change["new"]), "value")
        self.widget = widgets.VBox([self.titles, self.stack])
        self.widget.add_class("tlcourse-lab")

    def lab(self, title: str) -> Lab:
        """Show a lab and return it."""
        self.titles.value = title
        return self.made[title]

    def close(self) -> bool:
        """Close all labs; returns whether no job is left."""
        gone = [lab.close() for lab in self.made.values()]
        close_all(self.widget)
        return all(gone)

    def _show(self, title: str) -> None:
        box = self.stack.children[list(self.labs).index(title)]
        if title not in self.made:
            try:
                self.made[title] = self.labs[title]()
            except Exception as error:
                box.children = [widgets.HTML(f"<p><b>The lab stopped: {html.escape(str(error))}.</b></p>")]
                raise
            box.children = [self.made[title].widget]
        self.stack.selected_index = list(self.labs).index(title)

    def _repr_mimebundle_(self, **options: object) -> object:
        """Be shown as the widget where this is the last line of a cell."""
        return self.widget._repr_mimebundle_(**options)
