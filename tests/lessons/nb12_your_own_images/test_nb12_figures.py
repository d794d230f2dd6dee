"""Pictures of notebook 12 show what they say."""

import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.lessons.nb12_your_own_images import figures
from tlcourse.lessons.nb12_your_own_images.predictions import draw_answers
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.display import as_image
from tlcourse.photos.evaluation import Evaluation
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import COURSE_PREPROCESSING
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.recipe import PhotoRecipe


@pytest.fixture
def axes():
    figure, axes = plt.subplots(1, 4)
    yield axes
    plt.close(figure)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirty pictures of one colour each, of three classes."""
    folder, paths = tmp_path_factory.mktemp("photos"), []
    for i in range(30):
        paths.append(folder / f"{i}.png")
        Image.new("RGB", (64, 48), (8 * i, 100, 255 - 8 * i)).save(paths[-1])
    names = ("kiwi", "a very long name of a fruit", "plum")
    photos = PhotoSet(tuple(paths), torch.arange(30) % 3, names, torch.arange(30))
    return open_photos(photos, COURSE_PREPROCESSING, progress=False)


def evaluated(photos, wrong=2):
    logits = 4.0 * torch.nn.functional.one_hot(photos.labels, 3)
    for i in range(wrong):
        logits[i] = logits[i].roll(1)
    return Evaluation(logits, photos.labels, photos.classes)


def test_the_frame_holds_what_is_seen_and_stands_only_where_something_is_cut(axes):
    preprocessing, photo = Preprocessing(256, 224), Image.new("RGB", (640, 480))
    said = figures.draw_prepared(axes[:2], photo, preprocessing(photo), preprocessing)
    frame = axes[0].patches[0].get_bbox()
    assert frame.width == frame.height == pytest.approx(224 * 480 / 256)
    assert (frame.x0 + frame.x1) / 2 == pytest.approx(640 / 2 - 0.5)
    assert said == "A picture of 640 x 480 pixels; 57 % of it is seen, in 224 x 224."
    square = Image.new("RGB", (32, 32))
    assert "100 % of it" in figures.draw_prepared(axes[2:], square, COURSE_PREPROCESSING(square), COURSE_PREPROCESSING)
    assert not axes[2].patches
    assert axes[2].get_title() == "the picture; all of it is seen"


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


@pytest.mark.parametrize("wrong", [0, 1, 3])
def test_mistakes_stand_above_their_maps_and_nothing_is_left_over(photos, wrong):
    figure, said = figures.mistakes_figure(TinyResNet(3), photos, evaluated(photos, wrong))
    assert as_image(figure, said)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    if wrong:
        assert [len(ax.images) for ax in figure.axes][:wrong] == [1] * wrong
        assert sum(len(ax.images) == 2 for ax in figure.axes) == 2 * wrong  # a map over the picture
        assert "a very lon…, 96 %\nis kiwi" in titles
        assert "a very lon…, 96 %, is kiwi" in said
    else:
        assert titles == ["no mistake among the test photographs"]


def test_labels_that_are_not_plausible_and_views_are_shown_with_their_photographs(photos):
    for figure, said in (
        figures.losses_figure(TinyResNet(3), photos),
        figures.views_figure(photos, PhotoRecipe(), views=3),
        figures.photos_figure(photos.photos),
    ):
        assert all(ax.images and ax.get_title() for ax in figure.axes)
        assert as_image(figure, said)


def test_names_in_any_script_are_drawn_without_a_warning(axes):
    """Whatever fonts this machine has; pytest turns warnings into errors."""
    names = ("кошка", "猫", "γάτα", "قطة", "$5 \U0001f34e")
    draw_answers(axes[0], [(name, 0.2) for name in names], 0.5)
    figure, _ = figures.evaluation_figure(Evaluation(torch.eye(5).repeat(2, 1), torch.arange(10) % 5, names))
    for drawn in (axes[0].figure, figure):
        drawn.canvas.draw()
    shown = [text.get_text().split("  ")[0] for text in axes[0].texts]
    assert shown[0] == "кошка"
    assert shown[1] in ("猫", "?")
    assert shown[4].startswith(r"\$5")
