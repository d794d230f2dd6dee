"""Strangers' code fenced in: everything that it may not reach, in every way that was ever tried."""

import contextlib
import textwrap
import time
import uuid

import psutil
import pytest
from classroom import needs_fence

from tlcourse import cli
from tlcourse.exercises.runner.process import Limits
from tlcourse.lessons.registry import find
from tlcourse.teaching import bubblewrap, marking
from tlcourse.teaching.stand_ins import stand_ins

SOLUTION = bubblewrap.PACKAGE / "lessons" / "nb00_start_here" / "exercises.md"
CHECKS = "tlcourse.lessons.nb00_start_here.checks"


@pytest.fixture(scope="module")
def box():
    needs_fence()
    with pytest.MonkeyPatch.context() as account:
        account.setenv("SECRET_TOKEN", "hunter2")
        with contextlib.closing(marking._box.__wrapped__(("00",), False)) as made:
            made.limits = Limits(seconds=200, memory=2**30)  # much longer than needed, for machines with other work
            yield made


def reply_to(box, source, setup=""):
    """Run a cell that sets `x` in a clean process, and return what comes back for it."""
    box.renew()
    box.ask("prepare", setup=setup)
    ran = box.ask("run", source=textwrap.dedent(source), name="x")
    return ran if ran.error else box.ask("get")


def test_honest_work_is_not_hindered(box):
    source = """
        import asyncio, math, subprocess, tempfile, threading
        from pathlib import Path
        import matplotlib.pyplot as plt
        import numpy as np
        import pandas
        import torch
        from sklearn.linear_model import LogisticRegression
        from tqdm.notebook import tqdm
        import tlcourse as tl
        network = tl.pretrained("tiny_resnet", "letters")
        tl.reset_classifier(network, 10)
        images = tl.load("handwritten-photo").few(2, seed=1)
        tl.fit(network, images.batches(20, steps=1), epochs=1,
               optimizer=torch.optim.AdamW(network.parameters(), lr=0.01), progress=False)
        torch.save(network.state_dict(), "mine.pt")
        torch.load("mine.pt", weights_only=True)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a").write_text("x")
            Path(folder, "a").rename(Path(folder, "b"))
        done = []
        thread = threading.Thread(target=lambda: done.append(1)); thread.start(); thread.join()
        LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
        x = [done, Path("mine.pt").exists(), await asyncio.sleep(0, 3)]
    """
    reply = reply_to(box, source)
    assert reply.error is None, reply.error
    assert reply.value == [[1], True, 3]


