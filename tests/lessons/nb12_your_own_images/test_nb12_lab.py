"""The photo desk, without a screen: every control to both ends and the middle, uploads of all kinds, and pictures."""

import base64
import datetime
import io
import re
import zipfile

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.lessons.nb12_your_own_images import figures as pictures
from tlcourse.lessons.nb12_your_own_images import sights as photo_sights
from tlcourse.lessons.nb12_your_own_images import tray as photo_tray
from tlcourse.lessons.nb12_your_own_images.camera import Camera
from tlcourse.lessons.nb12_your_own_images.lab import DeskLab, describe_answers, photo_desk
from tlcourse.lessons.nb12_your_own_images.sights import Changes, Sights, changed, compute_answers, compute_sight
from tlcourse.lessons.nb12_your_own_images.tray import Tray
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.display import as_image
from tlcourse.photos.classifier import Classifier
from tlcourse.photos.evaluation import Evaluation
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.model_card import ModelCard
from tlcourse.photos.networks import COURSE_PREPROCESSING
from tlcourse.photos.read import PhotoError
from tlcourse.photos.scan import scan
from tlcourse.training.checkpoint import History

DIGITS = tuple("0123456789")
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def classifier():
    card = ModelCard("tiny_resnet", DIGITS, COURSE_PREPROCESSING, temperature=1.234)
    return Classifier(pretrained("tiny_resnet", "digits"), card)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk") / "digits"
    return inspect(scan(write_image_folder(load("handwritten-photo").few(3), folder)), progress=False).photos


@pytest.fixture(scope="module")
def one_desk(classifier, photos):
    return DeskLab(classifier, photos)


@pytest.fixture
def desk(one_desk):
    """The lab; all sliders are put back afterwards."""
    before = [(control, control.value) for control in one_desk.controls]
    yield one_desk
    for control, value in before:
        control.value = value


@pytest.fixture
def fresh(classifier, photos):
    made = DeskLab(classifier, photos)
    yield made
    made.close()


def png(size=(40, 60), colour="red", kind="PNG", **options):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def upload(lab, *files):
    """What the browser's button does."""
    lab.upload.value = tuple(
        {"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": NOW}
        for name, content in files
    )


