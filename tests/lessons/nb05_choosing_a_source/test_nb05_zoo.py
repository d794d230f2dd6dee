"""The candidates: what ships is what the manifest says, and half precision changes nothing that counts."""

import pytest
import torch

from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb05_choosing_a_source import zoo as lesson_zoo
from tlcourse.lessons.nb05_choosing_a_source.zoo import (
    CANDIDATES,
    FOLDER,
    HELD_OUT,
    RANDOM,
    TRAINED,
    Source,
    candidate,
    make,
    size_of,
    source_accuracy,
    turned_patches,
    zoo,
)
from tlcourse.models.pretrained import FOLDER as COURSE_WEIGHTS
from tlcourse.storage import StorageError
from tlcourse.training.recipe import Recipe


def test_the_manifest_and_the_folder_hold_the_same_files():
    assert list(zoo()) == TRAINED
    assert {entry["file"] for entry in zoo().values()} | {"manifest.json"} == {path.name for path in FOLDER.iterdir()}
    everything = [*FOLDER.iterdir(), *COURSE_WEIGHTS.iterdir()]
    assert sum(path.stat().st_size for path in everything) <= 20_000_000


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_is_whole_and_of_the_size_it_says(name):
    model, source = candidate(name), CANDIDATES[name]
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert all(tensor.dtype is not torch.float16 for tensor in model.state_dict().values())
    assert model.num_features == 128 * (source.width if source else 1)
    assert not torch.equal(candidate(name).stem[0].weight + 1, model.stem[0].weight)


def test_sizes_and_sources_are_what_the_notebook_says():
    assert len(CANDIDATES) == 16
    assert size_of("digits, narrow") < 0.3 * size_of("digits") < 0.3 * size_of("letters, wide")
    sizes = [size_of(name) for name in CANDIDATES if "wide" not in name and "narrow" not in name]
    assert len(sizes) == 14
    assert len(set(sizes)) == 1
    assert source_accuracy(RANDOM) != source_accuracy(RANDOM)


@pytest.mark.parametrize("name", ["digits, 300 images", "textures"])
def test_the_source_accuracy_is_that_of_the_file(name):
    data = CANDIDATES[name].load("test").subset(torch.arange(HELD_OUT // 5))
    assert accuracy(candidate(name), data) == pytest.approx(source_accuracy(name), abs=4)


def test_turned_patches_can_be_turned_back():
    upright, turned = turned_patches("train", 40), turned_patches("test", 40)
    assert upright.shared_with(turned) == 0
    assert set(upright.labels.tolist()) == {0, 1, 2, 3}
    assert torch.equal(turned_patches("train", 40).images, upright.images)


def test_unknown_and_damaged_candidates_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"there is no candidate 'runes'. Expected one of: 'random weights'"):
        candidate("runes")
    monkeypatch.setattr(lesson_zoo, "FOLDER", tmp_path)
    zoo.cache_clear()
    (tmp_path / "manifest.json").write_bytes((FOLDER / "manifest.json").read_bytes())
    (tmp_path / zoo()["digits"]["file"]).write_bytes(b"nothing")
    with pytest.raises(StorageError, match="Nothing was loaded"):
        candidate("digits")
    zoo.cache_clear()


def test_a_candidate_can_be_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(lesson_zoo, "SHORT", Recipe(epochs=1, steps=2, batch=32, lr=0.05))
    monkeypatch.setattr(lesson_zoo, "HELD_OUT", 50)
    monkeypatch.setitem(CANDIDATES, "tiny", Source(images=64, width=0.5))
    entry = make("tiny", tmp_path)
    assert (tmp_path / "tiny.safetensors").stat().st_size < 400_000
    assert entry["budget"]["updates"] == 2
    assert 0 <= entry["source_accuracy"] <= 30
