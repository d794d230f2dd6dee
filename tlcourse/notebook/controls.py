"""Controls of labs: each with a name that is not cut off, and a tip; buttons whose errors are seen."""

from collections.abc import Callable, Sequence

import ipywidgets as widgets


def buttons(options: Sequence, name: str, tip: str, value: object = None) -> widgets.ToggleButtons:
    """Return buttons of which one is pressed; the first, unless a value is given."""
    row = widgets.ToggleButtons(options=options, value=options[0] if value is None else value, description=name)
    row.style.button_width, row.style.description_width = "auto", f"{0.5 * len(name) + 1:.1f}em"
    row.layout.display, row.layout.margin = "flex", "2px 12px 2px 2px"  # else the name has a line of its own
    row.tooltip, row.tooltips = tip, [tip] * len(options)
    return row


def dropdown(options: Sequence, value: object, name: str, tip: str) -> widgets.Dropdown:
    """Return a list to choose from."""
    chooser = widgets.Dropdown(options=options, value=value, description=name, tooltip=tip)
    chooser.style.description_width, chooser.layout.width = "initial", "19em"
    return chooser


def slider(options: Sequence, value: object, name: str, tip: str, form: str = "{}") -> widgets.SelectionSlider:
    """Return a slider over a few values, shown in a form such as `"{:.2f}"`."""
    pairs = [(form.format(option), option) for option in options]
    bar = widgets.SelectionSlider(options=pairs, value=value, description=name, tooltip=tip)
    bar.style.description_width, bar.layout.width = "initial", "24em"
    return bar


def counter(most: int, name: str, tip: str) -> widgets.IntSlider:
    """Return a slider from 1 to `most`."""
    bar = widgets.IntSlider(1, 1, most, description=name)
    bar.tooltip, bar.style.description_width, bar.layout.width = tip, "initial", "24em"
    return bar


def relabel(chooser: widgets.Dropdown, labels: Sequence[str]) -> None:
    """Give the options, which are numbers from 0, other texts; the choice stays."""
    options = tuple((label, number) for number, label in enumerate(labels))
    if chooser.options != options:
        chosen = chooser.value
        with chooser.hold_sync():
            chooser.options = options
            chooser.value = chosen


def button(
    name: str, action: Callable[[], None], tip: str, width: int, complain: Callable[[Exception], None]
) -> widgets.Button:
    """Make a button whose errors are shown and raised; ipywidgets alone would keep them to its log.

    Args:
        name: what stands on it.
        action: what a press does.
        tip: what it says when pointed at.
        width: in pixels.
        complain: shows an error.

    Returns:
        The button.
    """

    def press(_button: widgets.Button) -> None:
        try:
            action()
        except Exception as error:
            complain(error)
            raise

    made = widgets.Button(description=name, tooltip=tip, layout={"width": f"{width}px"})
    made.on_click(press)
    return made


def close_all(widget: widgets.Widget) -> None:
    """Close a widget and all that is in it."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    widget.close()