def packed(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_png", ".png"), content)
    return buffer.getvalue()


def shown(lab):
    return re.sub("<.*?>", "", lab.text.value), lab.picture.value


# what is computed


def test_without_changes_the_answers_are_those_of_the_classifier(classifier, photos):
    sight = compute_sight(classifier, photos.open(4), Changes())
    mine = compute_answers(sight.scores, DIGITS, classifier.temperature, 3)
    theirs = classifier.classify(photos.paths[4])
    assert [a.label for a in mine] == [a.label for a in theirs]
    assert [a.probability for a in mine] == pytest.approx([a.probability for a in theirs], abs=1e-5)
    assert torch.equal(sight.prepared, classifier.prepare(photos.paths[4]))


def test_a_temperature_changes_how_sure_it_is_and_no_answer():
    scores = torch.tensor([1.0, 3.0, 2.0])
    cold, hot = (compute_answers(scores, ("a", "b", "c"), t, 3) for t in (0.5, 5))
    assert [a.label for a in cold] == [a.label for a in hot] == ["b", "c", "a"]
    assert cold[0].probability > hot[0].probability
    assert sum(a.probability for a in hot) == pytest.approx(1)
    assert hot[0].probability == pytest.approx((torch.tensor([0.2, 0.6, 0.4])).softmax(0)[1].item())


def test_changes_do_what_they_say():
    picture = Image.new("RGB", (80, 40), (100, 50, 20))
    assert changed(picture, Changes(), 64) is picture
    assert changed(picture, Changes(kept=50), 64).size == (40, 20)
    assert changed(picture, Changes(brightness=200), 64).getpixel((3, 3)) == (200, 100, 40)
    assert changed(picture, Changes(turned=90), 64).getpixel((0, 20)) == (127, 127, 127)
    assert changed(Image.new("RGB", (800, 400)), Changes(turned=15), 64).size == (128, 64)
    assert changed(Image.new("RGB", (1, 3)), Changes(kept=20), 64).size[0] == 1
    upright = Image.new("RGB", (40, 40))
    upright.putpixel((39, 0), (255, 0, 0))
    assert changed(upright, Changes(turned=180), 64).getpixel((0, 39))[0] == 255


def test_changes_in_words():
    assert Changes().words() == ""
    assert Changes(30, 80, 50).words() == (
        "turned by 30 degrees, at 80 % of its brightness, cut to the middle 50 % of its sides"
    )


def test_sights_are_remembered_and_forgotten(classifier, monkeypatch):
    asked, sights = [], Sights(classifier)

    def open_picture():
        asked.append(1)
        return Image.new("RGB", (32, 32))

    for _ in range(3):
        sights.of(0, open_picture, Changes())
    assert len(asked) == 1
    monkeypatch.setattr(photo_sights, "KEPT_SIGHTS", 3)
    for degrees in range(4):
        sights.of(0, open_picture, Changes(degrees + 1))
    sights.of(0, open_picture, Changes())
    assert len(asked) == 6
    assert len(sights._kept) == 3


def test_a_strip_is_refused_as_a_picture(classifier):
    with pytest.raises(PhotoError, match="too long and narrow"):
        compute_sight(classifier, Image.new("RGB", (1, 1)).resize((70_000, 1)), Changes())


def test_sentences():
    answers = [("kiwi", 0.7), ("plum", 0.2)]
    assert describe_answers("a.jpg", None, answers, 0.6) == "a.jpg: this is kiwi, with 70.0 %. Next: plum 20.0 %."
    unsure = describe_answers("a.jpg", "plum", answers, 0.8)
    assert "I am not sure. kiwi comes first with 70.0 %, below 80 %." in unsure
    assert unsure.endswith("In truth it is plum.")
    assert describe_answers("a.jpg", "kiwi", answers[:1], 0.7).endswith("That is right.")


# controls


def places(control):
    """Both ends and the middle."""
    if isinstance(control, ipywidgets.IntSlider):
        middle = control.min + (control.max - control.min) // 2 // control.step * control.step
        return control.min, middle, control.max
    values = [option[1] for option in control.options]
    return values[0], values[len(values) // 2], values[-1]


@pytest.mark.parametrize("name", ["choice", "named", "limit", "heat", "turned", "light", "kept"])
def test_every_control_changes_the_picture_and_the_words(desk, name):
    control, seen = getattr(desk, name), set()
    for value in places(control):
        control.value = value
        seen.add(shown(desk))
    assert len({picture for _, picture in seen}) == 3
    assert len({words for words, _ in seen}) >= (1 if name in ("named",) else 2)


def test_more_names_are_more_bars(desk):
    desk.named.value = 1
    assert "Next" not in shown(desk)[0]
    assert len(desk.look()[0].axes[2].patches) == 1
    desk.named.value = 10
    assert "Next" in shown(desk)[0]
    assert len(desk.look()[0].axes[2].patches) == 10


def test_it_says_when_it_is_not_sure(desk):
    desk.limit.value = 0
    assert "not sure" not in shown(desk)[0]
    desk.heat.value, desk.limit.value = 5.0, 100
    assert "I am not sure" in shown(desk)[0]
    assert desk.look()[0].axes[2].get_title() == "it is not sure"


def test_the_fitted_temperature_is_where_it_begins(desk):
    assert desk.heat.value == 1.234
    assert "1.23 ✓" in [name for name, _ in desk.heat.options]


def test_every_control_has_a_name_and_a_tip(desk):
    for control in (*desk.controls, desk.upload):
        assert control.description
        assert len(control.tooltip) > 5
    assert "title=" in desk.camera.button.value


def test_the_alt_text_is_the_sentence(desk):
    words, picture = shown(desk)
    assert f'alt="{words}"' in picture


def test_an_error_is_shown_and_raised(desk, monkeypatch):
    monkeypatch.setattr(desk.sights, "of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        desk.limit.value = 35
    assert "The lab stopped: division by zero" in desk.text.value


# uploads


def test_a_picture_is_put_on_the_desk_and_shown(fresh):
    before = len(fresh.tray)
    upload(fresh, ("my kiwi.png", png()))
    assert len(fresh.tray) == before + 1
    assert fresh.choice.value == before
    assert "1 picture added" in fresh.note.value
    assert shown(fresh)[0].startswith("my kiwi.png: ")
    upload(fresh, ("a.jpg", png(kind="JPEG")), ("b.webp", png(kind="WEBP")))
    assert fresh.choice.value == before + 1
    assert len(fresh.choice.options) == before + 3


def test_an_upload_is_answered_as_the_file_would_be(fresh, classifier, tmp_path):
    note = Image.Exif()
    note[0x0112] = 6
    content = png((300, 200), "orange", "JPEG", exif=note)
    (tmp_path / "lying.jpg").write_bytes(content)
    upload(fresh, ("lying.jpg", content))
    label, probability = classifier.classify(tmp_path / "lying.jpg")[0]
    assert fresh.tray.open(fresh.choice.value).size[0] < fresh.tray.open(fresh.choice.value).size[1]
    assert f"{label}" in shown(fresh)[0]
    assert f"{100 * probability:.1f} %" in shown(fresh)[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"hello, this is no picture", "notes.txt is not a picture"),
        ("empty.jpg", b"", "empty.jpg is empty"),
        ("half.png", png()[:60], "half.png opens but does not decode"),
        ("broken.zip", b"PK\x03\x04 and nothing more", "not a whole zip archive"),
        ("trick.zip", packed(**{"../evil_png": png()}), "leads out of the folder"),
        ("<b>bold</b>.txt", b"no picture at all", "&lt;b&gt;bold"),
    ],
    ids=["text", "empty", "half", "broken zip", "trick zip", "name with tags"],
)
def test_what_cannot_be_used_is_explained_and_changes_nothing(fresh, name, content, said):
    before, picture = len(fresh.tray), fresh.picture.value
    upload(fresh, (name, content))
    assert "Nothing was added." in fresh.note.value
    assert said in fresh.note.value
    assert len(fresh.tray) == before
    assert fresh.picture.value == picture


def test_good_and_bad_together(fresh):
    before = len(fresh.tray)
    upload(fresh, ("a.txt", b"no picture"), ("b.png", png()), ("c.txt", b"no picture either"))
    assert len(fresh.tray) == before + 1
    assert "1 picture added." in fresh.note.value
    assert "a.txt is not a picture" in fresh.note.value


def test_an_archive_brings_pictures_and_their_classes(fresh):
    before = len(fresh.tray)
    upload(fresh, ("some.zip", packed(**{"7__x_png": png(), "fruit__y_png": png(colour="blue"), "7__n.txt": b"no"})))
    new = fresh.tray.prints[before:]
    assert [(one.name, one.label) for one in new] == [("7/n.txt", "7"), ("7/x.png", "7"), ("fruit/y.png", None)]
    assert "This picture cannot be shown: 7/n.txt is not a picture" in shown(fresh)[0]
    assert "no picture to show" in fresh.look()[0].axes[0].texts[0].get_text()
    fresh.choice.value = before + 1
    assert re.search("In truth it is 7|That is right", shown(fresh)[0])


def test_large_uploads_are_cut_short_and_say_so(photos, monkeypatch):
    monkeypatch.setattr(photo_tray, "MOST_OF_AN_ARCHIVE", 2)
    monkeypatch.setattr(photo_tray, "MOST_AT_ONCE", 1)
    tray = Tray(DIGITS, photos, 64)
    before = len(tray)
    said = tray.add_uploads([{"name": "a.zip", "content": packed(a_png=png(), b_png=png(), c_png=png())}])
    assert len(tray) == before + 2
    assert "holds 3 files; the first 2 are on the desk" in said
    said = tray.add_uploads([{"name": name, "content": png()} for name in ("a.png", "b.png")])
    assert "2 files came at once; 1 were taken" in said
    tray.close()


def test_closing_removes_what_was_unpacked(classifier):
    lab = DeskLab(classifier)
    assert lab.tray.prints[0].name == "a blank picture"
    upload(lab, ("some.zip", packed(a_png=png(), b_png=png())))
    path = lab.tray.prints[-1].source
    assert path.exists()
    lab.close()
    assert not path.exists()


def test_a_photograph_that_went_away_is_told(classifier, photos, tmp_path):
    data = load("handwritten-photo").few(2)
    mine = inspect(scan(write_image_folder(data, tmp_path / "digits")), progress=False).photos
    lab = DeskLab(classifier, mine)
    lab.tray.prints[3].source.unlink()
    lab.choice.value = 3
    assert "This picture cannot be shown: could not read" in lab.text.value
    lab.choice.value = 0
    assert "could not read" not in lab.text.value
    lab.close()


# the camera


def test_a_snapshot_is_put_on_the_desk(fresh):
    before = len(fresh.tray)
    fresh.camera.field.value = "data:image/jpeg;base64," + base64.b64encode(png(kind="JPEG")).decode()
    assert len(fresh.tray) == before + 1
    assert shown(fresh)[0].startswith("camera 1: ")
    assert fresh.camera.field.value == ""
    fresh.camera.field.value = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert fresh.tray.prints[-1].name == "camera 2"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("data:image/jpeg;base64,AAA", "arrived incomplete"),
        ("data:image/jpeg;base64,AAAA", "is not a picture"),
        ("data:text/plain;base64,AAAA", "a picture was expected"),
        ("nonsense", "a picture was expected"),
    ],
)
def test_a_bad_snapshot_is_explained(fresh, sent, said):
    before = len(fresh.tray)
    fresh.camera.field.value = sent
    assert said in fresh.note.value
    assert len(fresh.tray) == before


