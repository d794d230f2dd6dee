"""Somebody's code in a process of its own: what comes back, what it may take, and how it ends."""

import contextlib
import math
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest
import safetensors.torch
import torch

from tlcourse.exercises.runner import encoding, process, worker
from tlcourse.exercises.runner.encoding import EncodingError, decode, encode
from tlcourse.exercises.runner.process import Limits, Sandbox

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux copies processes, and limits their memory")

# --- what may come back -------------------------------------------------------------------------------------

VALUES = [
    *(None, True, 1, -(2**70), 1.5, math.inf, 1j, "ä\ud800", b"x\xff"),
    *([1, (2, {3})], {1: "a", (1, 2): [1]}, {"kind": "tensor", "of": 3}),
    *(np.float32(2), np.bool_(True), np.array(3), np.zeros((2, 0)), np.arange(6).reshape(2, 3).T, np.array([1j])),
    *(torch.tensor(True), torch.zeros(0, 3), torch.arange(6).reshape(2, 3).t(), torch.tensor([1 + 2j]).conj()),
    *(torch.ones(2, dtype=torch.bfloat16), torch.tensor(1.5, dtype=torch.float16), torch.ones(2).expand(3, 2)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_as_they_were(value):
    back = decode(encode(value))
    assert type(back) is type(value)
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        assert (back == value).all()
    else:
        assert back == value


def test_kinds_of_one_family_come_back_as_their_plain_member():
    assert math.isnan(decode(encode(math.nan)))
    assert type(decode(encode(torch.nn.Parameter(torch.ones(2))))) is torch.Tensor
    assert decode(encode([frozenset({1}), np.array(["a"]), np.array([1], ">i4")])) == [{1}, ["a"], np.array([1])]
    assert decode(encode([range(2), (i for i in range(2)), {0: 1, 1: 1}.keys()])) == [[0, 1]] * 3
    back = decode(encode(torch.ones(2)))
    back += 1  # can be written to
    assert back.tolist() == [2, 2]


class Evil:
    def __reduce__(self):
        return (os._exit, (1,))


ENDLESS = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Evil(), "a Evil came. Expected a number"),
        (len, "a builtin_function_or_method came"),
        (np.array([b"a"]), r"an array of \|S1 came"),
        (np.array([Evil()]), "an array of object came"),
        (torch.eye(2).to_sparse(), "a torch.sparse_coo tensor of torch.float32 came"),
        (torch.empty(2, device="meta"), "Expected a plain tensor"),
        ("x" * (encoding.LONGEST + 1), "MiB came"),
        (ENDLESS, "contains itself"),
    ],
    ids=lambda value: str(type(value).__name__)[:20],
)
def test_what_is_no_value_does_not_leave(value, message):
    with pytest.raises(EncodingError, match=message):
        encode(value)


def packed(text, numbers=b""):
    return struct.pack("<Q", len(text)) + text + numbers


NONE = safetensors.torch.save({})
FOUR = safetensors.torch.save({"0": torch.ones(4)})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pickle.dumps(Evil()),
        struct.pack("<Q", 2**60) + b"1",
        packed(b"1", b"no safetensors"),
        packed(b"[1]", NONE),
        packed(b'{"kind": "function", "of": 1}', NONE),
        packed(b'{"kind": "set", "of": [{"kind": "list", "of": []}]}', NONE),
        packed(b'{"kind": "tensor", "of": "1"}', FOUR),
        packed(b'{"kind": "tensor", "of": ["0"]}', FOUR),
        packed(b'{"kind": "tensor", "of": "0"}', FOUR.replace(b"[4]", b"[9]")),
        packed(b'{"kind": "list", "of": [' * 5_000 + b"]}" * 5_000, NONE),
    ],
)
def test_forged_bytes_are_refused_and_run_nothing(data):
    with pytest.raises(EncodingError, match="no encoded value came"):
        decode(data)


def test_a_forged_truth_value_is_true_or_false():
    forged = safetensors.torch.save({"0": torch.tensor([7], dtype=torch.uint8)}).replace(b'"U8"', b'"BOOL"')
    length = len(forged) - 9  # the header is two letters longer, in place of spaces behind it
    forged = struct.pack("<Q", length) + forged[8:-1].ljust(length)[:length] + b"\x07"
    assert decode(packed(b'{"kind": "tensor", "of": "0"}', forged)).tolist() == [True]


# --- time and memory ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box():
    with contextlib.closing(Sandbox()) as made:
        yield made


@pytest.fixture
def clean(box):
    box.renew()
    box.limits = Limits(seconds=100, memory=2**28)  # much longer than needed, for machines with other work
    return box


