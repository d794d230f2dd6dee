"""`tlcourse finetune` and `tlcourse predict`: what they write and print, and what happens when something is wrong."""

import io
import json
import re
import shutil
from html.parser import HTMLParser

import pytest
import torch

from tlcourse.cli import main
from tlcourse.data.downloads import DownloadError
from tlcourse.data.worlds import load
from tlcourse.models.pretrained import FOLDER
from tlcourse.photos import command_finetune as finetune
from tlcourse.photos import options
from tlcourse.photos.classifier import CARD, FILES, load_classifier
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.report import confusion_rows, frequent_mistakes

LETTERS = FOLDER / "tiny_resnet-letters.safetensors"
ODD = "日本 <b>&.png"  # a name that must be text on the page


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten classes of twelve pictures, with a broken file, a text, and a copy with an odd name."""
    folder = write_image_folder(load("handwritten-photo").few(12), tmp_path_factory.mktemp("photos") / "digits")
    first = sorted((folder / "3").glob("*.png"))[0]
    (folder / "3" / ODD).write_bytes(first.read_bytes())
    (folder / "4" / "broken.png").write_bytes(first.read_bytes()[:200])
    (folder / "5" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "model"
    words = ["finetune", str(photos), "--backbone", "tiny_resnet", "--out", str(out), "--epochs", "1", "--no-mirror"]
    assert main([*words, "--device", "cpu", "--recipe", "gentle"]) == 0
    return out


class Page(HTMLParser):
    """Collects tags, attributes and text; complains about tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


# finetune


def test_the_folder_holds_a_classifier_and_its_report(trained, photos):
    assert sorted(path.name for path in trained.iterdir()) == sorted(FILES)
    classifier = load_classifier(trained)
    assert classifier.classes == tuple("0123456789")
    assert sum(classifier.card.counts.values()) == 120
    training = classifier.card.training
    assert "gentle recipe: 1 epochs, batches of 16, rate up to 0.0001" in training.get(
        "recipe", training.get("tried and dropped")
    )
    assert sorted(path.name for path in photos.iterdir()) == list("0123456789")


def test_the_page_is_whole_and_needs_nothing_from_anywhere(trained):
    text = (trained / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    sources = [a["src"] for tag, a in page.tags if tag == "img"]
    assert len(sources) > 2
    assert all(source.startswith("data:image/") for source in sources)
    assert all(len(a.get("alt", "")) > 5 for tag, a in page.tags if tag == "img")
    assert not re.search(r"https?://|<script|url\(", text)
    assert "prefers-color-scheme: dark" in text
    assert not [tag for tag, _ in page.tags if tag == "b" and ODD in text]
    words = " ".join(page.words)
    for expected in (ODD, "broken.png", "notes.txt", "95 % interval", "Surest mistakes", "Class by class", "Training"):
        assert expected in words


def test_the_probe_alone_and_what_is_printed(photos, tmp_path, capsys):
    words = ["finetune", str(photos), "--backbone", "tiny_resnet", "--out", str(tmp_path / "m"), "--probe-only"]
    assert main(words) == 0
    printed, drawn = capsys.readouterr()
    assert not drawn  # no progress bar: nobody watches
    for expected in ("Nothing on disk was changed", "1  copy", "20 test photographs: accuracy", "saved in", "predict"):
        assert expected in printed
    assert "Fine-tuning" not in printed
    assert "Training" not in (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    assert "recipe" not in load_classifier(tmp_path / "m").card.training


def test_a_table_of_labels_and_a_test_folder(photos, tmp_path, capsys):
    rows = [
        f"{p.parent.name}/{p.name},{'round' if p.parent.name in '0689' else 'straight'}" for p in photos.glob("?/*.png")
    ]
    (tmp_path / "labels.csv").write_text("file,label\n" + "\n".join(sorted(rows)), encoding="utf-8")
    write_image_folder(load("handwritten-photo", split="test").few(3), tmp_path / "test")
    options = ["--backbone", "tiny_resnet", "--probe-only", "--out", str(tmp_path / "m")]
    assert main(["finetune", str(photos), *options, "--csv", str(tmp_path / "labels.csv")]) == 0
    assert load_classifier(tmp_path / "m").classes == ("round", "straight")
    assert main(["finetune", str(photos), *options, "--test", str(tmp_path / "test")]) == 0
    assert load_classifier(tmp_path / "m").card.counts["test"] == 30
    assert "30 test photographs" in capsys.readouterr().out


def test_a_copy_of_the_folder_as_the_test_leaves_nothing_to_learn_from_and_says_so(photos, tmp_path, capsys):
    shutil.copytree(photos, tmp_path / "copy")
    words = ["finetune", str(photos), "--backbone", "tiny_resnet", "--test", str(tmp_path / "copy")]
    assert main([*words, "--out", str(tmp_path / "m")]) == 1
    said = capsys.readouterr().err
    assert re.search(r"in '0' \(0\), .* beside the 120 that are, or look like, photographs of the test", said)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backbone", "mobilenet_v9"], r"no network 'mobilenet_v9'\. Did you mean 'mobilenet_v2'"),
        (["--backbone", "tiny_resnet", "--epochs", "0"], "--epochs is 0"),
        (["--backbone", "tiny_resnet", "--device", "abacus"], "the device is 'abacus'"),
        (["--backbone", "tiny_resnet", "--weights", "nothing.pth"], "could not read nothing.pth"),
        (["--backbone", "mobilenet_v2", "--weights", str(LETTERS)], r"letters.safetensors do not fit mobilenet_v2"),
        (["--backbone", "small_cnn", "--weights", str(LETTERS)], r"letters.safetensors do not fit SmallCNN.*missing"),
        (["--backbone", "tiny_resnet", "--test", "nowhere"], "nowhere does not exist"),
        (
            ["--backbone", "tiny_resnet", "--test", "PHOTOS/."],
            r"FOLDER and --test are both .*or leave --test out: a fif",
        ),
        (
            ["--backbone", "tiny_resnet", "--test", "PHOTOS/1"],
            "digits/1 lie in one another, .* two folders side by side. Such as",
        ),
        (["--backbone", "tiny_resnet", "--out", "."], "holds .*which would be lost"),
        (["--backbone", "tiny_resnet", "--out", "PHOTOS/model"], "lies in the folder of photographs"),
    ],
)
def test_wrong_arguments(photos, tmp_path, capsys, words, message):
    assert (
        main(
            [
                "finetune",
                str(photos),
                "--out",
                str(tmp_path / "m"),
                *[word.replace("PHOTOS", str(photos)) for word in words],
            ]
        )
        == 1
    )
    printed, said = capsys.readouterr()
    assert re.search(message, said)
    assert "will be used" not in printed or "nowhere" in words  # found before the folder is looked at
    assert not list(tmp_path.iterdir())