WAYS = {
    # solutions
    "open": "x = open({solution!r}).read()",
    "a folder's number": "import os\nx = os.read(os.open({solution!r}[1:], 0, dir_fd=os.open('/', os.O_RDONLY)), 50)",
    "the proc folder": "x = open('/proc/self/root' + {solution!r}).read()",
    "another process": "import glob\nx = [open(p + {solution!r}).read() for p in glob.glob('/proc/[0-9]*/root')][0]",
    "a hard link": "import os\nos.link({solution!r}, 'l')\nx = open('l').read()",
    "PyTorch": "import torch\nx = bytes(torch.from_file({solution!r}, size=50, dtype=torch.uint8).tolist())",
    "a program": "import subprocess\nx = subprocess.check_output(['cat', {solution!r}])",
    "machine code": "import ctypes\nc = ctypes.CDLL(None)\nc.umount2({solution!r}.encode(), 2)\n"
    "x = open({solution!r}).read()",
    "importing": f"import importlib\nx = importlib.import_module({CHECKS!r}).q1.reference",
    "its bytecode": "import glob\nx = open(glob.glob({folder!r} + '/__pycache__/checks*')[0], 'rb').read()",
    "the course's own reader": "from tlcourse.exercises import markdown\n"
    "x = markdown.read_exercises({solution!r})[0].reference",
    "the quiz": "x = open({folder!r} + '/quiz.md').read()",
    "the tests": "import glob\nx = glob.glob({package!r} + '/../tests/*')[0]",
    "what is loaded": "import sys\nx = [m for m in sys.modules if m.endswith('start_here.checks')][0]",
    # what is outside
    "the account": "import os\nx = open('/etc/passwd').read()",
    "another's work": "x = open({kept!r}).read()",
    "writing": "open({out!r}, 'w').write('x')",
    "writing into the course": "open({package!r} + '/cli.py', 'a').write('x')",
    "writing into Python": "import torch\nopen(torch.__file__, 'a').write('x')",
    "writing elsewhere": "open('/mine', 'w').write('x')",
    "moving": "import os\nos.rename({kept!r}, 'mine')",
    "safetensors": "import torch, safetensors.torch as s\ns.save_file({{'a': torch.zeros(2)}}, {out!r})",
    "the network": "import socket\nx = socket.create_connection(('192.0.2.1', 80), timeout=5)",
    "ending the parent": "import os\nos.kill({me}, 9)\nx = 1",
    "higher limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nx = 1",
    "too large a file": "open('a', 'wb').write(bytes(2**28 + 2**20))\nx = 1",
    "too large files elsewhere": "open('/dev/shm/a', 'wb').write(bytes(10))\nx = 1",
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_outside_can_be_reached(box, tmp_path, way):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    places = {"solution": str(SOLUTION), "folder": str(SOLUTION.parent), "package": str(bubblewrap.PACKAGE)}
    places |= {"out": str(tmp_path / "out"), "kept": str(kept), "me": psutil.Process().pid}
    reply = reply_to(box, WAYS[way].format(**places))
    assert reply.value is None, way
    assert reply.error["type"] not in ("Died", "TimeLimit", "MemoryLimit", "NameError"), reply
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "kept"


def test_stand_ins_take_the_place_of_the_solutions(box):
    reply = reply_to(
        box, f"from {CHECKS.rpartition('.')[0]} import checks as ex\nx = repr(ex.q1.reference)", stand_ins()
    )
    assert reply.value == ""


def test_nothing_is_told_and_nothing_is_left_of_an_earlier_answer(box):
    told = "[dict(os.environ), open('/proc/self/environ').read(), os.getcwd(), os.path.expanduser('~')]"
    reply = reply_to(box, f"import os\nx = {told}\nos.makedirs('a/b'); open('mine', 'w').write('x')")
    assert "hunter2" not in str(reply.value)
    assert reply.value[0]["HOME"] == reply.value[2] == reply.value[3] == bubblewrap.FOLDER
    assert reply_to(box, "import os\nx = os.listdir()").value == []
    assert "Read-only file system" in str(reply_to(box, "open('/tmp/beside', 'w')\nx = 1").error)


def test_many_processes_end_together(box):
    """And so does what an answer has started in the background, which nobody waits for."""
    box.close()
    mark = uuid.uuid4().hex
    box.environment["MARK"] = mark
    many = """
        import os, time
        for _ in range(300):
            if os.fork() == 0:
                os.setsid()
                time.sleep(1000)
        while True: pass
    """
    reply = reply_to(box, many)
    assert reply.error["type"] in ("ProcessLimit", "BlockingIOError", "MemoryLimit"), reply.error
    box.close()
    time.sleep(0.5)
    assert not [p for p in psutil.process_iter(["environ"]) if (p.info["environ"] or {}).get("MARK") == mark]


@pytest.mark.parametrize(
    ("program", "why"),
    [(None, "the program bwrap is not installed"), ("echo no rights >&2; exit 1", "bwrap does not work (no rights)")],
)
def test_without_a_fence_the_grader_stops_and_says_how_to_go_on(tmp_path, monkeypatch, capsys, program, why):
    if program:
        (tmp_path / "bwrap").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "00_start_here.ipynb").write_text("{}")
    assert cli.main(["grade", str(tmp_path), "--out", str(tmp_path / "marks.csv")]) == 1
    said = capsys.readouterr().err
    for wanted in (why, "Nothing was marked", "in a container", "--trusted, for a class that you trust"):
        assert wanted in said
    assert not (tmp_path / "marks.csv").exists()


def test_every_solution_is_hidden():
    words = bubblewrap.fence()
    hidden = [words[i + 2] for i, word in enumerate(words) if word == "--ro-bind" and words[i + 1] == "/dev/null"]
    assert len(hidden) == 3 * len(list((bubblewrap.PACKAGE / "lessons").glob("nb*")))
    assert find("00.q1").reference.split("\n")[0] in SOLUTION.read_text(encoding="utf-8")
