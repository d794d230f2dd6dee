"""What ships is what the manifest says."""

import hashlib

import pytest
import torch

from tests.weights import changed
from tlcourse.data.worlds import load
from tlcourse.models import pretrained as zoo
from tlcourse.models.pretrained import FOLDER, build, manifest, pretrained
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.storage import StorageError, read_tensors

NAMES = ("small_cnn-letters", "small_cnn-digits", "tiny_resnet-letters", "tiny_resnet-digits")


def test_the_manifest_and_the_folder_hold_the_same_files():
    listed = {file for entry in manifest().values() for file in entry["files"]}
    assert listed | {"manifest.json"} == {path.name for path in FOLDER.iterdir()}
    assert set(manifest()) == set(NAMES)
    size = sum(path.stat().st_size for path in FOLDER.glob("*.safetensors"))
    assert size < 12_000_000


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_everything(name):
    entry = manifest()[name]
    for file, digest in entry["files"].items():
        assert hashlib.sha256((FOLDER / file).read_bytes()).hexdigest() == digest
    network, source = name.split("-")
    assert (entry["network"], entry["source"]) == (network, f"printed-photo {source}")
    assert entry["classes"] == list(load("printed", source, count=1).classes)
    assert {"epochs", "lr", "batch", "images", "augment", "optimizer"} <= set(entry["recipe"])
    assert entry["seed"] == 0
    assert network == "small_cnn" or entry["source_accuracy"] >= 97
    assert "matplotlib" in entry["licence"]
    assert "CC BY 2.0" in entry["licence"]


def test_the_classic_file_loads_into_the_classic_network_by_name():
    state = torch.load(FOLDER / "pretrained_model.pth", weights_only=True)
    model = SmallCNN(35)
    model.load_state_dict(state)
    twin = read_tensors(FOLDER / "small_cnn-letters.safetensors")
    assert not changed(model, twin)


def test_pretrained_gives_a_fresh_network_each_time():
    first, second = pretrained("small_cnn", "digits"), pretrained("small_cnn", "digits")
    first.fc2.bias.data.zero_()
    assert not torch.equal(first.fc2.bias, second.fc2.bias)


@pytest.mark.parametrize(("network", "source"), [("tiny_resnet", "runes"), ("resnet50", "letters")])
def test_unknown_names(network, source):
    expected = f"no network '{network}' pretrained on '{source}'.*one of: small_cnn-l"
    with pytest.raises(ValueError, match=expected):
        pretrained(network, source)
    with pytest.raises(ValueError, match=r"there is no network 'huge'.*'small_cnn', 'tiny_resnet'"):
        build("huge")


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = tmp_path / "tiny_resnet-letters.safetensors"
    data = bytearray(broken.read_bytes())
    data[1000] ^= 1
    broken.write_bytes(bytes(data))
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    with pytest.raises(StorageError, match=r"incomplete or was changed. Nothing was loaded"):
        pretrained()