def test_the_camera_button_is_one_piece_of_html():
    camera = Camera(lambda address: None)
    (code,) = re.findall(r'onclick="([^"]*)"', camera.button.value)
    assert "getUserMedia" in code
    assert "//" not in code, "in one line, a comment would swallow the rest"
    assert camera.field.layout.display == "none"


# pictures of the notebook


def test_the_frame_holds_what_is_seen():
    preprocessing, photo = Preprocessing(256, 224), Image.new("RGB", (640, 480))
    figure, ax = plt.subplots()
    pictures.draw_frame(ax, photo, preprocessing)
    frame = ax.patches[0].get_bbox()
    assert frame.width == frame.height == pytest.approx(224 * 480 / 256)
    assert (frame.x0 + frame.x1) / 2 == pytest.approx(640 / 2 - 0.5)
    assert 100 * frame.width * frame.height / (640 * 480) == pytest.approx(57.4, abs=0.1)
    plt.close(figure)


def test_as_seen_undoes_the_normalisation():
    preprocessing = Preprocessing(40, 32)
    photo = Image.fromarray(torch.randint(256, (40, 40, 3), dtype=torch.uint8).numpy())
    back = pictures.as_seen(preprocessing(photo), preprocessing)
    assert list(back.get_flattened_data()) == list(photo.crop((4, 4, 36, 36)).get_flattened_data())


