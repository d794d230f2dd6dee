"""What all labs share: controls, a sentence, a picture, and errors that are shown."""

import html
from collections.abc import Sequence

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.display import as_image


class Lab:
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
        self.text, self.picture = widgets.HTML(), widgets.HTML()
        for control in controls:
            control.observe(self._update, "value")
        self._draw()
        self.widget = widgets.VBox([*controls, self.text, self.picture])

    def look(self) -> tuple[Figure, str]:
        """Return the picture for the controls' present values, and the sentence that says what it shows."""
        raise NotImplementedError(f"{type(self).__name__} has no method `look` that says what is to be seen.")

    def _update(self, _change: object) -> None:
        """Draw anew; an error is shown in the lab and raised as well, never swallowed."""
        try:
            self._draw()
        except Exception as error:
            self.text.value = f"<p><b>The lab stopped: {html.escape(str(error))}.</b> Run the cell again.</p>"
            raise

    def _draw(self) -> None:
        figure, sentence = self.look()
        self.text.value = f"<p>{html.escape(sentence)}</p>"
        self.picture.value = as_image(figure, sentence)
