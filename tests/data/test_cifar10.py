"""CIFAR-10 from a small archive in its own format, which lies on this machine."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from tlcourse.data import cifar10 as cifar
from tlcourse.data import downloads
from tlcourse.data.worlds import load, train_test


def made_up():
    draws = np.random.default_rng(0)
    return draws.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8), draws.integers(0, 10, 60).tolist()


def batches(pixels, labels):
    """Pack images [N, 32, 32, 3] as the original does: five files for training, and one for testing."""
    names = [name for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list)]
    for name, rows in zip(names, np.array_split(np.arange(len(pixels)), 6), strict=True):
        data = pixels[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)  # red plane, green plane, blue plane
        yield name, pickle.dumps({"data": data, "labels": [labels[row] for row in rows]}, protocol=2)
    yield "batches.meta", pickle.dumps({"label_names": list(cifar.CLASSES)}, protocol=2)


def pack(files, path):
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def unpack(archive, into):
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return into / cifar.UNPACKED


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small CIFAR-10: its archive in `served`, nothing of it elsewhere, and code that takes it for the true one."""
    files = dict(batches(*made_up()))
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, md5[name]] for name, _ in CIFAR10.test_list])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5["batches.meta"]})
    (tmp_path / "served").mkdir()
    archive = pack(files, tmp_path / "served" / cifar.ARCHIVE)
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TLCOURSE_DATA", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


@pytest.fixture
def online(small, monkeypatch):
    monkeypatch.setattr(cifar, "URL", (small / "served" / cifar.ARCHIVE).as_uri())
    return small


def joined():
    train, test = load("cifar10"), load("cifar10", split="test")
    return torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])


@pytest.mark.usefixtures("online")
def test_every_pixel_and_label_comes_back():
    pixels, labels = made_up()
    found, numbers = joined()
    assert found.dtype == torch.uint8
    assert torch.equal(found, torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert numbers.tolist() == labels
    train, some = load("cifar10"), load("cifar10", count=7)
    assert (train.name, train.classes[3]) == ("cifar10, train", "cat")
    assert train.batches(10).images.is_contiguous()
    assert torch.equal(some.images, train.images[:7])
    assert some.images.untyped_storage().nbytes() == 7 * 3 * 32 * 32, "the rest should have been let go"


def test_it_is_downloaded_once_verified_and_then_read_from_the_cache(online, monkeypatch):
    first = load("cifar10")
    (kept,) = (online / "cache" / "data").glob("*.gz")
    assert kept.read_bytes() == (online / "served" / cifar.ARCHIVE).read_bytes()
    kept.unlink()
    monkeypatch.setattr(cifar, "_read", None)
    assert torch.equal(load("cifar10").images, first.images)


def test_wrong_bytes_are_refused_and_not_kept(online, monkeypatch):
    monkeypatch.setattr(cifar, "SHA256", "0" * 64)
    with pytest.raises(downloads.DownloadError, match="not the file"):
        load("cifar10")
    assert not list((online / "cache").rglob("*.gz"))
    assert not list((online / "cache").rglob("*.safetensors"))


def test_without_network_the_error_says_where_to_put_it_and_what_to_do_meanwhile(small, monkeypatch):
    monkeypatch.setenv("TLCOURSE_DATA", str(small / "mine"))
    with pytest.raises(downloads.DownloadError) as caught:
        load("cifar10")
    there = str(small / "mine" / cifar.ARCHIVE)
    for part in (
        "www.cs.toronto.edu",
        "unplugged",
        "by hand",
        there,
        "handwritten-photo",
        *map(str, cifar.data_folders()),
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("place", ["named", "cache", "data"])
@pytest.mark.parametrize("form", ["archive", "unpacked"])
def test_what_somebody_has_already_is_found_without_network(small, monkeypatch, place, form):
    monkeypatch.setenv("TLCOURSE_DATA", str(small / "named"))
    folder = {"named": small / "named", "cache": small / "cache" / "data", "data": Path("data").absolute()}[place]
    folder.mkdir(parents=True)
    if form == "archive":
        (small / "served" / cifar.ARCHIVE).rename(folder / cifar.ARCHIVE)
    else:
        unpack(small / "served" / cifar.ARCHIVE, folder)
    assert len(joined()[0]) == 60
    assert [entry.name for entry in folder.iterdir()] == [cifar.ARCHIVE if form == "archive" else cifar.UNPACKED]


def test_what_is_damaged_is_named_and_never_unpickled(small, monkeypatch):
    monkeypatch.setenv("TLCOURSE_DATA", str(small))
    archive = (small / "served" / cifar.ARCHIVE).read_bytes()
    folder = unpack(small / "served" / cifar.ARCHIVE, small)
    (folder / "data_batch_3").write_bytes(b"cos\nsystem\n(S'touch run'\ntR.")
    (small / cifar.ARCHIVE).write_bytes(archive[:-100])
    with pytest.raises(downloads.DownloadError, match="The file that lies there is another one"):
        load("cifar10")
    assert not Path("run").exists()


@pytest.mark.usefixtures("fake_cifar10")
def test_notebooks_take_some_of_it():
    train, test = train_test("cifar10")
    assert len(train) == len(test) == cifar.IN_A_NOTEBOOK
    assert len(load("cifar10")) == 2100
    assert [len(half) for half in train_test("handwritten")] == [906, 509]


@pytest.mark.usefixtures("fake_cifar10")
def test_it_moves_with_the_dial_as_the_other_worlds_do():
    here, near, far = (load("cifar10", count=50, shift=shift).images.float() for shift in (0, 0.1, 1))
    assert 0 < (near - here).abs().mean() < (far - here).abs().mean()
    assert far[:, 2].mean() == pytest.approx(far[:, 0].mean().item() / 2, rel=0.05), "half of the blue should be gone"
    assert far[:, 0].std() < 0.6 * here[:, 0].std(), "contrast should be lost"
    assert torch.equal(load("cifar10", count=50, shift=0.0).images.float(), here)
