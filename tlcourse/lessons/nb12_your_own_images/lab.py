"""The lab of notebook 12, the photo desk: give a classifier pictures, change them, and see what it says."""

import html
from collections.abc import Callable

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.lessons.nb12_your_own_images.camera import Camera
from tlcourse.lessons.nb12_your_own_images.figures import draw_answers, draw_frame, draw_seen
from tlcourse.lessons.nb12_your_own_images.sights import Changes, Sight, Sights, compute_answers
from tlcourse.lessons.nb12_your_own_images.tray import Tray
from tlcourse.notebook.controls import close_all, slider
from tlcourse.notebook.handmade_lab import HandmadeLab
from tlcourse.notebook.lab import page
from tlcourse.photos.classifier import Answer, Classifier
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import PhotoError

TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
MOST_NAMED = 10
FIRST_NOTE = (
    "What you give stays on the machine that runs this notebook. One upload may have about 10 MB; larger archives are "
    "better unpacked into a folder."
)
SIZE = (9.3, 3.3)
PLACES = ((0.005, 0.03, 0.3, 0.8), (0.325, 0.03, 0.28, 0.8), (0.635, 0.16, 0.335, 0.72))


class DeskLab(HandmadeLab):
    """Pictures to choose, sliders, the picture, what the network sees of it, and what it answers.

    Args:
        classifier: whom to ask.
        examples: photographs to begin with, or None.

    Attributes:
        tray: the pictures.
        upload: takes pictures and zip archives.
        camera: takes pictures with the computer's camera.
        note: what was said about the last upload.
    """

    def __init__(self, classifier: Classifier, examples: PhotoSet | None = None) -> None:
        self.classifier, self.sights = classifier, Sights(classifier)
        self.tray = Tray(classifier.classes, examples, 2 * classifier.preprocessing.resize)
        self._make_sources()
        self._make_sliders()
        super().__init__([self.choice, self.named, self.limit, self.heat, self.turned, self.light, self.kept])
        first = _row([self.upload, self.camera.button, self.choice, self.camera.field])
        rows = [self.named, self.limit, self.heat, self.turned, self.light, self.kept]
        grid = widgets.GridBox(rows, layout={"grid_template_columns": "repeat(3, minmax(0, 1fr))"})
        self.text.layout = {"min_height": "48px"}  # so that the picture stays where it is
        self.widget.children = (first, self.note, grid, self.text, self.picture)

    def look(self) -> tuple[Figure, str]:
        """Return the picture with its answers, and the sentence; a picture that cannot be read is told, not raised."""
        number, changes = self.choice.value, Changes(self.turned.value, self.light.value, self.kept.value)
        shown = self.tray.prints[number]
        try:
            sight = self.sights.of(number, lambda: self.tray.open(number), changes)
        except PhotoError as error:
            return _empty(), f"This picture cannot be shown: {error}"
        answers = compute_answers(sight.scores, self.classifier.classes, self.heat.value, self.named.value)
        limit = self.limit.value / 100
        sentence = describe_answers(shown.name, shown.label, answers, limit)
        words = changes.words()
        return draw_desk(
            sight, answers, limit, self.classifier
        ), f"{sentence} The picture is {words}." if words else sentence

    def close(self) -> None:
        """Remove unpacked archives, and take the lab and all its controls off the page."""
        self.tray.close()
        close_all(self.widget)

    def _make_sources(self) -> None:
        self.upload = widgets.FileUpload(accept="image/*,.zip,.heic", multiple=True, description="Upload")
        self.upload.tooltip = "pictures, or a zip archive of pictures; a telephone offers its camera too"
        self.upload.layout.width = "130px"
        self.upload.observe(self._uploaded, "value")
        self.camera = Camera(self._snapped)
        self.choice = widgets.Dropdown(options=self._names(), value=0, description="picture", tooltip="which picture")
        self.choice.style.description_width, self.choice.layout.width = "initial", "24em"
        self.note = widgets.HTML(layout={"height": "40px", "overflow": "hidden auto", "margin": "0 4px"})
        self._say(FIRST_NOTE)

    def _make_sliders(self) -> None:
        count, own = len(self.classifier.classes), self.classifier.temperature
        options = sorted({*TEMPERATURES, own})
        texts = {t: f"{t:.2f} ✓" if t == own else f"{t:g}" for t in options}
        self.named = widgets.IntSlider(min(3, count), 1, min(MOST_NAMED, count), description="classes named")
        self.named.tooltip = "how many classes are named, the most probable first"
        self.limit = widgets.IntSlider(60, 0, 100, 5, description="unsure below (%)")
        self.limit.tooltip = "where the highest probability is lower, it says: I am not sure"
        self.heat = slider(
            options, own, "temperature", "all scores are divided by it; ✓ marks what was fitted on validation"
        )
        self.heat.options, self.heat.value = [(texts[t], t) for t in options], own
        self.turned = widgets.IntSlider(0, -180, 180, 15, description="turn (degrees)")
        self.turned.tooltip = "turns the picture, counter-clockwise, before it is prepared"
        self.light = widgets.IntSlider(100, 20, 200, 10, description="brightness (%)")
        self.light.tooltip = "100 leaves it as it is"
        self.kept = widgets.IntSlider(100, 20, 100, 5, description="middle kept (%)")
        self.kept.tooltip = "cuts the picture about its middle; percent of height and width"
        for control in (self.named, self.limit, self.heat, self.turned, self.light, self.kept):
            control.style.description_width, control.layout.width = "9.2em", "100%"

    def _names(self) -> list[tuple[str, int]]:
        return [(f"{place + 1}. {one.name}", place) for place, one in enumerate(self.tray.prints)]

    def _say(self, sentence: str) -> None:
        self.note.value = f'<div style="line-height: 1.4; overflow-wrap: anywhere">{html.escape(sentence)}</div>'

    def _uploaded(self, change: dict) -> None:
        if change["new"]:
            self._take(lambda: self.tray.add_uploads(change["new"]))
            self.upload.value = ()  # the same file may come again, and the widget keeps no copy

    def _snapped(self, address: str) -> None:
        self._take(lambda: self.tray.add_snapshot(address))

    def _take(self, add: Callable[[], str]) -> None:
        """Add pictures, say what became of them, and show the first new one."""
        try:
            before = len(self.tray)
            self._say(add())
            if len(self.tray) > before:
                chosen = self.choice.value
                with self.choice.hold_sync():
                    self.choice.unobserve(self._update, "value")
                    self.choice.options, self.choice.value = self._names(), chosen
                    self.choice.observe(self._update, "value")
                    self.choice.value = before
        except Exception as error:
            self._complain(error)
            raise


