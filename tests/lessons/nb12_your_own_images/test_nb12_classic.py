"""The classic recipe is the one that everybody knows, and the improved one differs where it says so."""

import sys

import pytest
import torch
import torch.nn.functional as F

from tlcourse.data.augmentations import Crop, Flip
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons import __main__ as command
from tlcourse.lessons.nb12_your_own_images import classic
from tlcourse.models.pretrained import build
from tlcourse.notebook.results import read_results
from tlcourse.repro import seeded

WORLD = "handwritten"


def test_the_classic_recipe_is_plain_pytorch_with_adam_and_measured_on_the_whole_test_pool():
    row, found = classic.run_classic("classic", world=WORLD, count=130, epochs=4)
    with seeded("classic", 0):
        model = build("small_cnn").to(memory_format=torch.channels_last)  # the sums in the order that `fit` has
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = load(WORLD, count=130).batches(128, seed=0)  # Normalize(0.5, 0.5)
    for _ in range(4):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(memory_format=torch.channels_last)), y).backward()
            optimizer.step()
    state = found.state_dict()
    assert all(torch.allclose(state[name], tensor, atol=1e-5) for name, tensor in model.state_dict().items())
    assert row["accuracy"] == pytest.approx(accuracy(found, load(WORLD, split="test")))
    assert row["low"] < row["accuracy"] < row["high"]
    assert [row[name] for name in ("images", "epochs", "network", "world")] == [130, 4, "small_cnn", WORLD]


def test_only_photographs_are_mirrored():
    assert [type(part) for part in classic.augmentation("cifar10").parts] == [Flip, Crop]
    assert [type(part) for part in classic.augmentation(WORLD).parts] == [Crop]


@pytest.mark.usefixtures("fake_cifar10")
def test_cifar_10_is_what_it_runs_on_unless_told_otherwise():
    row, _ = classic.run_classic("improved", count=150, epochs=1)
    assert (row["world"], row["recipe"], row["images"]) == ("cifar10", "improved", 150)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    words = ["classic", "--world", WORLD, "--epochs", "1", "--count", "100", "--out", str(tmp_path / "t.csv")]
    monkeypatch.setattr(sys, "argv", ["experiments", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    assert read_results(tmp_path / "t.csv")["recipe"].tolist() == ["classic", "improved"]
    said = capsys.readouterr().out
    assert "classic recipe, small_cnn" in said
    assert "wrote 2 rows" in said


def test_without_network_the_command_says_what_to_do_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert classic.main(["--epochs", "1"]) == 1
    assert "handwritten-photo" in capsys.readouterr().err
