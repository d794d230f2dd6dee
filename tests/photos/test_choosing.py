"""`tlcourse choose`: every number against its definition, what it advises and why, and what bad input gets."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model

from tlcourse.cli import main
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import paired_difference, t_interval
from tlcourse.models.pretrained import FOLDER
from tlcourse.photos import choosing, command_choose
from tlcourse.photos.choice_page import choice_rows
from tlcourse.photos.choosing import FOLDS, Judged, judge, probe_folds, ranked
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.networks import about_weights, weights_in
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.probe import CachedFeatures
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import set_test_aside, train_validation_test
from tlcourse.repro import generator, seeded
from tlcourse.storage import save_tensors
from tlcourse.transfer.transferability import logme

REAL = Path(os.environ.get("TLCOURSE_REAL_DATA", "not set"))
LETTERS = FOLDER / "tiny_resnet-letters.safetensors"
SMALL = "shufflenet_v2_x0_5"  # of torchvision


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four classes of ten pictures."""
    images = load("handwritten-photo").few(10)
    return write_image_folder(images.subset(images.labels < 4), tmp_path_factory.mktemp("photos") / "digits")


@pytest.fixture(scope="module")
def photos(folder):
    return inspect(scan(folder), progress=False).photos


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with random weights of a network of torchvision."""
    place = tmp_path_factory.mktemp("weights")
    with seeded("weights of a test"):
        save_tensors(place / f"{SMALL}.pth", get_model(SMALL, weights=None).state_dict())
    return place


# what is measured


def test_the_probe_answers_photographs_that_had_no_part_in_it():
    """Classes that a line divides are read; labels at random are not, however many features there are."""
    x, y = torch.randn(100, 300, generator=generator("x")), torch.arange(100) % 4
    groups = torch.arange(100)
    apart = x.clone()
    apart[torch.arange(100), y] += 30
    assert probe_folds(CachedFeatures(apart, y), groups, 4) == [100] * FOLDS
    assert sum(probe_folds(CachedFeatures(x, y), groups, 4)) / FOLDS < 45


def test_near_duplicates_do_not_help():
    """Each photograph of noise stands there twice: torn apart, the pairs would give all answers away."""
    x, y = torch.randn(60, 300, generator=generator("x")), torch.arange(60) % 3
    twice = CachedFeatures(x.repeat(2, 1), y.repeat(2))
    pairs = torch.arange(60).repeat(2)
    assert sum(probe_folds(twice, pairs, 3)) / FOLDS < 60
    assert sum(probe_folds(twice, torch.arange(120), 3)) / FOLDS > 85


def test_a_backbone_is_judged_by_its_features(photos):
    found = judge(photos, "tiny_resnet", progress=False, device="cpu")
    model, preprocessing = choosing.photo_network("tiny_resnet", 4)
    known = choosing.cache_features(model, choosing.open_photos(photos, preprocessing, progress=False))
    assert found.score == pytest.approx(logme(*known), abs=1e-6)
    assert found.accuracy.mean == pytest.approx(t_interval(found.folds).mean)
    assert found.accuracy.mean > 40
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.megabytes == pytest.approx(4 * found.parameters / 2**20, rel=0.02)
    assert (found.origin, found.licence) == ("came with the course", "MIT")


def test_the_photographs_that_finetune_tests_on_stay_apart(photos):
    for seed in (0, 3):
        parts = train_validation_test(photos, seed=seed)
        test, rest, *_ = set_test_aside(photos, seed=seed)
        assert test.paths == parts.test.paths
        assert sorted(rest.paths) == sorted(parts.train.paths + parts.validation.paths)


# what is advised

FOLDS_OF_A = (90.0, 92.0, 88.0, 91.0, 89.0)


def judged(name, folds, megabytes, score=0.0):
    return Judged(name, "somewhere", "unknown", score, tuple(folds), 1000, megabytes, 1.0)


def choice_of(*backbones, sizes=(50, 50)):
    labels = torch.tensor([0] * sizes[0] + [1] * sizes[1])
    names = tuple(map(Path, map(str, range(len(labels)))))
    return ranked(PhotoSet(names, labels, ("a", "b"), torch.arange(len(labels))), backbones)


def test_where_the_difference_is_open_the_smallest_is_advised_and_it_says_what_may_be_lost():
    small = judged("small", [share + d for share, d in zip(FOLDS_OF_A, (-4, 2, -3, 1, -1), strict=True)], 5)
    choice = choice_of(judged("large", FOLDS_OF_A, 90, score=1.0), small, judged("poor", [50] * 5, 1))
    off = paired_difference(small.folds, FOLDS_OF_A)
    assert off.low < 0 < off.high
    assert choice.best.name == "large"
    assert choice.advised is small
    said = " ".join(choice.reasons())
    assert said.startswith("Take small, the smallest of 2 that these photographs do not tell apart.")
    assert f"difference is open ({off} points): up to {-off.low:.1f} points may be lost, for 5.0 MB in place of" in said
    assert "LogME puts large first, as the probe does." in said
    assert [row[4] for row in choice_rows(choice)] == ["highest", "open", "lower"]


def test_where_every_other_is_below_the_best_is_advised_whatever_its_size():
    lower = [share - 5 - d for share, d in zip(FOLDS_OF_A, (0, 1, 0, 1, 0), strict=True)]
    choice = choice_of(judged("small", lower, 5, score=2.0), judged("large", FOLDS_OF_A, 90))
    assert choice.advised.name == "large"
    assert choice.reasons()[0] == "Take large: every other is seen to be below it."
    assert "LogME puts small first; it comes without an interval, so the probe decides." in choice.reasons()


def test_where_the_best_is_the_smallest_it_says_that_it_is_open_whether_it_is_better():
    choice = choice_of(judged("small", FOLDS_OF_A, 5), judged("large", FOLDS_OF_A[::-1], 90))
    assert choice.advised.name == "small"
    assert "That it is better than large is open." in choice.reasons()


def test_equals_are_open_and_the_smaller_comes_first():
    choice = choice_of(judged("large", [100] * 5, 90), judged("small", [100] * 5, 5))
    assert [one.name for one in choice.judged] == ["small", "large"]
    assert len(choice.not_worse) == 2


def test_one_backbone_alone_is_measured_and_compared_with_nothing():
    said = choice_of(judged("only", FOLDS_OF_A, 5)).reasons()
    assert said[0] == "Only only was named: there is nothing to compare."
    assert "90.0 [88.0, 92.0] %" in said[1]
    assert len(said) == 2


def test_what_is_no_better_than_the_largest_class_is_told_as_that():
    one, other = judged("one", FOLDS_OF_A, 5), judged("other", [50] * 5, 1)
    assert not any(sentence.startswith("But") for sentence in choice_of(one, other).reasons())
    said = choice_of(one, other, sizes=(90, 10)).reasons()[-1]
    assert said.startswith("But it is not seen to be better than always answering 'a', which is right on 90.0 %")


def test_no_share_is_above_100():
    assert judged("one", (100, 100, 100, 98, 100), 5).accuracy.high == 100
    assert judged("one", (0, 0, 2, 0, 0), 5).accuracy.low == 0


# files of weights


def test_weights_are_found_by_the_name_of_the_backbone(weights, tmp_path):
    assert weights_in(weights, SMALL) == weights / f"{SMALL}.pth"
    assert about_weights(SMALL, weights / f"{SMALL}.pth") == (f"{SMALL}.pth", "unknown")
    assert about_weights(SMALL, "DEFAULT") == ("torchvision's default", "none stated")
    hashed = tmp_path / "mobilenet_v2-b0353104.pth"
    hashed.write_bytes(b"")
    assert weights_in(tmp_path, "mobilenet_v2") == hashed
    (tmp_path / "mobilenet_v2.safetensors").write_bytes(b"")
    assert weights_in(tmp_path, "mobilenet_v2").suffix == ".safetensors"
    assert weights_in(tmp_path, "tiny_resnet") == "DEFAULT"  # it came with the course
    assert weights_in(None, "resnet18") == "DEFAULT"


# the command


def choose(folder, *words):
    return main(["choose", str(folder), "--device", "cpu", *map(str, words)])


def test_a_table_an_advice_and_a_page(folder, weights, tmp_path, capsys):
    page = tmp_path / "choice.html"
    named = f"tiny_resnet, {SMALL}"
    assert choose(folder, "--backbones", named, "--weights-dir", weights, "--side", 32, "--out", page) == 0
    printed, drawn = capsys.readouterr()
    assert not drawn  # no progress bar: nobody watches
    assert re.search(r"Judged by 32 photographs; 8 others stay apart", printed)
    assert re.search(r"^tiny_resnet +-?0\.\d+ +[\d.]+ \[[\d., ]+\] .* MIT$", printed, re.MULTILINE)
    assert re.search(rf"^{SMALL} .* (lower|open) .* unknown$", printed, re.MULTILINE)
    assert "Judging tiny_resnet (1 of 2), weights: came with the course." in printed
    assert f"Judging {SMALL} (2 of 2), weights: {SMALL}.pth." in printed
    assert "Take tiny_resnet" in printed
    assert f"Next: tlcourse finetune {folder} --backbone tiny_resnet --side 32 --out model" in printed
    text = page.read_text(encoding="utf-8")
    for expected in ("Which backbone for digits?", "Take tiny_resnet", "came with the course", "Nothing looked wrong"):
        assert expected in text
    assert not re.search(r"https?://|<script|url\(", text)
    assert text.count("<h1>") == 1
    assert 'src="data:image/png' in text


def test_with_a_test_folder_all_others_judge_but_copies(folder, tmp_path, capsys):
    others = load("handwritten-photo", split="test").few(2)
    test = write_image_folder(others.subset(others.labels < 4), tmp_path / "test")
    first = sorted((folder / "3").iterdir())[0]
    (test / "3" / "copy.png").write_bytes(first.read_bytes())
    assert choose(folder, "--backbones", "tiny_resnet", "--test", test) == 0
    printed = capsys.readouterr().out
    assert "Judged by 39 photographs; 9 others stay apart" in printed
    assert f"is among the test photographs: {first}" in printed
    assert "Only tiny_resnet was named" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backbones", "mobilnet_v2,resnet18"], "no network 'mobilnet_v2'. Did you mean 'mobilenet_v2'"),
        (["--backbones", ""], "--backbones is '', but names were expected, such as mobilenet_v2,resnet18."),
        (["--backbones", " ,"], "--backbones is ' ,', but names were expected"),
        (["--backbones", "tiny_resnet,tiny_resnet"], "names tiny_resnet twice. Expected each once."),
        (["--backbones", "resnet18", "--weights-dir", "WEIGHTS"], "resnet18.safetensors, resnet18-f37072fd.pth."),
        (
            ["--backbones", "vgg11,tiny_resnet,resnet18", "--weights-dir", "WEIGHTS"],
            "\nWEIGHTS holds no weights for resnet18",
        ),
        (["--backbones", "resnet18,vgg11", "--weights-dir", "WEIGHTS"], "WEIGHTS holds no weights for vgg11. Expected"),
        (["--backbones", "tiny_resnet", "--test", "PHOTOS"], "FOLDER and --test are both PHOTOS. Expected two folders"),
        (["--backbones", "resnet18", "--weights-dir", "nowhere"], "--weights-dir is nowhere, but a folder"),
        (["--backbones", "tiny_resnet", "--out", "photo.jpg"], "the name of a page was expected, which ends in .html"),
        (["--backbones", "tiny_resnet", "--out", "PHOTOS/x.html"], "lies in the folder of photographs"),
        (
            ["--backbones", "tiny_resnet", "--test", "WEIGHTS", "--out", "WEIGHTS/x.html"],
            "lies in the folder of photographs",
        ),
        (["--backbones", "tiny_resnet", "--out", "FOLDER.html"], "FOLDER.html is a folder, but the name of a file"),
        (["--backbones", "tiny_resnet,small_cnn", "--side", "64"], "SmallCNN was to see 64 x 64 pixels."),
    ],
)
def test_wrong_arguments_are_told_before_the_photographs_are_looked_at(
    folder, weights, tmp_path, capsys, words, message
):
    (tmp_path / "x.html").mkdir()
    places = {"WEIGHTS": weights, "PHOTOS": folder, "FOLDER.html": tmp_path / "x.html"}
    for name, place in places.items():
        words, message = [word.replace(name, str(place)) for word in words], message.replace(name, str(place))
    assert choose(folder, *words) == 1
    printed, said = capsys.readouterr()
    assert message in said
    assert not printed


def test_weights_of_another_network_are_refused(folder, weights, tmp_path, capsys):
    (tmp_path / "resnet18.pth").write_bytes((weights / f"{SMALL}.pth").read_bytes())
    assert choose(folder, "--backbones", "resnet18", "--weights-dir", tmp_path) == 1
    assert "resnet18.pth do not fit resnet18; nothing was loaded" in capsys.readouterr().err


def test_too_few_photographs_and_one_class(tmp_path, capsys):
    some = load("handwritten-photo").few(8)
    pair = write_image_folder(some.subset(some.labels < 2), tmp_path / "pair")
    for path in sorted((pair / "1").iterdir())[4:]:
        path.unlink()
    assert choose(pair, "--backbones", "tiny_resnet") == 1
    assert re.search(
        r"too few different photographs in '1' \(3\). Expected at least 2 classes and 5 .* beside those kept for the",
        capsys.readouterr().err,
    )
    one = write_image_folder(some.subset(some.labels < 1), tmp_path / "one")
    assert choose(one, "--backbones", "tiny_resnet") == 1
    assert "choose: one: 1 classes were found" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["look", "compare_backbones", "choice_page"])
def test_ctrl_c_writes_nothing(folder, tmp_path, capsys, monkeypatch, where):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_choose, where, stop)
    assert choose(folder, "--backbones", "tiny_resnet", "--out", tmp_path / "page.html") == 130
    assert capsys.readouterr().err == "\nstopped. Nothing was written.\n"
    assert not list(tmp_path.iterdir())


# on real photographs


@pytest.mark.skipif(not REAL.is_dir(), reason="TLCOURSE_REAL_DATA names no folder of real photographs")
def test_on_real_photographs_weights_from_imagenet_are_seen_to_be_better_than_random_ones(tmp_path):
    """Small pictures of a few fruits keep this short."""
    photos = inspect(scan(REAL / "groceries" / "train"), progress=False).photos
    photos = photos.subset(photos.labels < 4).few(10)
    photos = replace(photos, classes=photos.classes[:4])
    with seeded("random weights"):
        save_tensors(tmp_path / "random.pth", get_model("squeezenet1_0", weights=None).state_dict())
    files = {"squeezenet1_0": REAL / "imagenet_weights" / "squeezenet1_0.pth", "random": tmp_path / "random.pth"}
    found = [
        replace(judge(photos, "squeezenet1_0", file, side=96, progress=False), name=n) for n, file in files.items()
    ]
    choice = ranked(photos, found)
    assert choice.advised.name == "squeezenet1_0"
    assert len(choice.not_worse) == 1
    assert found[0].score > found[1].score
