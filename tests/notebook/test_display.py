"""Pictures and tables, without a screen."""

import base64
import io
import itertools
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tlcourse.notebook import display
from tlcourse.notebook.figures import COLOURS, MARKERS, draw_images

ALT = "a picture that shows something to everybody"


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr(display, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def test_a_figure_carries_its_text_and_is_closed(shown):
    figure, axes = plt.subplots(figsize=(4, 2))
    axes.plot([1, 2])
    display.show(figure, 'accuracy of "scratch" & others: it rises')
    (bundle,) = shown
    assert 'alt="accuracy of &quot;scratch&quot; &amp; others: it rises"' in bundle["text/html"]
    assert bundle["text/plain"] == '[figure: accuracy of "scratch" & others: it rises]'
    assert not plt.fignum_exists(figure.number)
    png = base64.b64decode(re.search(r"base64,([^\"]+)", bundle["text/html"])[1])
    assert np.asarray(Image.open(io.BytesIO(png)).convert("L")).std() > 0


def test_a_figure_without_a_text_is_refused(ax):
    with pytest.raises(ValueError, match="Expected a sentence that says what the picture shows"):
        display.show(ax.figure, "plot")


def test_a_table_is_html_and_text(shown):
    display.show_table(["start", "accuracy"], [["scratch", 55.4], ["<b>", 9]], "Accuracy in percent")
    (bundle,) = shown
    assert "<caption" in bundle["text/html"]
    assert "&lt;b&gt;" in bundle["text/html"]
    assert bundle["text/plain"].splitlines() == [
        "Accuracy in percent",
        "start    accuracy",
        "scratch      55.4",
        "<b>             9",
    ]


def test_a_table_with_a_short_row_is_refused():
    with pytest.raises(ValueError, match="the header has 2 columns"):
        display.show_table(["a", "b"], [["a"]], "")


def test_a_frame_shows_its_intervals_in_one_column(shown):
    nan = float("nan")
    columns = ["start", "per_class", "trained", "seconds", "mean", "low", "high", "n"]
    rows = [["scratch", 5, 309114, 2.25, 55.44, 51.0, 60.0, 10], ["probe", 10, 1290, nan, nan, nan, nan, 0]]
    display.show_frame(pd.DataFrame(rows, columns=columns), "Accuracy in percent")
    assert shown[0]["text/plain"].splitlines() == [
        "Accuracy in percent",
        "start    labels per class  trained  seconds  mean [95 % interval]",
        "scratch                 5  309,114      2.2     55.4 [51.0, 60.0]",
        "probe                  10    1,290        –                     –",
    ]


def test_open_is_said_once_and_a_caption_keeps_its_line(shown):
    rows = [{"against": "probe", "mean": 0.5, "low": -1.0, "high": 2.0, "n": 5, "verdict": "open"}]
    display.show_frame(rows, "Fine-tuned minus another, points")
    (bundle,) = shown
    assert bundle["text/plain"].splitlines() == [
        "Fine-tuned minus another, points",
        "against  mean [95 % interval]  verdict",
        "probe         0.5 [-1.0, 2.0]     open",
    ]
    assert re.search(r"<caption style=\"[^\"]*white-space: nowrap\">Fine-tuned", bundle["text/html"])


def test_images_are_drawn_where_they_belong(ax):
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    images[2] = 200
    assert draw_images(ax, images, columns=2, captions=["a", "b", "c"]) is ax
    page = ax.images[0].get_array()
    assert page[:8, :8].max() == 0
    assert (page[10:18, :8] == 200).all()
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]


def luminance(colour):
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_can_be_told_apart_without_colour():
    levels = sorted(luminance(colour) for colour in COLOURS.values())
    assert all((b + 0.05) / (a + 0.05) > 1.3 for a, b in itertools.pairwise(levels))
    assert len(set(MARKERS.values())) == len(COLOURS)
