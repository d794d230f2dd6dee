"""Controls of labs, declared as class attributes: each has a name, a tip, and a value that can be read and set."""

import html
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import ipywidgets as widgets


class Host(Protocol):
    """What controls and buttons ask of a lab."""

    controls: dict[str, widgets.Widget]
    errors_shown: Callable[[], AbstractContextManager]
    at_once: Callable[[], AbstractContextManager]
    forget: Callable[[], None]
    start_job: Callable[..., None]


Given = Callable[[Host], object]  # what only an instance knows
Options = Sequence | Mapping | Given


class Control:
    """A class attribute of a lab; of an instance it is the value of the widget, and setting it moves the widget.

    `name` stands beside the widget, with its unit; `tip` says more when it is pointed at. Options, ends and values that
    only an instance knows are given as functions of the lab.
    """

    shown_by_look = True  # whether the value goes to `look`

    def __init__(self, name: str, tip: str | Sequence[str], value: object = None, *, width: str = "24em") -> None:
        self.name, self.tip, self.value, self.width = name, tip, value, width

    def __set_name__(self, owner: type, attribute: str) -> None:
        """Learn by which name the lab knows it."""
        self.attribute = attribute

    def __get__(self, lab: Host, owner: type | None = None) -> object:
        """Return the value; of the class, the control."""
        return self if lab is None else lab.controls[self.attribute].value

    def __set__(self, lab: Host, value: object) -> None:
        """Move the widget."""
        lab.controls[self.attribute].value = value

    def make(self, lab: Host) -> widgets.Widget:
        """Return the widget with its name, tip and width."""
        widget = self.build(lab)
        widget.description, widget.tooltip, widget.layout.width = self.name, self.tip, self.width
        if widget.style.has_trait("description_width"):
            widget.style.description_width = "initial"
        return widget

    def build(self, lab: Host) -> widgets.Widget:
        """Return the bare widget."""
        raise NotImplementedError(f"{type(self).__name__} has no method `build` that makes its widget.")


def of(lab: Host, given: object) -> object:
    """Return what was given, or where that is a function of the lab, what it returns."""
    return given(lab) if callable(given) else given


class Selection(Control):
    """One of some options, the first at the beginning unless a value is given.

    Options are values, shown in a form such as `"{:.2f}"`, or a mapping from what is shown to values.
    """

    kind: type[widgets.Widget]

    def __init__(
        self,
        name: str,
        options: Options,
        value: object = None,
        tip: str | Sequence[str] = "",
        *,
        form: str = "{}",
        width: str = "24em",
    ) -> None:
        super().__init__(name, tip, value, width=width)
        self.options, self.form = options, form

    def build(self, lab: Host) -> widgets.Widget:
        """Make the widget."""
        options, value = of(lab, self.options), of(lab, self.value)
        pairs = list(options.items()) if isinstance(options, Mapping) else [(self.form.format(o), o) for o in options]
        return self.kind(options=pairs, value=pairs[0][1] if value is None else value)


class Slider(Selection):
    """A slider over a few values."""

    kind = widgets.SelectionSlider


class Dropdown(Selection):
    """A list to choose from."""

    kind = widgets.Dropdown


class Choice(Selection):
    """Buttons of which one is pressed; `tip` is one for all, or one for each."""

    kind = widgets.ToggleButtons

    def make(self, lab: Host) -> widgets.ToggleButtons:
        """Return the row of buttons, each as wide as its text, beside the name."""
        row = self.build(lab)
        tips = of(lab, self.tip)
        row.description, row.tooltip = self.name, self.name if not isinstance(tips, str) else tips
        row.tooltips = [tips] * len(row.options) if isinstance(tips, str) else list(tips)
        row.style.button_width, row.style.description_width = "auto", f"{0.55 * len(self.name) + 1.2:.1f}em"
        row.layout.display, row.layout.margin = "flex", "2px 12px 2px 2px"  # else the name has a line of its own
        return row


class IntRange(Control):
    """A slider over whole numbers from `low` to `high`; `readout` shows the number beside it."""

    def __init__(
        self,
        name: str,
        low: int | Given,
        high: int | Given,
        value: object,
        tip: str,
        *,
        step: int = 1,
        readout: bool = True,
        width: str = "24em",
    ) -> None:
        super().__init__(name, tip, value, width=width)
        self.low, self.high, self.step, self.readout = low, high, step, readout

    def build(self, lab: Host) -> widgets.IntSlider:
        """Make the widget."""
        value, low, high = (of(lab, given) for given in (self.value, self.low, self.high))
        return widgets.IntSlider(value, low, high, self.step, readout=self.readout)


class Text(Control):
    """A line to write in."""

    def build(self, lab: Host) -> widgets.Text:
        """Make the widget."""
        return widgets.Text(of(lab, self.value) or "")


class Note(Control):
    """A text that the lab writes itself, plain unless it is to be shown as HTML."""

    shown_by_look = False

    def __init__(self, *, as_html: bool = False, width: str = "auto") -> None:
        super().__init__("", "", width=width)
        self.as_html = as_html

    def __set__(self, lab: Host, value: str) -> None:
        """Write the text."""
        lab.controls[self.attribute].value = value if self.as_html else html.escape(value)

    def build(self, lab: Host) -> widgets.HTML:
        """Make the widget."""
        return widgets.HTML()


def close_all(widget: widgets.Widget) -> None:
    """Close a widget and all that is in it."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    widget.close()
