"""A saved classifier: whole or absent, the same answers in a fresh process, and clear words for every broken file."""

import errno
import json
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tlcourse.evaluation.intervals import Interval
from tlcourse.photos import one_pass
from tlcourse.photos.classifier import (
    CARD,
    PAGE,
    REPORT,
    WEIGHTS,
    Answer,
    check_model_folder,
    load_classifier,
    save_classifier,
)
from tlcourse.photos.model_card import ModelCard, card_from_json
from tlcourse.photos.networks import COURSE_PREPROCESSING, photo_network, photo_network_names
from tlcourse.photos.read import PhotoError
from tlcourse.storage import StorageError

CLASSES = ("äpple", "日本", "two | words", "d")


@pytest.fixture(scope="module")
def network():
    return photo_network("tiny_resnet", len(CLASSES), None, seed=1)


def save(folder, network, **changes):
    options = {
        "backbone": "tiny_resnet",
        "classes": CLASSES,
        "preprocessing": network.preprocessing,
        "temperature": 1.7,
        "metrics": {"accuracy in %": Interval(93.0, 90.1, 95.2), "balanced accuracy in %": 92.5},
        "counts": {"train": 70, "test": 30},
        "training": {"seed": "3"},
    }
    return save_classifier(folder, network.model, **options | changes)


@pytest.fixture
def saved(tmp_path, network):
    return save(tmp_path / "model", network)


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


# there and back


def test_answers_are_those_of_the_network_at_the_fitted_temperature(saved, network, picture, monkeypatch):
    monkeypatch.setattr(one_pass, "multiplies_bfloat16", lambda device: False)  # which rounds
    network.model.eval()
    with torch.no_grad():
        scores = network.model(network.preprocessing(Image.open(picture))[None])[0]
    expected = (scores / 1.7).softmax(0)
    answers = load_classifier(saved).classify(picture, top=4)
    assert [a.label for a in answers] == [CLASSES[i] for i in expected.argsort(descending=True)]
    assert torch.allclose(torch.tensor([a.probability for a in answers]), expected.sort(descending=True)[0], atol=1e-6)
    assert sum(a.probability for a in answers) == pytest.approx(1, abs=1e-6)


def test_a_path_a_text_and_a_picture_of_any_mode_are_taken(saved, picture):
    classifier = load_classifier(saved)
    one = classifier.classify(picture)
    assert len(one) == 3
    assert isinstance(one[0], Answer)
    assert classifier.classify(str(picture)) == one
    assert classifier.classify(Image.open(picture)) == one
    assert classifier.classify([picture, Image.open(picture)], top=99)[1][:3] == one
    grey = classifier.classify(Image.open(picture).convert("L"), top=1)
    assert grey == classifier.classify(Image.open(picture).convert("L").convert("RGB"), top=1)
    assert len(classifier.classify(Image.open(picture).convert("CMYK"))) == 3


def test_temperature_moves_probabilities_and_no_answer(saved, picture):
    classifier = load_classifier(saved)
    cold, hot = (classifier.classify(picture, top=4, temperature=t) for t in (0.1, 10.0))
    assert cold[0].probability > classifier.classify(picture)[0].probability > hot[0].probability
    assert [a.label for a in cold] == [a.label for a in hot]


@pytest.mark.parametrize("name", ["small_cnn", "squeezenet1_0", "mnasnet0_5"])
def test_any_network_comes_back(tmp_path, name):
    network = photo_network(name, 4, None, seed=2, side=32)
    again = load_classifier(save(tmp_path / "model", network, backbone=name))
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(again.model(x), network.model.eval()(x), atol=1e-5)
    assert again.preprocessing == network.preprocessing
    assert name in photo_network_names()


# the card


def test_the_card_says_what_must_be_known(saved):
    card, page = load_classifier(saved).card, (saved / PAGE).read_text(encoding="utf-8")
    assert card == card_from_json(card.to_json(), "here")
    assert card.classes == CLASSES
    assert card.metrics["accuracy in %"] == Interval(93.0, 90.1, 95.2)
    assert torch.__version__.startswith(card.versions["torch"])
    for expected in ("93.0 [90.1, 95.2]", "日本", "two \\| words", "1.700", "tiny_resnet", "What it is not for", "32"):
        assert expected in page
    assert card.created[:10] in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "at least two different names"),
        ({"classes": ("a", "a")}, "at least two different names"),
        ({"temperature": 0.0}, "finite number above 0"),
        ({"temperature": float("inf")}, "finite number above 0"),
    ],
)
def test_a_card_refuses_what_cannot_be(changes, message):
    options = {"backbone": "tiny_resnet", "classes": ("a", "b"), "preprocessing": COURSE_PREPROCESSING} | changes
    with pytest.raises(ValueError, match=message):
        ModelCard(**options)


# what cannot be used