def test_bars_and_their_limit(ax):
    pictures.draw_answers(ax, [("a $5 bill, with a long name", 0.9), ("b", 0.1)], limit=0.95)
    assert ax.lines[0].get_xdata()[0] == 95
    assert ax.patches[0].get_hatch() == "///"
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([90, 10])
    assert ax.texts[0].get_text().startswith(r"a \$5 bill, wit")
    assert as_image(ax.figure, "Two bars, the first with 90 % and the second with 10 %.")


def test_the_factory_returns_the_widget(classifier, photos):
    widget = photo_desk(classifier, photos)
    assert "tlcourse-lab" in widget._dom_classes


def evaluated(wrong=2):
    labels = torch.arange(10) % 3
    scores = 4.0 * torch.nn.functional.one_hot(labels, 3)
    for i in range(wrong):
        scores[i] = scores[i].roll(1)
    return Evaluation(scores, labels, ("kiwi", "a very long name of a fruit", "plum"))


def test_an_evaluation_in_words_and_captions():
    evaluation = evaluated()
    wrong = evaluation.mistakes(8)
    captions = pictures.caption_mistakes(evaluation, wrong)
    assert sorted(captions) == ["a very lon…, 96 %\nis kiwi", "plum, 96 %\nis a very lon…"]
    assert "plum, 96 %, is a very lon…" in pictures.describe_mistakes(captions)
    assert "no mistake" in pictures.describe_mistakes([])
    said = pictures.describe_evaluation(evaluation)
    assert "kiwi read as a very long name of a fruit (1 times)" in said
    assert "Calibration: by 16.5 points too sure" in said


@pytest.mark.parametrize("wrong", [0, 2])
def test_mistakes_are_drawn_and_axes_left_over_stay_empty(wrong):
    figure, axes = plt.subplots(1, 4)
    captions = ["a, 90 %\nis b"] * wrong
    pictures.draw_mistakes(axes, [Image.new("RGB", (200, 100))] * wrong, captions)
    assert [len(ax.images) for ax in axes] == [1] * wrong + [0] * (4 - wrong)
    assert not any(ax.axison for ax in axes)
    assert bool(axes[0].texts) is (wrong == 0)
    plt.close(figure)


def test_tuning_shows_the_probe_and_the_epoch_that_was_kept(ax):
    history = History([1.0, 0.5, 0.4], [1e-3] * 3, [0.9, 0.4, 0.5], [80.0, 95.0, 94.0], best_epoch=1)
    pictures.draw_tuning(ax, history, 90.0)
    line, kept, probe = ax.lines
    assert list(line.get_ydata()) == [80.0, 95.0, 94.0]
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (2, 95.0)
    assert probe.get_ydata()[0] == 90.0
    said = pictures.describe_tuning(history, 90.0)
    assert "the probe 90.0 %" in said
    assert "in epoch 2, which had the lowest loss, 95.0 %" in said


def test_long_names_lean(ax):
    pictures.draw_named_confusion(ax, evaluated().confusion, evaluated().classes)
    assert ax.get_xticklabels()[1].get_text() == "a very long nam…"
    assert ax.get_xticklabels()[0].get_rotation() == 45


def test_names_in_any_script_are_drawn_without_a_warning(ax):
    """Whatever fonts this machine has; pytest turns warnings into errors."""
    names = ("кошка", "猫", "γάτα", "قطة", "$5 \U0001f34e")
    pictures.draw_answers(ax, [(name, 0.2) for name in names])
    ax.figure.canvas.draw()
    shown_names = [text.get_text().split("  ")[0] for text in ax.texts]
    assert shown_names[0] == "кошка"
    assert shown_names[1] in ("猫", "?")
    assert shown_names[4].startswith(r"\$5")
    confusion = torch.eye(5, dtype=torch.int64)
    pictures.draw_named_confusion(ax, confusion, names)
    ax.figure.canvas.draw()
