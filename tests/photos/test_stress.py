"""`tlcourse stress`: what is corrupted, what is measured and against what, and what the page and the table say."""

import csv
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from test_commands import Page

from tlcourse.cli import main
from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import calibration_error, chance_calibration_error
from tlcourse.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from tlcourse.evaluation.intervals import wilson_interval
from tlcourse.photos import command_stress, one_pass
from tlcourse.photos import stress as stressing
from tlcourse.photos.classifier import FILES, load_classifier
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.scan import scan
from tlcourse.photos.stress import COLUMNS, stress
from tlcourse.photos.stress_page import in_sentences

KINDS = ("noise", "contrast")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A probe that reads printed-like digits, others to ask it about, and a copy and a broken file among them."""
    root = tmp_path_factory.mktemp("stress")
    write_image_folder(load("handwritten-photo").few(12), root / "train")
    write_image_folder(load("handwritten-photo", split="test").few(5), root / "test")
    words = ["finetune", str(root / "train"), "--backbone", "tiny_resnet", "--method", "probe", "--device", "cpu"]
    assert main([*words, "--out", str(root / "model")]) == 0
    first = sorted((root / "test" / "3").glob("*.png"))[0]
    shutil.copy(first, root / "test" / "3" / "copy.png")
    (root / "test" / "4" / "broken.png").write_bytes(first.read_bytes()[:200])
    return root


@pytest.fixture(scope="module")
def classifier(folders):
    return load_classifier(folders / "model")


@pytest.fixture(scope="module")
def photos(folders):
    return inspect(scan(folders / "test"), at_least=1, progress=False).photos


@pytest.fixture(scope="module")
def result(classifier, photos):
    return stress(classifier, photos, KINDS, progress=False)


def test_photographs_as_they_are_are_answered_as_ever(result, classifier, photos, monkeypatch):
    monkeypatch.setattr(one_pass, "multiplies_bfloat16", lambda device: False)  # which rounds
    expected = classifier.logits(photos.paths) / classifier.temperature
    assert torch.allclose(result.clean.logits, expected, atol=1e-5)
    assert set(result.found) == {("none", 0)} | {(kind, s) for kind in KINDS for s in SEVERITIES}
    assert result.at("noise", 0) is result.clean


def test_what_is_corrupted_is_what_the_network_sees_before_it_is_normalised(result, classifier, photos):
    pixels = torch.stack([stressing.read_for(path, classifier.preprocessing) for path in photos.paths])
    assert pixels.shape == (50, 3, 32, 32)
    seen = classifier.preprocessing.normalised(corrupt(pixels, "contrast", 4))  # nothing is drawn for it
    with torch.no_grad():
        expected = classifier.model(seen) / classifier.temperature
    assert torch.allclose(result.at("contrast", 4).logits, expected, atol=1e-4)


def test_each_part_gets_noise_of_its_own_and_the_same_seed_the_same(classifier, photos, result):
    twice = photos.subset(torch.arange(stressing.AT_A_TIME).repeat(2))
    parts = stress(classifier, twice, ["noise"], progress=False).at("noise", 3).logits.chunk(2)
    assert not torch.allclose(*parts, atol=1e-3)
    again = stress(classifier, photos, ["noise"], progress=False)
    other = stress(classifier, photos, ["noise"], seed=1, progress=False)
    assert torch.equal(again.at("noise", 3).logits, result.at("noise", 3).logits)
    assert not torch.equal(other.at("noise", 3).logits, result.at("noise", 3).logits)
    assert torch.equal(other.clean.logits, result.clean.logits)


def test_the_table_agrees_with_its_formulas(result):
    rows = {(row["corruption"], row["severity"]): row for row in csv.DictReader(result.to_csv().splitlines())}
    assert len(rows) == 11
    assert tuple(rows["none", "0"]) == COLUMNS
    clean = (result.clean.logits.argmax(1) == result.clean.labels).numpy()
    for (kind, severity), found in result.found.items():
        row = {name: float(value) for name, value in list(rows[kind, str(severity)].items())[2:]}
        right = (found.logits.argmax(1) == found.labels).numpy()
        interval = wilson_interval(int(right.sum()), 50)
        assert [row["accuracy"], row["low"], row["high"]] == pytest.approx(list(vars(interval).values()), abs=0.01)
        assert row["lost"] == pytest.approx(100 * np.mean(clean * 1.0 - right), abs=0.01)
        reach = 2.0096 * 100 * np.std(clean * 1.0 - right, ddof=1) / 50**0.5  # t of 49
        assert row["lost_high"] - row["lost"] == pytest.approx(reach, abs=0.02)
        assert row["calibration_error"] == pytest.approx(calibration_error(found.logits, found.labels, 5), abs=0.01)
        assert row["error_by_chance"] == pytest.approx(chance_calibration_error(found.logits, 5), abs=0.01)
        sure = found.logits.softmax(1).max(1).values.mean().item()
        assert row["overconfidence"] == pytest.approx(100 * (sure - right.mean()), abs=0.01)
    assert float(rows["none", "0"]["lost"]) == 0


def test_means_are_over_kinds_and_the_interval_over_photographs(result):
    hits = [(result.at(kind, 3).predictions == result.clean.labels).double() for kind in KINDS]
    mean = torch.stack(hits).mean(0)
    found = result.accuracy(3)
    assert found.mean == pytest.approx(100 * mean.mean().item())
    assert found.high - found.mean == pytest.approx(2.0096 * 100 * mean.std().item() / 50**0.5, rel=1e-3)


def test_strong_corruptions_cost_and_weak_ones_less(result):
    assert result.at("noise", 5).accuracy.high < result.clean.accuracy.low
    assert result.lost("noise", 5).low > 0
    assert result.lost("contrast", 1).mean < result.lost("contrast", 5).mean
    assert "noise costs most" in in_sentences(result)[2]
    assert in_sentences(result)[1].startswith("These are 50 photographs: intervals are wide")


def test_the_one_that_is_shown_is_right_as_it_is_where_there_is_one(result):
    shown = result.typical()
    assert result.clean.predictions[shown] == result.clean.labels[shown]
    wrong = replace(result.clean, labels=(result.clean.predictions + 1) % 10)
    assert 0 <= replace(result, found=result.found | {("none", 0): wrong}).typical() < 50


def test_the_command_writes_a_page_that_is_whole_and_a_table(folders, tmp_path, capsys):
    words = ["stress", str(folders / "model"), str(folders / "test"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(words) == 0
    printed, drawn = capsys.readouterr()
    assert not drawn
    for said in ("1  copy", "1  corrupt file", "50 photographs goes 36 times through", "as they are", "severity 3"):
        assert said in printed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "stress.csv"]
    assert len((tmp_path / "out" / "stress.csv").read_text().splitlines()) == 1 + 1 + 7 * 5
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 1 + 7 * 5
    assert all(p["src"].startswith("data:image/") and len(p["alt"]) > 5 for p in pictures)
    words = " ".join(page.words)
    for said in (
        *CORRUPTIONS,
        "after resizing and cropping",
        "by chance alone",
        "Wilson",
        "broken.png",
        "intervals are w",
    ):
        assert said in words


def test_a_table_of_labels_and_classes_of_which_there_is_no_photograph(folders, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command_stress, "stress", partial(stress, kinds=["contrast"]))
    shutil.copytree(folders / "test" / "1", tmp_path / "flat")
    names = sorted(path.name for path in (tmp_path / "flat").iterdir())
    (tmp_path / "labels.csv").write_text("file,label\n" + "\n".join(f"{name},1" for name in names), encoding="utf-8")
    words = ["stress", str(folders / "model"), str(tmp_path / "flat"), "--csv", str(tmp_path / "labels.csv")]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "5 photographs of 1 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL", "FOREIGN"], "FOREIGN: the classes 'cat' are not among those to learn from"),
        (["nowhere", "TEST"], "the folder of a saved classifier was expected"),
        (["MODEL", "nowhere"], "nowhere does not exist"),
        (["MODEL", "ONE"], "1 usable photographs were found. Expected at least 2"),
        (["MODEL", "TEST", "--device", "abacus"], "the device is 'abacus'"),
        (["MODEL", "TEST", "--out", "MODEL"], "which would be lost"),
        (["MODEL", "TEST", "--out", "TEST/out"], "lies in the folder of photographs"),
        (["MODEL", "TEST", "--out", "MODEL/out"], "lies in the folder of the classifier"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(folders, tmp_path, capsys, words, message):
    for name, label in (("FOREIGN", "cat"), ("ONE", "1")):
        (tmp_path / name / label).mkdir(parents=True)
        shutil.copy(sorted((folders / "test" / "1").glob("*.png"))[0], tmp_path / name / label)
    places = {"MODEL": folders / "model", "TEST": folders / "test", "FOREIGN": tmp_path / "FOREIGN"}
    for name, place in (places | {"ONE": tmp_path / "ONE"}).items():
        words = [word.replace(name, str(place)) for word in words]
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    assert main(["stress", *words, *out]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in (folders / "model").iterdir()) == sorted(FILES)