def reply_to(box, source):
    """Run a cell that sets `x`, and return what comes back for it."""
    box.ask("prepare", setup="")
    ran = box.ask("run", source=textwrap.dedent(source), name="x")
    return ran if ran.error else box.ask("get")


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("print('hello'); x = [1, 2]", [1, 2]),
        ("import asyncio\nawait asyncio.sleep(0)\nasync def two(): return 2\nx = await two()", 2),
        ("from tqdm.notebook import tqdm\nimport pandas, sklearn, matplotlib.pyplot\nx = list(map(len, 'ab'))", [1, 1]),
        ("x = 'a\u2028b\x0c\x85'", "a\u2028b\x0c\x85"),
    ],
)
def test_what_is_legal_in_jupyter_is_legal_here(clean, source, value):
    assert reply_to(clean, source).value == value


def test_what_was_printed_comes_back_cut(clean):
    assert clean.ask("run", source="print('hello')", name="x").printed == "hello\n"
    ran = clean.ask("run", source="y = z = 1\nfor _ in range(100): print('x' * 10**6)", name="x", file="<other>")
    assert ran.value == {"there": False, "made": ["y", "z", "_"], "callable": False}
    assert len(ran.printed) == worker.MOST_PRINTED


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        pytest.param("x = bytearray(2**34)", "MemoryError", "", marks=on_linux),
        ("import sys\nsys.exit('x')", "SystemExit", "x"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("def f(): f()\nf()", "RecursionError", "maximum recursion depth"),
        ("x = (", "SyntaxError", "was never closed"),
        ("class E(Exception):\n  def __str__(self): return 1\nraise E", "E", "cannot be shown"),
        # these cost the process, and a new one is started
        (
            "while True:\n try:\n  while True: pass\n except BaseException: pass",
            "TimeLimit",
            "stopped after 0.5 seconds",
        ),
        ("x = []\nwhile True: x.append(b'1' * 2**22)", ("MemoryLimit", "MemoryError"), ""),
        ("import os\nos._exit(0)", "Died", "ended itself"),
    ],
)
def test_too_much_and_sudden_ends_are_errors(clean, source, kind, message):
    reply_to(clean, "")
    clean.limits = Limits(seconds=0.5 if kind == "TimeLimit" else 100, memory=2**28)
    reply = clean.ask("run", source=source, name="x")
    assert reply.error["type"] in kind
    assert message in reply.error["message"]
    clean.limits = Limits()
    assert reply_to(clean, "x = 1").value == 1


@on_linux
def test_nothing_of_one_answer_is_left_for_the_next(clean):
    started = "import subprocess\nx = subprocess.Popen(['sleep', '60']).pid"
    child = reply_to(clean, started).value
    assert psutil.pid_exists(child)
    clean.ask("run", source="import builtins, torch\nbuiltins.str = torch.ones = None", name="x")
    clean.renew()
    assert reply_to(clean, "import torch\nx = [str(1), torch.ones(1).item()]").value == ["1", 1.0]
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


WRITING = "import os\nwhile True:\n for n in range(3, 40):\n  try: os.write(n, {})\n  except OSError: pass"


def test_a_forged_reply_is_nonsense(clean):
    assert reply_to(clean, WRITING.format("b'\\xff' * 100")).error["type"] == "Died"
    error = {"type": 3, "message": "m" * 10**6, "frames": [("/etc/passwd", True, b"f")] * 100}
    reply = process._as_reply({"error": error, "printed": ["x"]})
    assert (reply.error["type"], len(reply.error["message"]), reply.printed) == ("3", 1000, "['x']")
    assert reply.error["frames"] == [("/etc/passwd", 1, "b'f'")] * 5


def test_an_answer_that_does_not_listen_or_talks_on_and_on_holds_nobody_up(clean):
    deaf = "import pickle, time\npickle.loads = lambda data: time.sleep(100)"
    clean.ask("run", source=deaf, name="x")
    begin = time.monotonic()
    reply = clean.ask("call", 1.0, arguments=(bytes(10**7),), finisher=None, more=())
    assert reply.error["type"] == "TimeLimit"
    assert time.monotonic() - begin < 10
    flood = WRITING.format("b'\\0' * 10**6")
    before = psutil.Process().memory_info().rss
    assert clean.ask("run", 2.0, source=flood, name="x").error["type"] in ("Died", "TimeLimit")
    assert psutil.Process().memory_info().rss - before < 2**28


@on_linux
def test_no_process_outlives_the_one_that_asked():
    code = """
        from tlcourse.exercises.runner.process import Sandbox, _family
        box = Sandbox()
        box.ask("prepare", setup="")
        print(*[member.pid for member in _family(box._process.pid)], flush=True)
        box.ask("run", source="while True: pass", name="x")
    """
    asking = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in asking.stdout.readline().split()]
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    asking.stdout.close()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert len(pids) == 2


def test_an_answer_is_not_run_in_a_process_that_was_not_ready():
    broken = Sandbox(now="raise SystemExit")
    with contextlib.closing(broken), pytest.raises(OSError, match="no answer was run: its process was not ready"):
        broken.ask("prepare", setup="")
