"""A panel for notebook 00: what was done so far in all notebooks, looked up anew at the press of a button."""

import html

import ipywidgets as widgets

from tlcourse.exercises.progress import progress_file
from tlcourse.lessons.progress_report import ProgressCard


class ProgressPanel:
    """A table of all notebooks with a button below; `widget` is both."""

    def __init__(self) -> None:
        self.table = widgets.HTML()
        self.refresh = widgets.Button(description="Look again", tooltip="Read the progress file again")
        self.refresh.on_click(self._update)
        self._update()
        self.widget = widgets.VBox([self.table, self.refresh])

    def _update(self, _button: widgets.Button | None = None) -> None:
        """Read the file; what is wrong with it is shown, for it must not stop the notebook."""
        path = progress_file()
        where = f"Kept in {path}" if path else "Progress is not kept: TLCOURSE_PROGRESS is off"
        try:
            card = ProgressCard()._repr_html_()
        except OSError as error:
            card = f"<p><b>{html.escape(str(error))}</b></p>"
        self.table.value = f"{card}<p>{html.escape(where)}.</p>"


def progress_panel() -> widgets.Widget:
    """Return the panel, to be shown as the last line of a cell."""
    return ProgressPanel().widget
