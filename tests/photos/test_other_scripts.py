"""Names in many scripts, on a terminal or a pipe that has few of their characters: what is printed, what is written."""

import csv
import io
import json
import shutil
import sys

import pytest

from tlcourse.cli import main
from tlcourse.data.worlds import load
from tlcourse.photos import adapting
from tlcourse.photos.classifier import load_classifier
from tlcourse.photos.crossing import PREDICTIONS
from tlcourse.photos.image_folder import write_image_folder

CLASSES = ("猫", "كلب", "🍎 café")
PHOTO = "写真 📷.png"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three digits, six pictures each, under other names; one file of each with an odd name, and a broken one."""
    digits = load("handwritten-photo").few(6)
    plain = write_image_folder(digits.subset(digits.labels < 3), tmp_path_factory.mktemp("plain") / "digits")
    folder = tmp_path_factory.mktemp("photos") / "私の写真"
    for number, name in enumerate(CLASSES):
        shutil.copytree(plain / str(number), folder / name)
        sorted((folder / name).iterdir())[0].rename(folder / name / PHOTO)
    (folder / CLASSES[0] / "δεν.png").write_bytes(b"no picture")
    return folder


def ask(monkeypatch, *words):
    """Run a command where standard output and errors are as Python opens them on a Western European Windows."""
    out, err = io.TextIOWrapper(io.BytesIO(), "cp1252"), io.TextIOWrapper(io.BytesIO(), "cp1252", "backslashreplace")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        status = main([*map(str, words), *(["--device", "cpu"] if words[0] != "predict" else [])])
    for stream in (out, err):
        stream.flush()
    return status, *(stream.buffer.getvalue().decode("cp1252") for stream in (out, err))


def escaped(text):
    return text.encode("cp1252", "backslashreplace").decode("cp1252")


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """The folder of a classifier, and what was printed on the way."""
    out = tmp_path_factory.mktemp("out") / "模型"
    with pytest.MonkeyPatch.context() as patch:
        words = ("finetune", photos, "--backbone", "tiny_resnet", "--probe-only", "--out", out)
        status, printed, _ = ask(patch, *words)
    assert status == 0
    return out, printed


def test_finetune_prints_and_writes_all_names(trained):
    out, printed = trained
    for name in CLASSES:
        assert f"  {escaped(name)}\n" in printed
    assert "café" in printed  # what the terminal has is shown as it is
    assert escaped("δεν.png") in printed
    assert load_classifier(out).classes == tuple(sorted(CLASSES))
    for page in ("MODEL_CARD.md", "report.html"):
        assert all(name in (out / page).read_text(encoding="utf-8") for name in CLASSES)


def test_predict_tells_classes_apart(trained, photos, monkeypatch):
    out, asked = trained[0], photos / CLASSES[0] / PHOTO
    status, printed, _ = ask(monkeypatch, "predict", out, asked)
    assert status == 0
    assert printed.startswith(f"{escaped(str(asked))}: ")
    assert all(f"{escaped(name)} " in printed for name in CLASSES)
    status, printed, said = ask(monkeypatch, "predict", out, asked, photos / CLASSES[0] / "δεν.png", "--json")
    assert status == 1
    assert escaped("δεν.png") in said
    answered, failed = json.loads(printed)
    assert {answer["class"] for answer in answered["answers"]} == set(CLASSES)
    assert failed["image"].endswith("δεν.png")


def test_choose_prints_and_writes_all_names(photos, tmp_path, monkeypatch):
    page = tmp_path / "выбор.html"
    more = photos.parent / "more"
    shutil.copytree(photos, more)
    status, printed, said = ask(monkeypatch, "choose", more, "--backbones", "tiny_resnet", "--out", page)
    assert (status, said) == (0, "")
    assert f"saved in {escaped(str(page))}" in printed
    assert "δεν.png" in page.read_text(encoding="utf-8")


def test_adapt_prints_and_writes_all_names(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, "UPDATES", 2)
    digits, target, out = load("handwritten").few(4), tmp_path / "هدف", tmp_path / "результат"
    write_image_folder(digits.subset(digits.labels < 3), target)
    sorted((target / "0").iterdir())[0].rename(target / "0" / PHOTO)
    (tmp_path / "labels.csv").write_text(f"file,label\n0/{PHOTO},{CLASSES[0]}\n", encoding="utf-8")
    words = ("adapt", photos, target, "--backbone", "tiny_resnet", "--labels", tmp_path / "labels.csv", "--out", out)
    status, printed, said = ask(monkeypatch, *words)
    assert (status, said) == (0, "")
    assert f"{escaped(str(target))}: no label is read" in printed
    rows = list(csv.DictReader(io.StringIO((out / PREDICTIONS).read_text(encoding="utf-8"))))
    assert f"0/{PHOTO}" in [row["file"] for row in rows]
    assert {row["class"] for row in rows} <= set(CLASSES)
    assert CLASSES[1] in (out / "report.html").read_text(encoding="utf-8")
