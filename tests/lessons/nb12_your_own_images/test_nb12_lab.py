"""The lab of notebook 12: what it computes, uploads of all kinds, the camera; the rest every lab promises."""

import base64
import datetime
import io
import re
import zipfile

import pytest
import torch
from PIL import Image

from tests.labs import classifier
from tlcourse.data.worlds import load
from tlcourse.lessons.nb12_your_own_images import gallery
from tlcourse.lessons.nb12_your_own_images.camera import Camera
from tlcourse.lessons.nb12_your_own_images.lab import PredictionLab
from tlcourse.lessons.nb12_your_own_images.predictions import (
    Changes,
    changed,
    compute_answers,
    compute_sight,
    describe_answers,
)
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.read import PhotoError
from tlcourse.photos.scan import scan

DIGITS = tuple("0123456789")
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "digits"
    return inspect(scan(write_image_folder(load("handwritten-photo").few(3), folder)), progress=False).photos


@pytest.fixture
def lab(photos):
    made = PredictionLab(classifier(), photos)
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


def said(lab):
    return re.sub("<.*?>", "", lab.sentence.value)


def bars(lab):
    """The axes with the probabilities."""
    values = {name: getattr(lab, name) for name in lab.declared}
    return lab.look(**values)[0].axes[2]


# what is computed


def test_without_changes_the_answers_are_those_of_the_classifier(photos):
    sight = compute_sight(classifier(), photos.open(4), Changes())
    mine = compute_answers(sight.logits, DIGITS, classifier().temperature, 3)
    theirs = classifier().classify(photos.paths[4])
    assert [a.label for a in mine] == [a.label for a in theirs]
    assert [a.probability for a in mine] == pytest.approx([a.probability for a in theirs], abs=1e-5)
    assert torch.equal(sight.prepared, classifier().prepare(photos.paths[4]))


def test_a_temperature_changes_how_sure_it_is_and_no_answer():
    logits = torch.tensor([1.0, 3.0, 2.0])
    cold, hot = (compute_answers(logits, ("a", "b", "c"), t, 3) for t in (0.5, 5))
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
    assert not str(Changes())
    assert str(Changes(30, 80, 50)) == (
        "turned by 30 degrees, at 80 % of its brightness, cut to the middle 50 % of its sides"
    )


def test_a_strip_is_refused_as_a_picture():
    with pytest.raises(PhotoError, match="too long and narrow"):
        compute_sight(classifier(), Image.new("RGB", (1, 1)).resize((70_000, 1)), Changes())


def test_sentences():
    answers = [("kiwi", 0.7), ("plum", 0.2)]
    assert describe_answers("a.jpg", None, answers, 0.6) == "a.jpg: this is kiwi, with 70.0 %. Next: plum 20.0 %."
    unsure = describe_answers("a.jpg", "plum", answers, 0.8)
    assert "I am not sure. kiwi comes first with 70.0 %, below 80 %." in unsure
    assert unsure.endswith("In truth it is plum.")
    assert describe_answers("a.jpg", "kiwi", answers[:1], 0.7).endswith("That is right.")


# controls


def test_more_names_are_more_bars(lab):
    for count in (1, 10):
        lab.named = count
        assert ("Next" in said(lab)) is (count > 1)
        assert len(bars(lab).patches) == count


def test_it_says_when_it_is_not_sure(lab):
    lab.limit = 0
    assert "not sure" not in said(lab)
    lab.temperature, lab.limit = 5.0, 100
    assert "I am not sure" in said(lab)
    assert bars(lab).get_title() == "it is not sure"


def test_the_fitted_temperature_is_where_it_begins(lab):
    assert lab.temperature == 1.234
    assert "1.23 ✓" in [name for name, _ in lab.controls["temperature"].options]


def test_the_network_is_asked_once_where_only_words_change(lab, monkeypatch):
    before, lab.temperature = said(lab), 5.0
    monkeypatch.setattr(lab.classifier, "model", None)
    lab.limit, lab.named = 35, 2
    assert said(lab) != before


# uploads


def test_a_picture_is_added_and_shown(lab):
    before = len(lab.gallery)
    upload(lab, ("my kiwi.png", png()))
    assert len(lab.gallery) == before + 1
    assert lab.number == before
    assert "1 picture added" in lab.note.value
    assert said(lab).startswith("my kiwi.png: ")
    upload(lab, ("a.jpg", png(kind="JPEG")), ("b.webp", png(kind="WEBP")))
    assert lab.number == before + 1
    assert len(lab.controls["number"].options) == before + 3


