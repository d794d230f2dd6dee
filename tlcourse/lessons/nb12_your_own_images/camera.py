"""A button for the camera of the computer that shows the notebook, made of plain widgets."""

from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets

CHANNEL = "tlcourse-snapshot"  # class of the hidden text field through which a picture comes
# The first press asks for the camera and shows what it sees, the second takes the picture. The browser gives cameras
# only to pages from this machine or with https; where it does not, or where nobody allows it, the button says so.
PRESS = Path(__file__).with_name("camera.js").read_text(encoding="utf-8")


class Camera:
    """A `button`, to be shown inside a lab, and a hidden text `field`, anywhere in it, that the button writes into.

    `taken` is called with a data address, `data:image/jpeg;base64,...`, for every picture.
    """

    def __init__(self, taken: Callable[[str], None]) -> None:
        self._taken = taken
        self.button = widgets.HTML(_page(), layout={"margin": "2px", "overflow": "visible"})
        self.field = widgets.Textarea(layout={"display": "none"})
        self.field.add_class(CHANNEL)
        self.field.observe(self._arrived, "value")

    def _arrived(self, change: dict) -> None:
        """Hand a picture on, and empty the field: the next one may be the same."""
        if change["new"]:
            self.field.value = ""
            self._taken(change["new"])


def _page() -> str:
    """Return the button as HTML; the picture that the camera sees floats, so that nothing jumps."""
    code = PRESS.replace('"', "&quot;").replace("\n", " ")
    tip = "take a picture with the camera of this computer: press, look, press again"
    film = "display: none; position: absolute; z-index: 20; top: 34px; left: 0; width: 300px; border: 2px solid #0072B2"
    return (
        '<div style="position: relative; line-height: 28px">'
        f'<button class="jupyter-widgets jupyter-button widget-button" style="width: 84px" title="{tip}" '
        f'onclick="{code}">Camera</button> <span></span>'
        f'<video style="{film}" muted playsinline></video></div>'
    )
