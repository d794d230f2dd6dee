"""A button for the camera of the computer that shows the notebook, made of plain widgets."""

from collections.abc import Callable

import ipywidgets as widgets

CHANNEL = "tlcourse-snapshot"  # class of the hidden text field through which a picture comes
# The first press asks for the camera and shows what it sees, the second takes the picture. The browser gives cameras
# only to pages from this machine or with https; where it does not, or where nobody allows it, the button says so.
PRESS = """
const button = this, place = button.parentElement;
const said = place.querySelector('span'), film = place.querySelector('video');
const field = button.closest('.tlcourse-lab').querySelector('.tlcourse-snapshot textarea');
const off = () => {
  (film.srcObject ? film.srcObject.getTracks() : []).forEach(track => track.stop());
  film.srcObject = null; film.style.display = 'none'; button.textContent = 'Camera';
};
said.textContent = '';
if (film.srcObject) {
  const page = document.createElement('canvas');
  page.width = film.videoWidth; page.height = film.videoHeight;
  page.getContext('2d').drawImage(film, 0, 0);
  field.value = page.toDataURL('image/jpeg', 0.92);
  ['input', 'change'].forEach(kind => field.dispatchEvent(new Event(kind, {bubbles: true})));
  off();
} else if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
  said.textContent = 'This page may not use a camera; Upload can.';
} else {
  button.textContent = 'asking ...';
  navigator.mediaDevices.getUserMedia({video: true}).then(stream => {
    film.srcObject = stream; film.style.display = 'block'; button.textContent = 'Take it';
    return film.play();
  }).catch(error => { off(); said.textContent = 'No camera: ' + error.message; });
}
"""


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