def test_an_upload_is_answered_as_the_file_would_be(lab, tmp_path):
    note = Image.Exif()
    note[0x0112] = 6
    content = png((300, 200), "orange", "JPEG", exif=note)
    (tmp_path / "lying.jpg").write_bytes(content)
    upload(lab, ("lying.jpg", content))
    label, probability = classifier().classify(tmp_path / "lying.jpg")[0]
    width, height = lab.gallery.open(lab.number).size
    assert width < height
    assert f"{label}" in said(lab)
    assert f"{100 * probability:.1f} %" in said(lab)


@pytest.mark.parametrize(
    ("name", "content", "words"),
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
def test_what_cannot_be_used_is_explained_and_changes_nothing(lab, name, content, words):
    before, picture = len(lab.gallery), lab.picture.value
    upload(lab, (name, content))
    assert "Nothing was added." in lab.note.value
    assert words in lab.note.value
    assert len(lab.gallery) == before
    assert lab.picture.value == picture


def test_good_and_bad_together(lab):
    before = len(lab.gallery)
    upload(lab, ("a.txt", b"no picture"), ("b.png", png()), ("c.txt", b"no picture either"))
    assert len(lab.gallery) == before + 1
    assert "1 picture added." in lab.note.value
    assert "a.txt is not a picture" in lab.note.value


def test_an_archive_brings_pictures_and_their_classes(lab):
    before = len(lab.gallery)
    upload(lab, ("some.zip", packed(**{"7__x_png": png(), "fruit__y_png": png(colour="blue"), "7__n.txt": b"no"})))
    new = lab.gallery.pictures[before:]
    assert [(one.name, one.label) for one in new] == [("7/n.txt", "7"), ("7/x.png", "7"), ("fruit/y.png", None)]
    assert "This picture cannot be shown: 7/n.txt is not a picture" in said(lab)
    lab.number = before + 1
    assert re.search("In truth it is 7|That is right", said(lab))


def test_large_uploads_are_cut_short_and_say_so(photos, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_OF_AN_ARCHIVE", 2)
    monkeypatch.setattr(gallery, "MOST_AT_ONCE", 1)
    pictures = gallery.Gallery(DIGITS, photos, 64)
    before = len(pictures)
    words = pictures.add_uploads([{"name": "a.zip", "content": packed(a_png=png(), b_png=png(), c_png=png())}])
    assert len(pictures) == before + 2
    assert "holds 3 files; the first 2 were taken" in words
    words = pictures.add_uploads([{"name": name, "content": png()} for name in ("a.png", "b.png")])
    assert "2 files came at once; 1 were taken" in words
    pictures.close()


def test_closing_removes_what_was_unpacked():
    lab = PredictionLab(classifier())
    assert lab.gallery.pictures[0].name == "a blank picture"
    upload(lab, ("some.zip", packed(a_png=png(), b_png=png())))
    path = lab.gallery.pictures[-1].source
    assert path.exists()
    assert lab.close()
    assert not path.exists()


def test_a_photograph_that_went_away_is_told(tmp_path):
    data = load("handwritten-photo").few(3)
    mine = inspect(scan(write_image_folder(data, tmp_path / "digits")), progress=False).photos
    lab = PredictionLab(classifier(), mine)
    lab.gallery.pictures[3].source.unlink()
    lab.number = 3
    assert "This picture cannot be shown: could not read" in said(lab)
    lab.number = 0
    assert "could not read" not in said(lab)
    lab.close()


# the camera


def test_a_snapshot_is_added_and_shown(lab):
    before = len(lab.gallery)
    lab.camera_field.value = "data:image/jpeg;base64," + base64.b64encode(png(kind="JPEG")).decode()
    assert len(lab.gallery) == before + 1
    assert said(lab).startswith("camera 1: ")
    assert lab.camera_field.value == ""
    lab.camera_field.value = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert lab.gallery.pictures[-1].name == "camera 2"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("data:image/jpeg;base64,AAA", "arrived incomplete"),
        ("data:image/jpeg;base64,AAAA", "is not a picture"),
        ("data:text/plain;base64,AAAA", "a picture was expected"),
        ("nonsense", "a picture was expected"),
    ],
)
def test_a_bad_snapshot_is_explained(lab, sent, words):
    before = len(lab.gallery)
    lab.camera_field.value = sent
    assert words in lab.note.value
    assert len(lab.gallery) == before


def test_the_camera_button_is_one_piece_of_html():
    camera = Camera(lambda address: None)
    (code,) = re.findall(r'onclick="([^"]*)"', camera.button.value)
    assert "getUserMedia" in code
    assert "//" not in code, "in one line, a comment would swallow the rest"
    assert camera.field.layout.display == "none"
    assert "title=" in camera.button.value
