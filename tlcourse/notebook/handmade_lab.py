"""The base of labs that are not declared yet: see `lab.py`."""

import html
import threading
from collections.abc import Sequence

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.notebook.display import as_image


class HandmadeLab:
    """Controls with a sentence and a picture below, both made anew whenever a control moves.

    A lab of the course derives from this, sets what it needs, calls `super().__init__(controls)` last, and says in
    `look` what is to be seen.

    Args:
        controls: widgets with a `value`, in the order in which they are shown.

    Attributes:
        text: the sentence.
        picture: the picture.
        widget: all of it, to be shown as the last line of a cell.
    """

    def __init__(self, controls: Sequence[widgets.Widget]) -> None:
        self.controls = list(controls)
        self.text, self.picture = widgets.HTML(), widgets.HTML()
        self._drawing = threading.RLock()  # a training on its own thread draws too
        for control in controls:
            control.observe(self._update, "value")
        self._draw()
        self.widget = widgets.VBox([*controls, self.text, self.picture])
        self.widget.add_class("tlcourse-lab")  # by this name the browser tests find it

    def look(self) -> tuple[Figure, str]:
        """Return the picture for the controls' present values, and the sentence that says what it shows."""
        raise NotImplementedError(f"{type(self).__name__} has no method `look` that says what is to be seen.")

    def _update(self, _change: object) -> None:
        """Draw anew; an error is shown in the lab and raised as well, never swallowed."""
        try:
            self._draw()
        except Exception as error:
            self._complain(error)
            raise

    def _draw(self) -> None:
        with self._drawing:
            figure, sentence = self.look()
            self.text.value = f'<p style="line-height: 1.4">{html.escape(sentence)}</p>'
            self.picture.value = as_image(figure, sentence, quick=True)

    def _complain(self, error: BaseException) -> None:
        self.text.value = f"<p><b>The lab stopped: {html.escape(str(error))}.</b> Run the cell again.</p>"
