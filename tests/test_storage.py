import pickle
import re
import subprocess
import sys

import psutil
import pytest
import torch

from tlcourse.storage import (
    StorageError,
    read_bytes,
    read_tensors,
    save_object,
    save_tensors,
    sha256,
    temporary_beside,
    write_atomically,
)

TENSORS = {"a": torch.arange(6).reshape(2, 3).float(), "b": torch.tensor(7)}
ENDINGS = ["weights.safetensors", "weights.pth"]


class Bomb:
    """A pickle that would write a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ENDINGS)
def test_what_was_saved_is_read(tmp_path, name):
    path = save_tensors(tmp_path / "new" / "folder" / name, TENSORS)
    back = read_tensors(path, sha256(path.read_bytes()))
    assert back.keys() == TENSORS.keys()
    assert all(torch.equal(back[key], TENSORS[key]) for key in TENSORS)


@pytest.mark.parametrize(("saved", "named"), [ENDINGS, ENDINGS[::-1], ("weights.pth", "lightning.ckpt")])
def test_a_file_of_another_name_is_read_by_its_content(tmp_path, saved, named):
    path = save_tensors(tmp_path / saved, TENSORS).rename(tmp_path / named)
    assert torch.equal(read_tensors(path)["a"], TENSORS["a"])


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("keep", [0, 5, 60, -9])
def test_truncated_file_is_refused(tmp_path, name, keep):
    path = save_tensors(tmp_path / name, TENSORS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StorageError, match=r"not a whole .* file.*[Cc]opy or download it again"):
        read_tensors(path)


@pytest.mark.parametrize("name", ENDINGS)
def test_tampered_file_is_refused_by_its_hash(tmp_path, name):
    path = save_tensors(tmp_path / name, TENSORS)
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(StorageError, match=r"has SHA-256 .* but .* was expected.*Get the file again"):
        read_tensors(path, sha256(good))


def test_missing_file(tmp_path):
    with pytest.raises(StorageError, match=r"could not read .*nothing\.pth.*check the name"):
        read_bytes(tmp_path / "nothing.pth")


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path, writer):
    path, victim = tmp_path / "evil.pth", tmp_path / "was_run"
    if writer == "torch":
        torch.save({"a": torch.ones(1), "b": Bomb(victim)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(victim), protocol=2))
    with pytest.raises(StorageError, match=r"refused.*Nothing of it was run.*safetensors.*stopped at: GL") as refused:
        read_tensors(path)
    assert "weights_only" not in str(refused.value)  # PyTorch's own message tells how to run the code after all
    assert not victim.exists()
    pickle.loads(pickle.dumps(Bomb(victim))).close()  # the bomb is real: unpickled plainly, it goes off
    assert victim.exists()


def test_a_file_that_is_no_state_dict(tmp_path):
    path = save_object(tmp_path / "deep.pth", {"model": TENSORS, "epoch": 3})
    with pytest.raises(StorageError, match=r"a dict with the keys \['model', 'epoch'\], but a state dict was expected"):
        read_tensors(path)


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS.*git lfs pull"),
        (b"\n<!DOCTYPE html><html>Sign in</html>", "is a web page.*Download that again, by the link of the file"),
    ],
)
def test_what_stands_in_for_weights_is_named(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(StorageError, match=rf"{name} \(.*{message}"):
        read_tensors(tmp_path / name)


def test_metadata_has_no_place_in_pth(tmp_path):
    with pytest.raises(ValueError, match=r"Use a \.safetensors name"):
        save_tensors(tmp_path / "w.pth", TENSORS, {"a": "b"})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_a_write_that_the_system_stops_half_way_keeps_the_old_file(tmp_path, environment):
    path = write_atomically(tmp_path / "w.bin", b"old")
    code = (
        "import resource, sys; from tlcourse.storage import StorageError, write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        f"try: write_atomically({str(path)!r}, b'x' * 100_000)\n"
        "except StorageError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-B", "-c", code], env=environment, capture_output=True, text=True)
    assert re.search(r"could not write 100,000 bytes.*unchanged.*Free some space", run.stdout), run.stderr
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["w.bin"]


def test_the_next_write_deletes_what_killed_processes_left_and_nothing_else(tmp_path):
    path, alive = tmp_path / "w[1].bin", psutil.Process().ppid()
    ours = temporary_beside(path).name
    machine, mine = re.fullmatch(r"\.w\[1\]\.bin\.(.*)-(\d+)-[0-9a-f]{32}\.tmp", ours).groups()
    dead = max(psutil.pids()) + 1000
    gone = [ours.replace(f"-{mine}-", f"-{dead}-"), ours.replace(f"-{mine}-", f"-{dead + 1}-")]
    stays = [
        ours,  # of another thread of this process
        ours.replace(f"-{mine}-", f"-{alive}-"),  # of another process that is at work
        gone[0].replace(f"{machine}-", "elsewhere-"),  # of another machine, whose processes nobody here knows
        gone[0].replace("w[1].bin", "w1.bin"),  # beside another file
        gone[0].replace("-", "-x", 1),
        "notes.tmp",
    ]
    for name in [gone[0], *stays]:
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / gone[1]).mkdir()
    (tmp_path / gone[1] / "inside").write_bytes(b"half")
    write_atomically(path, b"whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, *stays])
