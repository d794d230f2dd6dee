"""`tlcourse shrink`: what the smaller classifier answers, what is written, and what happens when something is wrong."""

import importlib.util
import json
import re

import pytest
import torch

from tests.weights import changed, copies
from tlcourse.cli import main
from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.models.pretrained import FOLDER
from tlcourse.models.tiny_resnet import NarrowResNet
from tlcourse.photos import onnx_export
from tlcourse.photos.classifier import CARD, WEIGHTS, load_classifier
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.networks import COURSE_PREPROCESSING, photo_network
from tlcourse.photos.student import as_seen, student_name
from tlcourse.storage import StorageError

LETTERS = FOLDER / "tiny_resnet-letters.safetensors"
needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in onnx_export.PACKAGES),
    reason="onnx, onnxscript and onnxruntime are not installed; python -m pip install 'tlcourse[onnx]' brings them",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten classes of nine pictures."""
    return write_image_folder(load("handwritten-photo").few(9), tmp_path_factory.mktemp("photos") / "digits")


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model"
    words = ["finetune", str(photos), "--backbone", "tiny_resnet", "--out", str(out), "--probe-only", "--no-mirror"]
    assert main([*words, "--device", "cpu", "--seed", "3"]) == 0
    return out


def shrink(trained, photos, out, *words):
    return main(["shrink", str(trained), str(photos), "--out", str(out), "--device", "cpu", *words])


def answers(folder, pictures):
    return load_classifier(folder).logits(pictures)


@pytest.fixture(scope="module")
def pictures(photos):
    return sorted(photos.rglob("*.png"))


def test_8_bits_a_quarter_of_the_file_and_predict_reads_it(trained, photos, pictures, tmp_path, capsys):
    out = tmp_path / "int8"
    before = (trained / WEIGHTS).read_bytes()
    assert shrink(trained, photos, out) == 0
    said = capsys.readouterr().out
    assert "dealt with seed 3" in said  # that of the training
    assert re.search(r"25\.\d % of the bytes. Of 20 test photographs, both take", said)
    assert (trained / WEIGHTS).read_bytes() == before
    assert 0.24 < (out / WEIGHTS).stat().st_size / len(before) < 0.27
    difference = (answers(out, pictures) - answers(trained, pictures)).abs().max()
    assert 0 < difference < 0.1 * answers(trained, pictures).abs().max()
    assert main(["predict", str(out), str(pictures[0]), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record[0]["answers"][0]["class"] in "0123456789"
    card = load_classifier(out).card
    assert card.counts == {"calibration": 60, "test": 20}
    assert card.training["made smaller"].startswith("int8: weights and sums in whole numbers of 8 bits")
    assert "answers as before, in %" in card.metrics


def test_a_student_is_another_network_and_predict_reads_it(trained, photos, pictures, tmp_path, capsys):
    out = tmp_path / "student"
    assert shrink(trained, photos, out, "--to", "student", "--epochs", "1", "--no-mirror") == 0
    said = capsys.readouterr().out
    assert "narrow_resnet learns what tiny_resnet answers" in said
    assert "4.1 million" in said
    assert "1.0 million" in said
    classifier = load_classifier(out)
    assert type(classifier.model) is NarrowResNet
    assert classifier.card.backbone == "narrow_resnet"
    assert classifier.preprocessing == COURSE_PREPROCESSING
    assert classifier.card.training["how it learned"].startswith("student's recipe: 1 epochs")
    assert "not mirrored" in classifier.card.training["how it learned"]
    assert classifier.logits(pictures[:2]).shape == (2, 10)


def test_a_student_learns_from_photographs_without_labels_too(trained, photos, tmp_path, capsys):
    others = write_image_folder(load("handwritten-photo", split="test").few(2), tmp_path / "others")
    words = ("--to", "student", "--epochs", "1", "--unlabelled", str(others))
    assert shrink(trained, photos, tmp_path / "student", *words) == 0
    assert re.search(r"and \d+ photographs without labels; kept: epoch 1", capsys.readouterr().out)


@needs_onnx
def test_the_export_answers_as_pytorch_does_on_photographs(trained, photos, tmp_path, capsys):
    out = tmp_path / "onnx"
    assert shrink(trained, photos, out, "--to", "onnx") == 0
    said = capsys.readouterr().out
    assert "both take 100.0" in said
    assert sorted(path.name for path in out.iterdir()) == ["MODEL_CARD.md", "model.onnx", CARD]
    assert 'InferenceSession("model.onnx")' in (out / "MODEL_CARD.md").read_text()
    assert main(["predict", str(out), "picture.png"]) == 1
    assert "holds a network for other programs, model.onnx. Expected model.safetensors" in capsys.readouterr().err
    assert main(["shrink", str(out), str(photos), "--out", str(tmp_path / "again")]) == 1


def test_an_export_that_answers_otherwise_is_refused():
    scores = torch.tensor([[3.0, -10.0]])
    assert onnx_export.check_export(scores, scores + 1e-4) == pytest.approx(1e-4, rel=0.1)
    for wrong in (scores + 0.1, scores * float("nan")):
        with pytest.raises(ValueError, match=r"answers otherwise, by up to .* Nothing was written"):
            onnx_export.check_export(scores, wrong)


def test_without_its_packages_the_export_says_how_to_get_them(trained, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx_is_not_here",))
    assert shrink(trained, photos, tmp_path / "onnx", "--to", "onnx") == 1
    assert "onnx_is_not_here could not be found" in (error := capsys.readouterr().err)
    assert "pip install 'tlcourse[onnx]'" in error
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "3"], "--epochs came with --to int8. Expected with --to student alone."),
        (["--to", "student", "--epochs", "0"], "--epochs is 0, but at least 1 was expected"),
        (["--to", "student", "--student", "tiny_resnet"], "tiny_resnet at 32 pixels has 4.1 million multiply-adds"),
        (["--to", "student", "--student", "narrow_resnett"], "Did you mean 'narrow_resnet'"),
        (["--to", "student", "--side", "64"], "narrow_resnet at 64 pixels has 4.0 million"),
        (["--to", "student", "--student", "tiny_resnet", "--side", "16"], "was to see 16 x 16 pixels"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_read(trained, tmp_path, capsys, words, message):
    if "64" in words:  # which is less than its teacher has, and allowed
        words = [*words, "--student-weights", "nothing.pth"]
        message = "could not read nothing.pth"
    assert shrink(trained, tmp_path / "no photographs", tmp_path / "out", *words) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_places_and_classes_that_do_not_fit(trained, photos, tmp_path, capsys):
    assert shrink(trained, photos, trained) == 1
    assert "lies in the folder of the classifier" in capsys.readouterr().err
    assert shrink(trained, photos, photos / "small") == 1
    assert "lies in the folder of photographs" in capsys.readouterr().err
    assert shrink(tmp_path / "nothing", photos, tmp_path / "out") == 1
    assert "does not exist, but the folder of a saved classifier was expected" in capsys.readouterr().err
    letters = write_image_folder(load("printed-photo", "letters", count=700).few(4), tmp_path / "letters")
    assert shrink(trained, letters, tmp_path / "out") == 1
    assert "Expected the same; these differ: '0', '1'" in capsys.readouterr().err
    assert shrink(trained, photos, tmp_path / "int8") == 0
    assert shrink(tmp_path / "int8", photos, tmp_path / "out") == 1
    assert "this classifier is in 8 bits already" in capsys.readouterr().err


def test_a_damaged_file_of_8_bits_is_refused(trained, photos, tmp_path):
    shrink(trained, photos, tmp_path / "int8")
    file = tmp_path / "int8" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    with pytest.raises(StorageError, match="incomplete or was changed"):
        load_classifier(tmp_path / "int8")


def test_a_student_sees_the_teachers_view_in_its_own_size_and_scale():
    teacher, x = Preprocessing(), torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    x[:] = x[:, :, :1, :1]  # of one colour, so that resizing changes nothing
    seen = as_seen(teacher.normalised(x), teacher, COURSE_PREPROCESSING)
    torch.testing.assert_close(seen, COURSE_PREPROCESSING.normalised(x[..., :32, :32]), rtol=1e-4, atol=1e-4)
    same = COURSE_PREPROCESSING.normalised(x)
    assert as_seen(same[..., :32, :32], COURSE_PREPROCESSING, COURSE_PREPROCESSING).equal(same[..., :32, :32])


def test_names_of_students():
    assert student_name("tiny_resnet") == student_name("small_cnn") == "narrow_resnet"
    assert student_name("resnet18") == "mobilenet_v3_small"
    model = photo_network("narrow_resnet", 4, None).model
    before = copies(model)
    assert not changed(photo_network("narrow_resnet", 4, None).model, before)
    with pytest.raises(ValueError, match="there is no network 'narrow_resnet' pretrained on 'letters'"):
        photo_network("narrow_resnet", 4)
