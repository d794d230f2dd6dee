import subprocess
import sys

import pytest
import torch

from tlcourse.data.cache import CacheError, cached
from tlcourse.data.worlds import load

KEY = {"what": "a test"}


def make():
    return {"a": torch.arange(5), "b": torch.rand(3, generator=torch.Generator().manual_seed(1))}


def never():
    raise AssertionError("this should have come from the cache")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_the_second_time_comes_from_disk_and_a_damaged_file_is_made_again(folder, damage):
    good = cached(KEY, make)
    assert equal(good, cached(KEY, never))
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes({"cut": bytes(data[:-7]), "flip": bytes(data), "empty": b""}[damage])
    assert equal(good, cached(KEY, make))
    assert equal(good, cached(KEY, never))


def test_unwritable_folder_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("this is not a folder")
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match=r"could not be kept in .*cache.*Set the environment variable TLCOURSE_CACHE"):
        load("handwritten")
    monkeypatch.setenv("TLCOURSE_CACHE", "off")
    assert len(load("handwritten")) == 906


RACE = """
import sys, time, torch
from tlcourse.data.cache import cached
barrier = float(sys.argv[1])
def make():
    return {"a": torch.arange(400_000)}
time.sleep(max(0, barrier - time.time()))
for turn in range(12):
    tensors = cached({"turn": turn}, make)
    assert torch.equal(tensors["a"], torch.arange(400_000))
"""


def test_several_kernels_at_once_corrupt_nothing(folder, environment):
    import time

    begin = str(time.time() + 3)
    command = [sys.executable, "-B", "-c", RACE, begin]
    runs = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], errors
    assert len(list(folder.iterdir())) == 12, "temporary files were left behind"
    for turn in range(12):
        assert torch.equal(cached({"turn": turn}, never)["a"], torch.arange(400_000))
