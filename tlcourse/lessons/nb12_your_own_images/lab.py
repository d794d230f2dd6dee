"""The lab of notebook 12: give a classifier pictures, change them, and see what it predicts."""

import functools
import html
from collections.abc import Callable

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.lessons.nb12_your_own_images.camera import Camera
from tlcourse.lessons.nb12_your_own_images.figures import draw_prepared
from tlcourse.lessons.nb12_your_own_images.gallery import Gallery
from tlcourse.lessons.nb12_your_own_images.predictions import (
    Changes,
    compute_answers,
    compute_sight,
    describe_answers,
    draw_answers,
)
from tlcourse.notebook.controls import Dropdown, IntRange, Slider
from tlcourse.notebook.lab import Columns, Lab, page
from tlcourse.photos.classifier import Classifier
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import PhotoError

TEMPERATURES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
MOST_NAMED = 10
KEPT_SIGHTS = 60  # so that a control that only changes words asks the network no second time
FIRST_NOTE = (
    "What you give stays on the machine that runs this notebook. One upload may have about 10 MB; larger archives are "
    "better unpacked into a folder."
)
SIZE = (9.3, 3.3)  # inches
PLACES = ((0.005, 0.03, 0.3, 0.8), (0.325, 0.03, 0.28, 0.8), (0.635, 0.16, 0.335, 0.72))


class PredictionLab(Lab):
    """Pictures to choose, upload or take; sliders; the picture, what the network sees of it, and what it predicts.

    Examples are best photographs that nothing was learned from; without any it begins with a blank picture.
    """

    number = Dropdown("picture", lambda lab: lab.gallery.names(), 0, "which picture")
    named = IntRange(
        "classes named",
        1,
        lambda lab: min(MOST_NAMED, len(lab.classifier.classes)),
        lambda lab: min(3, len(lab.classifier.classes)),
        "how many classes are named, the most probable first",
    )
    limit = IntRange(
        "unsure below (%)", 0, 100, 60, "where the highest probability is lower, it says: I am not sure", step=5
    )
    temperature = Slider(
        "temperature",
        lambda lab: lab.temperatures(),
        lambda lab: lab.classifier.temperature,
        "all scores are divided by it; ✓ marks what was fitted on validation",
    )
    turned = IntRange(
        "turn (degrees)", -180, 180, 0, "turns the picture, counter-clockwise, before it is prepared", step=15
    )
    brightness = IntRange("brightness (%)", 20, 200, 100, "100 leaves it as it is", step=10)
    kept = IntRange(
        "middle kept (%)", 20, 100, 100, "cuts the picture about its middle; percent of height and width", step=5
    )
    rows = (
        ("upload", "camera_button", "number", "camera_field"),
        "note",
        Columns(3, ("named", "limit", "temperature", "turned", "brightness", "kept"), "9.2em"),
    )

    def __init__(self, classifier: Classifier, examples: PhotoSet | None = None) -> None:
        self.classifier = classifier
        self.gallery = Gallery(classifier.classes, examples, 2 * classifier.preprocessing.resize)
        self.sight = functools.lru_cache(KEPT_SIGHTS)(
            lambda number, changes: compute_sight(classifier, self.gallery.open(number), changes)
        )
        self.upload = widgets.FileUpload(accept="image/*,.zip,.heic", multiple=True, description="Upload")
        self.upload.tooltip = "pictures, or a zip archive of pictures; a telephone offers its camera too"
        self.upload.layout.width = "130px"
        self.upload.observe(self._uploaded, "value")
        camera = Camera(lambda address: self._take(lambda: self.gallery.add_snapshot(address)))
        self.camera_button, self.camera_field = camera.button, camera.field
        self.note = widgets.HTML(layout={"height": "40px", "overflow": "hidden auto", "margin": "0 4px"})
        self._remark(FIRST_NOTE)
        super().__init__()
        self.sentence.layout.min_height = "48px"  # so that the picture stays where it is

    def temperatures(self) -> dict[str, float]:
        """Return the temperatures to choose from, the fitted one marked."""
        own = self.classifier.temperature
        return {f"{t:.2f} ✓" if t == own else f"{t:g}": t for t in sorted({*TEMPERATURES, own})}

    def look(
        self, number: int, named: int, limit: int, temperature: float, turned: int, brightness: int, kept: int
    ) -> tuple[Figure, str]:
        """Return the picture with its predictions, and the sentence; one that cannot be read is told, not raised."""
        shown, changes = self.gallery.pictures[number], Changes(turned, brightness, kept)
        try:
            sight = self.sight(number, changes)
        except PhotoError as error:
            return _empty(), f"This picture cannot be shown: {error}"
        answers = compute_answers(sight.logits, self.classifier.classes, temperature, named)
        figure, (*pictures, bars) = page(SIZE, *PLACES)
        draw_prepared(pictures, sight.picture, sight.prepared, self.classifier.preprocessing)
        draw_answers(bars, answers, limit / 100)
        sentence = describe_answers(shown.name, shown.label, answers, limit / 100)
        return figure, f"{sentence} The picture is {changes}." if str(changes) else sentence

    def close(self, seconds: float = 5.0) -> bool:
        """Remove unpacked archives, and close all widgets."""
        self.gallery.close()
        return super().close(seconds)

    def _remark(self, sentence: str) -> None:
        self.note.value = f'<div style="line-height: 1.4; overflow-wrap: anywhere">{html.escape(sentence)}</div>'

    def _uploaded(self, change: dict) -> None:
        if change["new"]:
            self._take(lambda: self.gallery.add_uploads(change["new"]))
            self.upload.value = ()  # the same file may come again, and the widget keeps no copy

    def _take(self, add: Callable[[], str]) -> None:
        """Add pictures, say what became of them, and show the first new one."""
        chooser, before = self.controls["number"], len(self.gallery)
        with self.errors_shown():
            self._remark(add())
            if len(self.gallery) > before:
                with self.at_once(), chooser.hold_sync():
                    chooser.options, chooser.value = tuple(self.gallery.names().items()), before


def _empty() -> Figure:
    figure, (ax,) = page(SIZE, (0.02, 0.05, 0.96, 0.9))
    ax.text(0.5, 0.5, "no picture to show: see the sentence above", ha="center", fontsize=13)
    ax.set_axis_off()
    return figure
