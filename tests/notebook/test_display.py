"""Pictures and tables, without a screen."""

import base64
import io
import itertools
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

mpl.use("agg")

from tlcourse.lessons import plots
from tlcourse.notebook import display
from tlcourse.notebook.tables import read_trials, scores
from tlcourse.training.checkpoint import History
from tlcourse.training.starts import STARTS

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


def test_images_are_drawn_where_they_belong(ax):
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    images[2] = 200
    assert plots.draw_images(ax, images, columns=2, captions=["a", "b", "c"]) is ax
    page = ax.images[0].get_array()
    assert page[:8, :8].max() == 0
    assert (page[10:18, :8] == 200).all()
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]


def test_seeds_shows_every_seed_and_every_mean(ax):
    trials = read_trials()
    plots.draw_seeds(ax, trials, 5)
    drawn = [points.get_offsets()[:, 1].data for points in ax.collections if len(points.get_offsets()) == 10]
    assert len(drawn) == 3
    for start, values in zip(STARTS, drawn, strict=True):
        assert values == pytest.approx(scores(trials, start, 5))
        assert f"{np.mean(values):.0f} %" in [text.get_text() for text in ax.texts]
    assert "%" in ax.get_ylabel()


def test_curve_draws_the_means_and_the_live_points(ax):
    trials = read_trials()
    live = [trial for trial in trials if trial.per_class == 10 and trial.seed < 3]
    plots.draw_curve(ax, trials, live)
    line = next(line for line in ax.lines if line.get_label() == "fine-tuned")
    assert line.get_xdata().tolist() == [1, 2, 5, 10, 20, 50]
    assert line.get_ydata()[2] == pytest.approx(np.mean(scores(trials, "fine-tuned", 5)))
    assert sum(line.get_markersize() == 15 for line in ax.lines) == 4  # three means, one in the legend
    assert ax.get_xlabel() and "%" in ax.get_ylabel()  # noqa: PT018


def test_curve_in_words_gives_the_gain():
    trials = read_trials()
    gain = np.mean(scores(trials, "fine-tuned", 5)) - np.mean(scores(trials, "scratch", 5))
    assert f"{gain:+.0f} points with 5" in plots.describe_curve(trials)


def test_history_has_units(ax):
    plots.draw_history(ax, {"scratch": History(train_loss=[2.0, 1.0]), "fine-tuned": History(train_loss=[1.0, 0.5])})
    assert ax.get_ylabel() == "training loss (nats)"
    assert ax.lines[1].get_ydata().tolist() == [1.0, 0.5]


def test_history_in_words():
    text = plots.describe_history({"scratch": History(train_loss=[2.25, 1.0])})
    assert text == "Training loss of every epoch: scratch from 2.25 to 1.00."


def luminance(colour):
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_can_be_told_apart_without_colour():
    levels = sorted(luminance(colour) for colour in plots.COLOURS.values())
    assert all((b + 0.05) / (a + 0.05) > 1.3 for a, b in itertools.pairwise(levels))
    assert len(set(plots.MARKERS.values())) == len(plots.COLOURS)