def test_missing_and_damaged_files(saved, tmp_path):
    with pytest.raises(StorageError, match="does not exist, but the folder of a saved classifier was expected"):
        load_classifier(tmp_path / "nothing")
    other = save(tmp_path / "other", photo_network("tiny_resnet", len(CLASSES), None, seed=9))
    data = (saved / WEIGHTS).read_bytes()
    for damaged in (data[: len(data) // 2], (other / WEIGHTS).read_bytes()):
        (saved / WEIGHTS).write_bytes(damaged)
        with pytest.raises(StorageError, match="incomplete or was changed"):
            load_classifier(saved)
    for name in (WEIGHTS, CARD):
        (saved / name).unlink()
        with pytest.raises(StorageError, match=f"lacks {name}"):
            load_classifier(saved)
        (saved / name).write_bytes((other / name).read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["a", "b"]}, r"head.weight \[4, 128\] for \[2, 128\]"),
        ({"classes": "abcd"}, "classes must be a list"),
        ({"sha256": 5}, "backbone and sha256 texts"),
        ({"training": ["seed"]}, "card.json cannot be used: metrics, counts, training and versions must be objects"),
        ({"counts": None}, "must be objects with a value by name"),
        ({"backbone": "mobilenet_v9"}, "no network 'mobilenet_v9'. Did you mean 'mobilenet_v2'"),
        ({"backbone": "small_cnn"}, r"model.safetensors do not fit SmallCNN"),
        ({"temperature": "warm"}, "the temperature is 'warm'"),
        ({"preprocessing": {"resize": 3}}, "a preprocessing was described by"),
        ({"format": 99}, "has format 99, and 1 was expected: of another version"),
        ("{", "card.json cannot be used: Expecting property name"),
        ("[]", "no card of a classifier"),
        ("{}", "lacks"),
    ],
)
def test_a_card_that_does_not_fit(saved, change, message):
    text = (saved / CARD).read_text(encoding="utf-8")
    damaged = change if isinstance(change, str) else json.dumps(json.loads(text) | change)
    (saved / CARD).write_text(damaged, encoding="utf-8")
    with pytest.raises(StorageError, match=message):
        load_classifier(saved)


@pytest.mark.parametrize(
    ("images", "options", "error", "message"),
    [
        ([np.zeros((3, 3))], {}, TypeError, "a path or a PIL image was expected"),
        ([], {}, ValueError, "there is no photograph"),
        ("x.png", {"top": 0}, ValueError, "top is 0"),
        ("x.png", {"temperature": 0}, ValueError, "temperature is 0"),
        ("gone.jpg", {}, PhotoError, r"gone\.jpg"),
        (__file__, {}, PhotoError, r"test_classifier\.py"),
    ],
)
def test_wrong_questions(saved, images, options, error, message):
    with pytest.raises(error, match=message):
        load_classifier(saved).classify(images, **options)


def test_classes_and_names_are_checked_before_anything_is_written(tmp_path, network):
    with pytest.raises(ValueError, match="head for 4 classes, but 3 names"):
        save(tmp_path / "model", network, classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="there is no network 'resnet1'"):
        save(tmp_path / "model", network, backbone="resnet1")
    assert not (tmp_path / "model").exists()


# one unit


def test_a_newer_one_replaces_all_of_the_older(saved, network):
    save(saved, network, report="<p>page</p>")
    assert (saved / REPORT).read_text() == "<p>page</p>"
    save(saved, network, temperature=2.0)
    assert sorted(path.name for path in saved.iterdir()) == sorted([WEIGHTS, CARD, PAGE])
    assert load_classifier(saved).temperature == 2.0
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_what_somebody_else_put_there_is_not_lost(saved, network):
    (saved / "notes.txt").write_text("mine")
    for folder, message in ((saved, r"holds notes\.txt, which would be lost"), (saved / "notes.txt", "is a file")):
        with pytest.raises(StorageError, match=message):
            check_model_folder(folder)
    with pytest.raises(StorageError, match="would be lost"):
        save(saved, network, temperature=2.0)
    assert load_classifier(saved).temperature == 1.7


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", range(1, 6))
def test_a_failure_at_any_move_leaves_the_older_one(saved, network, monkeypatch, stop, at):
    """Three files are moved to their names, then the older folder out of the way and the new one in its place."""
    calls = []

    def failing(source, target):
        calls.append(source)
        if len(calls) == at:
            raise stop
        return original(source, target)

    original = os.replace
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises((StorageError, type(stop))):
        save(saved, network, temperature=2.0)
    monkeypatch.undo()
    assert load_classifier(saved).temperature == 1.7
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model"]


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights on Windows")
def test_a_link_stays_a_link_and_what_lies_behind_it_is_replaced(saved, network, tmp_path):
    link, circle, nowhere = (tmp_path / name for name in ("link", "circle", "nowhere"))
    link.symlink_to(saved)
    assert save(link, network, temperature=2.0) == saved
    assert link.is_symlink()
    assert load_classifier(link).temperature == load_classifier(saved).temperature == 2.0
    nowhere.symlink_to(tmp_path / "there")
    assert save(nowhere, network) == tmp_path / "there"
    circle.symlink_to(circle)
    with pytest.raises(StorageError, match="circle is a link that leads nowhere, but a folder"):
        check_model_folder(circle)
    with pytest.raises(StorageError, match="circle does not exist, but the folder of a saved classifier was"):
        load_classifier(circle)


def test_a_full_disk_is_told_once(saved, network, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"model to .*model: No space left on device\. What was there before"):
        save(saved, network)


def test_a_machine_that_stops_between_the_two_moves(saved, network):
    os.replace(saved, saved.with_name(".model.before"))
    assert load_classifier(saved).temperature == 1.7
    assert save(saved, network, temperature=2.0) == saved
    assert load_classifier(saved).temperature == 2.0
