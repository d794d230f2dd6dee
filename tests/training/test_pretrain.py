"""Pretraining in small: the same code, fewer images."""

from dataclasses import replace

import pytest
import torch

from tests.weights import equal
from tlcourse.models import pretrained as zoo
from tlcourse.storage import read_tensors, save_tensors
from tlcourse.training import pretrain as pretraining
from tlcourse.training.checkpoint import TrainingState
from tlcourse.training.pretrain import NAMES, RECIPE, describe, judge, main, pretrain

SMALL = replace(RECIPE, epochs=2, steps=4, batch=64, lr=0.05)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(pretraining, "HELD_OUT", 200)
    monkeypatch.setattr(pretraining, "IMAGES", 256)
    monkeypatch.setattr(pretraining, "RECIPES", dict.fromkeys(("tiny_resnet", "small_cnn"), SMALL))


def test_an_interrupted_pretraining_reproduces_the_bits(tmp_path):
    whole, percent = pretrain("small_cnn-digits", SMALL, tmp_path / "a", images=256, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        saves = []

        def save_then_die(state, path, save=TrainingState.save):
            save(state, path)
            saves.append(path)
            raise KeyboardInterrupt

        patch.setattr("tlcourse.training.checkpoint.TrainingState.save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            pretrain("small_cnn-digits", SMALL, tmp_path / "b", images=256, progress=False)
        assert len(saves) == 1
    resumed, again = pretrain("small_cnn-digits", SMALL, tmp_path / "b", images=256, progress=False)
    assert again == percent
    assert equal(whole, resumed)


def test_the_command_writes_and_judges(tmp_path, capsys):
    code = main(["--out", str(tmp_path), "--only", "small_cnn-letters", "tiny_resnet-digits"])
    out = capsys.readouterr().out
    assert code == 1, "a network trained on 256 images must not count as a reproduction"
    assert out.count("NOT reproduced") == 2
    written = {path.name for path in tmp_path.iterdir()}
    assert {"small_cnn-letters.safetensors", "pretrained_model.pth", "tiny_resnet-digits.safetensors"} <= written
    classic, twin = (read_tensors(tmp_path / n) for n in ("pretrained_model.pth", "small_cnn-letters.safetensors"))
    assert all(torch.equal(classic[name], twin[name]) for name in twin)


def test_judging_goes_both_ways(tmp_path):
    assert set(NAMES) == set(zoo.manifest())
    file = save_tensors(tmp_path / "small_cnn-digits.safetensors", {"a": torch.ones(1)})
    entry = describe("small_cnn-digits", SMALL, [file], 97.0)
    near = entry | {"source_accuracy": 97.5}
    far = entry | {"source_accuracy": 99.0, "files": {"small_cnn-digits.safetensors": "0"}}
    assert judge(entry, entry).startswith("reproduced")
    assert "the same bits" in judge(entry, entry)
    assert judge(entry, near).startswith("reproduced")
    assert judge(entry, far).startswith("NOT reproduced")
    assert "other bits" in judge(entry, far)