def test_without_network_the_error_says_what_works(photos, tmp_path, capsys, monkeypatch):
    def unreachable(*arguments, **options):
        raise DownloadError("could not download https://example.org/mobilenet.pth: no route to host.")

    monkeypatch.setattr(options, "photo_network", unreachable)
    assert main(["finetune", str(photos), "--out", str(tmp_path / "m")]) == 1
    said = capsys.readouterr().err
    assert "no route to host" in said
    assert "--weights FILE" in said
    assert "or take tiny_resnet, which came with the course and works offline" in said


@pytest.mark.parametrize("where", ["look", "train_on_photos", "report_page"])
def test_ctrl_c_leaves_the_older_model(trained, photos, tmp_path, capsys, monkeypatch, where):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    before = (trained / CARD).read_bytes()
    monkeypatch.setattr(finetune, where, stop)
    words = ["finetune", str(photos), "--backbone", "tiny_resnet", "--out", str(trained), "--probe-only"]
    assert main(words) == 130
    assert capsys.readouterr().err == "\nstopped. Nothing was written.\n"
    assert (trained / CARD).read_bytes() == before
    assert sorted(path.name for path in trained.parent.iterdir()) == ["model"]


# predict


def test_one_bad_photograph_does_not_stop_the_others(trained, photos, capsys):
    good = sorted((photos / "7").glob("*.png"))[0]
    pattern = str(photos / "7" / "*.png")  # expanded where the terminal does not
    words = ["predict", str(trained), str(photos / "5"), pattern, "gone.jpg", ""]
    assert main([*words, "--top", "2"]) == 1
    out, err = capsys.readouterr()
    lines = out.strip().splitlines()
    assert len(lines) == 24
    assert all(re.fullmatch(r".*\.png: \d [\d.]+ %, \d [\d.]+ %", line) for line in lines)
    assert "notes.txt" in err
    assert "gone.jpg" in err
    assert main(["predict", str(trained), str(good), "gone.jpg", "--json", "--top", "10"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["image"] == str(good)
    expected = load_classifier(trained).classify(good, top=10)
    assert [answer["class"] for answer in first["answers"]] == [answer.label for answer in expected]
    assert sum(answer["probability"] for answer in first["answers"]) == pytest.approx(1, abs=1e-4)
    assert "gone.jpg" in second["error"]
    assert main(["predict", str(trained), str(good)]) == 0
    assert main(["predict", "nowhere", "x.png"]) == 1
    assert "the folder of a saved classifier was expected" in capsys.readouterr().err
    assert main(["predict", str(trained), str(good), "--top", "0"]) == 1
    assert "--top is 0" in capsys.readouterr().err


# parts of the page


def test_very_many_classes_get_a_list_instead_of_a_matrix_and_one_mistake_is_pale():
    classes = [f"class {i}" for i in range(50)]
    confusion = 5 * torch.eye(50, dtype=torch.int64)
    confusion[3, 7] = 4
    confusion[8, 2] = 1
    assert frequent_mistakes(confusion, classes) == [("class 3", "class 7", 4), ("class 8", "class 2", 1)]
    assert confusion_rows(confusion, classes) == []
    name, cells = confusion_rows(confusion[:10, :10], classes[:10])[8]
    assert name == "class 8"
    assert cells[2] == (1, pytest.approx(0.2))


def test_a_terminal_that_knows_few_letters(trained, photos, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["predict", str(trained), str(photos / "3" / ODD)]) == 0
    assert rb"/\u65e5\u672c <b>&.png: " in terminal.buffer.getvalue()