def draw_desk(sight: Sight, answers: list[Answer], limit: float, classifier: Classifier) -> Figure:
    """Draw the picture with a frame, what the network sees, and its answers.

    Args:
        sight: the picture.
        answers: names and probabilities, the highest first.
        limit: the probability below which the classifier is not sure.
        classifier: who answered.

    Returns:
        The figure.
    """
    figure, (left, middle, right) = page(SIZE, *PLACES)
    draw_frame(left, sight.picture, classifier.preprocessing)
    draw_seen(middle, sight.prepared, classifier.preprocessing)
    draw_answers(right, answers, limit)
    sure = answers[0].probability >= limit
    right.set_title("what it says" if sure else "it is not sure", fontsize=12)
    return figure


def describe_answers(name: str, label: str | None, answers: list[Answer], limit: float) -> str:
    """Say what a classifier thinks of a picture.

    Args:
        name: of the picture.
        label: its class, or None where nobody said.
        answers: names and probabilities, the highest first.
        limit: the probability below which the classifier is not sure.

    Returns:
        One to three sentences.
    """
    first, share = answers[0]
    if share >= limit:
        said = f"{name}: this is {first}, with {100 * share:.1f} %."
    else:
        said = f"{name}: I am not sure. {first} comes first with {100 * share:.1f} %, below {100 * limit:.0f} %."
    if len(answers) > 1:
        said += f" Next: {', '.join(f'{other} {100 * p:.1f} %' for other, p in answers[1:3])}."
    if label is not None:
        said += " That is right." if label == first else f" In truth it is {label}."
    return said


def photo_desk(classifier: Classifier, examples: PhotoSet | None = None) -> widgets.Widget:
    """Return the lab as one widget.

    Args:
        classifier: whom to ask.
        examples: photographs to begin with, best of those that nothing was learned from; None begins with a blank one.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return DeskLab(classifier, examples).widget


def _row(controls: list[widgets.Widget]) -> widgets.HBox:
    return widgets.HBox(controls, layout={"flex_flow": "row wrap", "align_items": "center", "overflow": "visible"})


def _empty() -> Figure:
    figure, (ax,) = page(SIZE, (0.02, 0.05, 0.96, 0.9))
    ax.text(0.5, 0.5, "no picture to show: see the sentence above", ha="center", fontsize=13)
    ax.set_axis_off()
    return figure
