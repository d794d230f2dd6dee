"""`tlcourse adapt`: what it writes and says, that no label of the target changes a bit of it, and what it refuses."""

import csv
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from tlcourse.cli import main
from tlcourse.data.worlds import load
from tlcourse.photos import adapting, command_adapt
from tlcourse.photos.adaptation_page import results, warnings
from tlcourse.photos.adapting import METHODS
from tlcourse.photos.classifier import FILES, load_classifier
from tlcourse.photos.crossing import PREDICTIONS
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.photoset import in_order_of_content
from tlcourse.photos.read import open_photo
from tlcourse.photos.scan import scan, scan_unlabelled

REAL = Path(os.environ.get("TLCOURSE_REAL_DATA", "not set"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three handwritten digits as the source; the same over a photograph as the target, one of them twice."""
    root = tmp_path_factory.mktemp("photos")
    for name, world, count in (("source", "handwritten", 6), ("target", "handwritten-photo", 5)):
        data = load(world).few(count)
        write_image_folder(data.subset(data.labels < 3), root / name)
    shutil.copy(root / "target" / "1" / sorted(os.listdir(root / "target" / "1"))[0], root / "target" / "copy.png")
    return root


def adapt(root, out, *more, target="target"):
    words = ["adapt", str(root / "source"), str(root / target), "--backbone", "tiny_resnet", "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapting, "UPDATES", 20)
        return main([*words, "--out", str(out), *map(str, more)])


@pytest.fixture(scope="module")
def adapted(folders):
    """The folder that was written; what was printed lies in a file beside it."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        assert adapt(folders, folders / "out") == 0
    (folders / "printed.txt").write_text(stream.getvalue(), encoding="utf-8")
    return folders / "out"


def rows(out):
    return {row["file"]: row for row in csv.DictReader(io.StringIO((out / PREDICTIONS).read_text(encoding="utf-8")))}


def test_what_is_written_is_a_classifier_that_answers_as_the_table_says(adapted, folders):
    assert sorted(path.name for path in adapted.iterdir()) == sorted([*FILES, PREDICTIONS])
    said, classifier = rows(adapted), load_classifier(adapted)
    assert len(said) == 16
    assert classifier.classes == ("0", "1", "2")
    for file, row in said.items():
        answer, chance = classifier.classify(folders / "target" / file, top=1)[0]
        assert (answer, chance) == (row["class"], pytest.approx(float(row["probability"]), abs=1e-3))
    assert classifier.card.training["method"].split(":")[0] in METHODS


def test_what_is_printed_begins_with_what_is_not_read_and_says_what_the_choice_rests_on(adapted, folders):
    printed = (folders / "printed.txt").read_text(encoding="utf-8")
    assert "no label is read. Its 3 subfolders ('0', '1', '2') are ignored" in printed.splitlines()[0]
    for expected in (*METHODS, "15 photographs without labels will be used", "Chosen: ", "nats", "That may be wrong"):
        assert expected in printed
    assert "right on target" not in printed


def test_the_page_needs_nothing_from_anywhere(adapted):
    text = (adapted / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|url\(", text)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)', text))
    for expected in ("Methods side by side", "What nobody knows", "Answers that adaptation changed", "from source to"):
        assert expected in text


def test_neither_labels_nor_names_of_folders_change_a_bit(adapted, folders, capsys):
    said = rows(adapted)
    (folders / "renamed").mkdir()
    for old, new in (("0", "2"), ("1", "zero"), ("2", "1")):
        shutil.copytree(folders / "target" / old, folders / "renamed" / new)
    files = sorted((folders / "renamed").glob("*/*.png"))
    table = ["file,label", *(f"{path.parent.name}/{path.name},{int(path.stem) % 3}" for path in files)]  # some wrong
    (folders / "renamed" / "labels.csv").write_text("\n".join([*table, "gone.png,1"]), encoding="utf-8")
    assert adapt(folders, folders / "again", "--labels", "labels.csv", target="renamed") == 0
    printed = capsys.readouterr().out
    by_stem = {Path(file).stem: list(row.values())[1:] for file, row in rows(folders / "again").items()}
    assert by_stem == {Path(file).stem: list(row.values())[1:] for file, row in said.items() if file != "copy.png"}
    ours, theirs = (load_classifier(out).model.state_dict() for out in (adapted, folders / "again"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert "right on target (%)" in printed
    assert "On the labels of the target, which had no part in any choice" in printed
    assert "row 17 of labels.csv names 'gone.png', which is not there" in printed
    assert "copy of" not in printed


def test_an_order_by_content_is_the_same_whatever_the_names(folders):
    photos = inspect(scan_unlabelled(folders / "target"), at_least=1, progress=False).photos
    shuffled = photos.subset(torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)))
    assert in_order_of_content(photos).paths == in_order_of_content(shuffled).paths != photos.paths


def test_photographs_of_both_folders_are_warned_of(folders):
    source = inspect(scan(folders / "source"), progress=False)
    target = inspect(scan_unlabelled(folders / "target"), at_least=1, progress=False)
    assert (
        "18 photographs of the target look like one of the source (18 equal" in command_adapt.in_both(source, source)[0]
    )
    assert command_adapt.in_both(source, target) == []


class Said:
    """Enough of a result for what is said of it."""

    classes, chosen = ("cat", "dog", "cow"), "coral"

    def __init__(self, counts):
        self._counts, one = counts, type("Part", (), {"counts": lambda part: {"cat": 5, "dog": 5, "cow": 5}})()
        self.train = self.validation = one

    def counts(self, name):
        return self._counts


def test_a_class_that_vanishes_or_dominates_is_warned_of():
    gone, often = warnings(Said([18, 0, 2]))
    assert "no photograph of the target is taken for 'dog'" in gone
    assert "'cat' is answered more than 2.5 times as often" in often
    assert warnings(Said([9, 6, 5])) == []


def test_labels_are_said_to_have_chosen_nothing_and_harm_is_told():
    from tlcourse.evaluation.intervals import Interval

    said = " ".join(results(Said([9, 6, 5]), {"source": Interval(70, 60, 80), "coral": Interval(50, 40, 60)}))
    assert "Adaptation did not help: without it, 70.0 [60.0, 80.0] %" in said
    assert "source would have been right on 70.0" in said
    assert results(Said([9, 6, 5]), {}) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SOURCE", "SOURCE"], "SOURCE and TARGET are both"),
        (["SOURCE", "SOURCE/1"], "lie in one another"),
        (["SOURCE", "EMPTY"], "holds no file"),
        (
            ["HALVES", "TARGET"],
            r"HALVES/train\? .*adapt holds some of SOURCE out by itself, and takes another part as TARGET",
        ),
        (["SOURCE", "nowhere"], "nowhere does not exist"),
        (["SOURCE", "ONE"], "the target has 1 usable photographs. Expected at least 2"),
        (["CLASS", "TARGET"], "1 classes were found"),
        (["SOURCE", "TARGET", "--method", "mmc"], "no method 'mmc'. Did you mean 'mcc'"),
        (["SOURCE", "TARGET", "--backbone", "tiny_resnot"], "Did you mean 'tiny_resnet'"),
        (["SOURCE", "TARGET", "--weights", "nothing.pth"], "could not read nothing.pth"),
        (["SOURCE", "TARGET", "--labels", "strange.csv"], "has the classes 'seven', which the source lacks"),
        (["SOURCE", "TARGET", "--labels", "other.csv"], "no row of .*other.csv names a file"),
        (["SOURCE", "TARGET", "--out", "TARGET/out"], "lies in the folder of photographs"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(folders, tmp_path, capsys, words, message):
    places = {"SOURCE": folders / "source", "TARGET": folders / "target"}
    for name in ("EMPTY", "ONE", "CLASS", "HALVES"):
        places[name] = tmp_path / name
        places[name].mkdir()
    first = sorted((folders / "source" / "0").iterdir())
    shutil.copy(first[0], places["ONE"])
    shutil.copytree(folders / "source" / "0", places["CLASS"] / "0")
    for half in ("train", "test"):
        shutil.copytree(folders / "source", places["HALVES"] / half)
    file = sorted((folders / "target" / "0").iterdir())[0].name
    (tmp_path / "strange.csv").write_text(f"file,label\n0/{file},seven\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("file,label\n0/gone.png,1\n", encoding="utf-8")
    words = [re.sub("|".join(places), lambda found: str(places[found[0]]), word) for word in words]
    words = [str(tmp_path / word) if word.endswith(".csv") else word for word in words]
    defaults = ["--backbone", "tiny_resnet", "--out", str(tmp_path / "out")]
    assert main(["adapt", *words[:2], *defaults, *words[2:]]) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
    assert not (folders / "target" / "out").exists()


@pytest.mark.parametrize("where", ["inspect", "adapt_photos", "adaptation_page"])
def test_ctrl_c_leaves_what_was_there(adapted, folders, capsys, monkeypatch, where):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    before = {path.name: path.read_bytes() for path in adapted.iterdir()}
    monkeypatch.setattr(command_adapt, where, stop)
    assert adapt(folders, adapted, "--method", "source") == 130
    assert capsys.readouterr().err == "\nstopped. Nothing was written.\n"
    assert {path.name: path.read_bytes() for path in adapted.iterdir()} == before


# on real photographs


def another_camera(path, draws):
    """A warm cast, less contrast, noise, blur, and JPEG of low quality."""
    pixels = np.asarray(open_photo(path), dtype=np.float32)
    pixels = (pixels - pixels.mean()) * draws.uniform(0.5, 0.65) + pixels.mean()
    pixels = pixels * [1.15, 1.0, 0.7] + [12, 0, -8] + draws.normal(0, 6, pixels.shape)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 160))


@pytest.mark.skipif(not REAL.is_dir(), reason="TLCOURSE_REAL_DATA names no folder of real photographs")
def test_real_photographs_through_another_camera(tmp_path, capsys):
    draws, table = np.random.default_rng(0), ["file,label"]
    for path in sorted((REAL / "groceries" / "test").glob("*/*"))[::4]:
        (tmp_path / "target").mkdir(exist_ok=True)
        file = f"{len(table)}.jpg"
        another_camera(path, draws).save(tmp_path / "target" / file, quality=25)
        table.append(f"{file},{path.parent.name}")
    (tmp_path / "labels.csv").write_text("\n".join(table), encoding="utf-8")
    words = ["adapt", str(REAL / "groceries" / "train"), str(tmp_path / "target"), "--out", str(tmp_path / "out")]
    words += ["--weights", str(REAL / "imagenet_weights" / "mobilenet_v2.pth"), "--side", "96"]
    assert main([*words, "--labels", str(tmp_path / "labels.csv"), "--method", "coral"]) == 0
    printed = capsys.readouterr().out
    source, coral = (float(re.search(rf"^{name}[ *]+([\d.]+) \[", printed, re.M)[1]) for name in ("source", "coral"))
    assert min(source, coral) > 30  # a tenth is chance


@pytest.mark.skipif(not REAL.is_dir(), reason="TLCOURSE_REAL_DATA names no folder of real photographs")
def test_the_same_photographs_enlarged_are_noticed(tmp_path, capsys):
    for path in sorted((REAL / "cifar10_tiny").glob("*/*.png")):
        (tmp_path / "target").mkdir(exist_ok=True)
        large = open_photo(path).resize((96, 96), Image.Resampling.BICUBIC)
        large.save(tmp_path / "target" / f"{path.parent.name}{path.name}")
    words = ["adapt", str(REAL / "cifar10_tiny"), str(tmp_path / "target"), "--out", str(tmp_path / "out")]
    assert main([*words, "--backbone", "tiny_resnet", "--method", "coral"]) == 0
    assert "100 photographs of the target look like one of the source" in capsys.readouterr().out
