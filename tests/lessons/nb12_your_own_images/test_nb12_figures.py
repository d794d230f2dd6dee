"""Pictures of notebook 12 show what they say."""

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.lessons.nb12_your_own_images import figures
from tlcourse.lessons.nb12_your_own_images.predictions import draw_answers
from tlcourse.notebook.display import as_image
from tlcourse.photos.evaluation import Evaluation
from tlcourse.training.checkpoint import History


@pytest.fixture
def axes():
    figure, axes = plt.subplots(1, 4)
    yield axes
    plt.close(figure)


class Photos:
    """Stands for a set of photographs."""

    def open(self, _number):
        return Image.new("RGB", (200, 100))


def evaluated(wrong=2):
    labels = torch.arange(10) % 3
    logits = 4.0 * torch.nn.functional.one_hot(labels, 3)
    for i in range(wrong):
        logits[i] = logits[i].roll(1)
    return Evaluation(logits, labels, ("kiwi", "a very long name of a fruit", "plum"))


def test_the_frame_holds_what_is_seen(axes):
    preprocessing, photo = Preprocessing(256, 224), Image.new("RGB", (640, 480))
    said = figures.draw_prepared(axes[:2], photo, preprocessing(photo), preprocessing)
    frame = axes[0].patches[0].get_bbox()
    assert frame.width == frame.height == pytest.approx(224 * 480 / 256)
    assert (frame.x0 + frame.x1) / 2 == pytest.approx(640 / 2 - 0.5)
    assert 100 * frame.width * frame.height / (640 * 480) == pytest.approx(57.4, abs=0.1)
    assert said == "A picture of 640 x 480 pixels, and the 224 x 224 that are seen."


def test_as_seen_undoes_the_normalisation():
    preprocessing = Preprocessing(40, 32)
    photo = Image.fromarray(torch.randint(256, (40, 40, 3), dtype=torch.uint8).numpy())
    back = figures.as_seen(preprocessing(photo), preprocessing)
    assert list(back.get_flattened_data()) == list(photo.crop((4, 4, 36, 36)).get_flattened_data())


def test_bars_and_their_limit(axes):
    ax = draw_answers(axes[0], [("a $5 bill, with a long name", 0.9), ("b", 0.1)], limit=0.95)
    assert ax.lines[0].get_xdata()[0] == 95
    assert ax.patches[0].get_hatch() == "///"
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([90, 10])
    assert ax.texts[0].get_text().startswith(r"a \$5 bill, wit")
    assert as_image(ax.figure, "Two bars, the first with 90 % and the second with 10 %.")


def test_an_evaluation_in_pictures_and_words(axes):
    said = figures.draw_evaluation(axes[:2], evaluated())
    assert "kiwi read as a very long name of a fruit (1 times)" in said
    assert "Calibration: by 16.5 points too sure" in said
    assert axes[0].get_xticklabels()[1].get_text() == "a very long nam…"
    assert axes[0].get_xticklabels()[0].get_rotation() == 45


@pytest.mark.parametrize("wrong", [0, 2])
def test_mistakes_are_drawn_and_axes_left_over_stay_empty(axes, wrong):
    said = figures.draw_mistakes(axes, Photos(), evaluated(wrong))
    assert [len(ax.images) for ax in axes] == [1] * wrong + [0] * (4 - wrong)
    assert not any(ax.axison for ax in axes)
    assert bool(axes[0].texts) is (wrong == 0)
    titles = sorted(ax.get_title() for ax in axes[:wrong])
    assert titles == (["a very lon…, 96 %\nis kiwi", "plum, 96 %\nis a very lon…"] if wrong else [])
    assert ("plum, 96 %, is a very lon…" if wrong else "no mistake") in said


def test_tuning_shows_the_probe_and_the_epoch_that_was_kept(axes):
    history = History([1.0, 0.5, 0.4], [1e-3] * 3, [0.9, 0.4, 0.5], [80.0, 95.0, 94.0], best_epoch=1)
    said = figures.draw_tuning(axes[0], history, 90.0)
    line, kept, probe = axes[0].lines
    assert list(line.get_ydata()) == [80.0, 95.0, 94.0]
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (2, 95.0)
    assert probe.get_ydata()[0] == 90.0
    assert "the probe 90.0 %" in said
    assert "in epoch 2, which had the lowest loss, 95.0 %" in said


def test_names_in_any_script_are_drawn_without_a_warning(axes):
    """Whatever fonts this machine has; pytest turns warnings into errors."""
    names = ("кошка", "猫", "γάτα", "قطة", "$5 \U0001f34e")
    draw_answers(axes[0], [(name, 0.2) for name in names], 0.5)
    logits = torch.eye(5).repeat(2, 1)
    figures.draw_evaluation(axes[1:3], Evaluation(logits, torch.arange(10) % 5, names))
    axes[0].figure.canvas.draw()
    shown = [text.get_text().split("  ")[0] for text in axes[0].texts]
    assert shown[0] == "кошка"
    assert shown[1] in ("猫", "?")
    assert shown[4].startswith(r"\$5")
