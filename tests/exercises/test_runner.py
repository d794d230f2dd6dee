"""Strangers' code: what comes back, what it may take, and everything that it may not reach."""

import contextlib
import errno
import io
import math
import os
import pickle
import platform
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tlcourse.exercises.answers import kernel_sandbox
from tlcourse.exercises.runner import encoding, fence, process, walls, worker
from tlcourse.exercises.runner.encoding import EncodingError, decode, encode
from tlcourse.exercises.runner.process import Limits, Sandbox
from tlcourse.lessons.registry import SOLUTION_FILES

PACKAGE = Path(fence.__file__).parents[2]
SOLUTION = PACKAGE / "lessons" / "nb00_start_here" / "exercises.md"
CLOSED = [SOLUTION.with_name(name) for name in (*SOLUTION_FILES, "__pycache__")]
SECRET = ["tlcourse.lessons.nb00_start_here.checks"]

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses by itself")

# --- what may come back -------------------------------------------------------------------------------------

VALUES = [
    *(None, True, 1, -(2**70), 1.5, math.inf, 1j, "ä\ud800", b"xy"),
    *([1, (2, {3})], {1: "a", (1, 2): [1]}, {"kind": "tensor", "of": 3}),
    *(np.float32(2), np.bool_(True), np.array(3), np.zeros((2, 0)), np.arange(6).reshape(2, 3).T),
    *(torch.tensor(True), torch.zeros(0, 3), torch.arange(6).reshape(2, 3).t(), torch.tensor([1 + 2j]).conj()),
    *(torch.ones(2, dtype=torch.bfloat16), torch.tensor(1.5, dtype=torch.float16)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_as_they_were(value):
    back = decode(encode(value))
    assert type(back) is type(value)
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        assert back.dtype == value.dtype
        assert back.shape == value.shape
        assert (back == value).all()
    else:
        assert back == value


def test_kinds_of_one_family_come_back_as_their_plain_member():
    assert math.isnan(decode(encode(math.nan)))
    assert type(decode(encode(torch.nn.Parameter(torch.ones(2))))) is torch.Tensor
    assert decode(encode(frozenset({1}))) == {1}
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
        (np.array([b"a"]), "an array of |S1 came"),
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


@pytest.mark.parametrize(
    "data",
    [
        b"",
        pickle.dumps(Evil()),
        struct.pack("<Q", 2**60) + b"1",
        packed(b"[1]"),
        packed(b'{"kind": "function", "of": 1}'),
        packed(b'{"kind": "set", "of": [{"kind": "list", "of": []}]}'),
        packed(b'{"kind": "tensor", "of": "torch.float32", "shape": [1000000000000], "at": [0, 4]}', b"1234"),
        packed(b'{"kind": "tensor", "of": "torch.nn", "shape": [1], "at": [0, 4]}', b"1234"),
        packed(b'{"kind": "tensor", "of": "torch.float32", "shape": [2], "at": [0, 8]}', b"1234"),
        packed(b'{"kind": "array", "of": "O", "shape": [1], "at": [0, 8], "scalar": false}', b"12345678"),
        packed(b'{"kind": "bytes", "at": [-4, 2]}', b"1234"),
        packed(b'{"kind": "list", "of": [' * 5_000 + b"]}" * 5_000),
    ],
)
def test_forged_bytes_are_refused_and_run_nothing(data):
    with pytest.raises(EncodingError, match="no encoded value came"):
        decode(data)


def test_a_forged_truth_value_is_true_or_false():
    forged = packed(b'{"kind": "tensor", "of": "torch.bool", "shape": [1], "at": [0, 1]}', b"\x07")
    assert decode(forged).tolist() == [True]


# --- time, memory and disk ----------------------------------------------------------------------------------


WARM = "import torch, torchvision, safetensors.torch"  # what several answers import, once for all of them


@pytest.fixture(scope="module")
def box():
    with pytest.MonkeyPatch.context() as account:
        account.setenv("SECRET_TOKEN", "hunter2")
        with contextlib.closing(Sandbox(fenced=True, closed=CLOSED, secret=SECRET, warm=WARM)) as made:
            yield made


@pytest.fixture
def fenced(box):
    box.renew()
    box.limits = Limits(seconds=100, memory=2**28)  # much longer than needed, for machines with other work
    return box


def reply_to(box, source):
    """Run a cell that sets `x`, and return what comes back for it."""
    box.ask("prepare", setup="")
    ran = box.ask("run", source=textwrap.dedent(source), name="x")
    return ran if ran.error else box.ask("get")


def test_a_value_and_what_was_printed_come_back(fenced):
    reply = reply_to(fenced, "print('hello'); x = [1, 2]")
    assert (reply.value, reply.error) == ([1, 2], None)
    assert fenced.ask("run", source="print('hello')", name="x").printed == "hello\n"
    ran = fenced.ask("run", source="y = z = 1", name="x", file="<other>")
    assert ran.value == {"there": True, "made": ["y", "z"], "callable": False}


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (
            "while True:\n try:\n  while True: pass\n except BaseException: pass",
            "TimeLimit",
            "stopped after 0.5 seconds",
        ),
        ("x = bytearray(2**33)", "MemoryError", ""),
        ("x = []\nwhile True: x.append(bytearray(2**22))", "MemoryLimit", "more than 0.25 GiB"),
        ("import os\nos._exit(0)", "Died", "ended itself"),
        ("import os\nos.abort()", "Died", "ended itself"),
        ("import sys\nsys.exit('x')", "SystemExit", "x"),
        ("def f(): f()\nf()", "RecursionError", "maximum recursion depth"),
        ("x = (", "SyntaxError", "was never closed"),
        ("class E(Exception):\n  def __str__(self): return 1\nraise E", "E", "cannot be shown"),
    ],
)
def test_too_much_and_sudden_ends_are_errors(fenced, source, kind, message):
    reply_to(fenced, "")
    fenced.limits = Limits(seconds=0.5 if kind == "TimeLimit" else 100, memory=2**28)
    reply = fenced.ask("run", source=source, name="x")
    assert reply.error["type"] == kind
    assert message in reply.error["message"]
    assert reply_to(fenced, "x = 1").value == 1


def test_a_gigabyte_of_output_is_cut_and_not_kept(fenced):
    reply = fenced.ask("run", source="for _ in range(1000): print('x' * 10**6)", name="x")
    assert reply.error is None
    assert len(reply.printed) == worker.MOST_PRINTED


FILLING = {
    "bytes": "i = 0\nwhile True:\n  i += 1\n  open(f'f{i}', 'wb').write(bytes(10**7))",
    "files": "import os\nfor i in range(1_200): os.mknod(f'd{i}')\nwhile True: pass",
    "folders in folders": "import os\nfor i in range(3000): os.mkdir('d'); os.chdir('d')\nwhile True: pass",
}


@pytest.mark.parametrize("way", FILLING)
def test_a_full_disk_is_an_error_and_is_tidied_up(fenced, monkeypatch, way):
    monkeypatch.setattr(process, "MOST_ENTRIES", 1_000)
    assert reply_to(fenced, FILLING[way]).error["type"] == "DiskLimit"
    assert reply_to(fenced, "import os\nx = os.listdir()").value == []


@on_linux
def test_one_file_cannot_grow_without_end(fenced):
    reply = fenced.ask("run", source="f = open('a', 'wb', 0)\nwhile True: f.write(bytes(10**7))", name="x")
    assert "File too large" in reply.error["message"]


def test_nothing_of_one_answer_is_left_for_the_next(fenced):
    reply_to(fenced, "import builtins, torch\nbuiltins.len = torch.ones = None\nopen('mine', 'w').write('x')")
    fenced.renew()
    reply = reply_to(fenced, "import os, torch\nx = [len([1]), torch.ones(1).item(), os.listdir()]")
    assert reply.value == [1, 1.0, []]


def test_an_answer_whose_process_is_gone_says_so(fenced):
    reply_to(fenced, "x = len")
    fenced.renew()
    reply = fenced.ask("call", arguments=([1],), finisher=None, more=())
    assert reply.error["type"] == "Died"


@pytest.mark.parametrize(
    "forged",
    [
        "b'\\xff' * 100",
        "struct.pack('<Q', 2**40)",
        'message(\'{"kind": "list", "of": []}\')',
        'message(\'{"kind": "dict", "of": [["error", {"kind": "dict", "of": [["type", 1]]}]]}\')',
    ],
)
def test_a_forged_reply_is_nonsense(fenced, forged):
    source = f"""
        import os, struct
        def message(text):
            text = text.encode()
            return struct.pack('<QQ', 8 + len(text), len(text)) + text
        for number in range(3, 40):
            try: os.write(number, {forged})
            except OSError: pass
        while True: pass
    """
    assert reply_to(fenced, source).error["type"] == "Died"


def test_a_forged_error_is_made_plain():
    error = {"type": 3, "message": "m" * 10**6, "frames": [("/etc/passwd", True, b"f")] * 100}
    reply = process._as_reply({"error": error, "printed": ["x"]})
    assert reply.error["type"] == "3"
    assert len(reply.error["message"]) == 1000
    assert reply.error["frames"][0] == ("/etc/passwd", 1, "b'f'")
    assert len(reply.error["frames"]) == 5
    assert reply.printed == "['x']"


def test_an_answer_that_does_not_listen_or_talks_on_and_on_holds_nobody_up(fenced):
    deaf = "import pickle, time\npickle.loads = lambda data: time.sleep(100)"
    fenced.ask("run", source=deaf, name="x")
    begin = time.monotonic()
    reply = fenced.ask("call", 1.0, arguments=(bytes(10**7),), finisher=None, more=())
    assert reply.error["type"] == "TimeLimit"
    assert time.monotonic() - begin < 5
    flood = "import os\nwhile True:\n for n in range(3, 40):\n"
    flood += "  try: os.write(n, b'\\0' * 10**6)\n  except OSError: pass"
    before = psutil.Process().memory_info().rss
    assert fenced.ask("run", 2.0, source=flood, name="x").error["type"] in ("Died", "TimeLimit")
    assert psutil.Process().memory_info().rss - before < 2**28


def test_what_an_answer_started_ends_with_its_sandbox():
    unfenced = kernel_sandbox()  # the learner's own computer
    child = reply_to(unfenced, "import subprocess\nx = subprocess.Popen(['sleep', '60']).pid").value
    assert psutil.pid_exists(child)
    unfenced.renew()
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@on_linux
def test_no_process_outlives_the_one_that_asked():
    code = """
        import os, sys
        from tlcourse.exercises.runner.process import Sandbox, Limits
        box = Sandbox(Limits(seconds=60), fenced=True)
        box.ask("prepare", setup="")
        print(box._process.pid, box._template._process.pid, flush=True)
        box.ask("run", source="while True: pass", name="x")
    """
    asking = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in asking.stdout.readline().split()]
    asking.send_signal(signal.SIGKILL)
    asking.wait()
    asking.stdout.close()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert len(pids) == 2


# --- what an answer may do ----------------------------------------------------------------------------------


def test_honest_work_is_not_hindered(fenced):
    source = """
        import math, tempfile, threading, warnings
        from pathlib import Path
        import numpy as np
        import tlcourse as tl
        from tlcourse.evaluation import intervals as stats
        from tlcourse.data import cleaning
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
        import matplotlib.pyplot as plt
        from sklearn.linear_model import LogisticRegression
        LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
        import asyncio
        async def three(): return 3
        x = [done, Path("mine.pt").exists(), asyncio.run(three())]
    """
    fenced.limits = Limits(seconds=300, memory=2**30)
    fenced.renew()
    reply = reply_to(fenced, "import torch\n" + textwrap.dedent(source))
    assert reply.error is None, reply.error
    assert reply.value == [[1], True, 3]


# --- what it may not: every one of these went through the fence before it had walls, or was tried on it ----------

READS = {
    "open": "x = open({solution!r}).read()",
    "a folder's number": "import os\nx = os.read(os.open({solution!r}[1:], 0, dir_fd=os.open('/', os.O_RDONLY)), 50)",
    "the proc folder": "x = open('/proc/self/root' + {solution!r}).read()",
    "a link": "import os\nos.symlink({solution!r}, 'l')\nx = open('l').read()",
    "a hard link": "import os\nos.link({solution!r}, 'l')\nx = open('l').read()",
    "PyTorch": "import torch\nx = bytes(torch.from_file({solution!r}, size=50, dtype=torch.uint8).tolist())",
    "torchvision": "import torchvision\nx = bytes(torchvision.io.read_file({solution!r}).tolist())",
    "readline": "import readline\nreadline.read_history_file({solution!r})\nx = readline.get_history_item(1)",
    "runpy": "import runpy\nx = runpy.run_path({folder!r} + '/checks.py')['q1'].reference",
    "importing": f"import importlib\nx = importlib.import_module({SECRET[0]!r}).q1.reference",
    "its bytecode": "import glob\nx = open(glob.glob({folder!r} + '/__pycache__/checks*')[0], 'rb').read()",
    "the course's own reader": "from tlcourse.exercises import markdown\n"
    "x = markdown.read_exercises({solution!r})[0].reference",
    "the quiz": "x = open({folder!r} + '/quiz.md').read()",
    "a changed fence": "from tlcourse.exercises.runner import fence\nfence._inside = lambda *_: True\n"
    "x = open({solution!r}).read()",
    "a changed os": "import os\nos.path.realpath = lambda p: os.getcwd()\nx = open({solution!r}).read()",
    "a memory map": "import numpy\nx = bytes(numpy.memmap({solution!r}, mode='r'))",
    "the parent's memory": "import os\nx = open(f'/proc/{{os.getppid()}}/mem', 'rb').fileno()",
    "the account": "import os\nx = open('/etc/passwd').read()",
    "what is loaded": "import sys\nx = [m for m in sys.modules if m.endswith('start_here.checks')][0]",
}


REFUSALS = ("FencedError", "PermissionError", "ImportError", "RuntimeError", "IndexError")


def replies(box, ways, **places):
    """What comes back for every way, each tried in a process that knows nothing of the ones before."""
    for way, source in ways.items():
        box.renew()
        yield way, reply_to(box, source.format(**places))


@on_linux
def test_solutions_cannot_be_read(fenced):
    for way, reply in replies(fenced, READS, solution=str(SOLUTION), folder=str(SOLUTION.parent)):
        assert reply.value is None, way
        assert reply.error["type"] in REFUSALS, (way, reply)


WRITES = {
    "open": "open({out!r}, 'w').write('x')",
    "a folder's number": "import os\nos.open({out!r}[1:], os.O_CREAT | os.O_WRONLY, dir_fd=os.open('/', os.O_RDONLY))",
    "torchvision": "import torch, torchvision\ntorchvision.io.write_file({out!r}, torch.zeros(5, dtype=torch.uint8))",
    "safetensors": "import torch, safetensors.torch as s\ns.save_file({{'a': torch.zeros(2)}}, {out!r})",
    "PyTorch": "import torch\ntorch.UntypedStorage.from_file({kept!r}, shared=True, nbytes=4).fill_(1)",
    "moving": "import os\nos.rename({kept!r}, 'mine')",
    "moving out": "import os\nopen('a', 'w').close()\nos.rename('a', {out!r})",
    "a folder": "import os\nos.mkdir({out!r})",
    "rights": "import os\nos.chmod({kept!r}, 0)",
    "a pipe": "import os\nos.mkfifo({out!r})",
    "a link": "import os\nos.makedirs('a/b/c'); os.chdir('a/b/c'); os.symlink('../..', '../../../l')\n"
    "os.chdir('../../../l'); open({out!r}, 'w')",
}


@on_linux
def test_nothing_can_be_written_outside(fenced, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    seen = kept.stat()
    for way, reply in replies(fenced, WRITES, out=str(tmp_path / "out"), kept=str(kept)):
        assert reply.error is not None, way
        assert [path.name for path in tmp_path.iterdir()] == ["kept"], way
        assert kept.read_text() == "kept", way
        assert (kept.stat().st_mode, kept.stat().st_mtime_ns) == (seen.st_mode, seen.st_mtime_ns), way


REACHES = {
    "a program": "import subprocess\nx = subprocess.run(['true'])",
    "a program, without asking": "import _posixsubprocess, os\nr, w = os.pipe()\nx = _posixsubprocess.fork_exec("
    "[b'/bin/true'], [b'/bin/true'], True, (w,), None, None, -1, -1, -1, -1, -1, -1, r, w, False, False, 0, None, None,"
    " None, -1, None, False)",
    "another program in its place": "import os\nos.execv('/bin/true', ['true'])",
    "a process": "import os\nwhile True: os.fork()",
    "the network": "import socket\nx = socket.create_connection(('127.0.0.1', 9))",
    "the network from PyTorch": "import torch.distributed as d\nx = str(d.TCPStore('127.0.0.1', 0, is_master=True))",
    "the network from Jupyter's library": "import zmq\nx = str(zmq.Context().socket(zmq.REQ).connect('tcp://127.0.0.1:9'))",
    "machine code": "import ctypes\nx = ctypes.CDLL(None).getpid()",
    "machine code by another library": "import cffi\nx = cffi.FFI().dlopen(None)",
    "ending the parent": "import os\nos.kill(os.getppid(), 9)",
    "ending the parent in another way": "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
    "a signal by way of a file": "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, 8, os.getppid())\nx = 1",
    "higher limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "the parent's limits": "import resource, os\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "memory that is not counted": "import os\nx = os.memfd_create('a')",
}


@on_linux
def test_nothing_outside_can_be_reached(fenced):
    for way, reply in replies(fenced, REACHES):
        assert reply.value is None, way
        assert reply.error["type"] not in ("Died", "TimeLimit", "MemoryLimit"), (way, reply)


MACHINE_CODE = '''
import os, torch
code = """
import ctypes
library = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    return [getattr(library, name)(*arguments), ctypes.get_errno()]
"""
names = {"__name__": "torch"}
exec(compile(code, torch.__file__, "exec"), names)  # the hook takes it for PyTorch
call = names["call"]
'''


@on_linux
def test_what_gets_past_python_meets_the_system(fenced):
    """Machine code is within reach of who fools the hook, and the system refuses it the same things."""
    column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    calls = {name: (numbers, "0, 0, 0, 0") for name, numbers in walls.REFUSED.items() if numbers[column] >= 0}
    calls |= {
        "kill": (walls.KILL, "os.getppid(), 0"),
        "tgkill": (walls.TGKILL, "os.getppid(), os.getppid(), 0"),
        "clone": (walls.CLONE, "17, 0, 0, 0, 0"),
        "clone3": (walls.CLONE3, "0, 0"),
        "prlimit64": (walls.PRLIMIT, "0, 9, b'x' * 16, 0"),
        "fcntl": (walls.OWNERS[0][0], "1, 8, os.getppid()"),
        "ioctl": (walls.OWNERS[3][0], "1, 0x8901, b'x' * 8"),
    }
    tried = [f"{name!r}: call('syscall', {numbers[column]}, {given})" for name, (numbers, given) in calls.items()]
    reply = reply_to(fenced, MACHINE_CODE + "x = {" + ", ".join(tried) + "}")
    assert reply.value == {name: [-1, errno.EPERM] for name in calls} | {"clone3": [-1, errno.ENOSYS]}


@on_linux
def test_machine_code_cannot_open_files_either(fenced, tmp_path):
    source = f"""
x = []
for path, flags in (({str(SOLUTION)!r}, 0), ({str(tmp_path / "out")!r}, 65), ("/etc/passwd", 0), ("/dev/tty", 2)):
    x.append(call("open", path.encode(), flags, 0o600))
"""
    assert reply_to(fenced, MACHINE_CODE + source).value == [[-1, 13]] * 4
    assert list(tmp_path.iterdir()) == []


@on_linux
def test_only_its_own_pipes_are_open(fenced):
    source = """
        import os, stat
        x = []
        for number in range(3, 200):
            try: x.append(stat.S_ISFIFO(os.fstat(number).st_mode))
            except OSError: pass
    """
    assert reply_to(fenced, source).value == [True, True]


@on_linux
def test_the_environment_tells_nothing(fenced):
    told = "dict(os.environ), open('/proc/self/environ').read(), os.getcwd(), os.path.expanduser('~')"
    reply = reply_to(fenced, f"import os\nx = [{told}]")
    assert "hunter2" not in str(reply.value)
    assert reply.value[0]["HOME"] == reply.value[2] == reply.value[3]


def test_without_walls_the_hook_alone_stops_who_looks_around(tmp_path, monkeypatch):
    """As on macOS and Windows; in a process of its own, for nothing opens a fence again."""
    inside = tmp_path / "inside"
    inside.mkdir()
    code = f"""
        import os, sys
        from pathlib import Path
        import torch, tlcourse
        from tlcourse.exercises.runner import fence
        fence.raise_walls = lambda *_: []
        os.chdir({str(inside)!r})
        fence.close_fence(Path({str(inside)!r}), [Path({str(SOLUTION)!r})], {SECRET!r})
        def refused(do):
            try: do()
            except (PermissionError, ImportError): return
            print("not refused:", do.__code__.co_consts)
        open("mine", "w").write("x")
        os.makedirs("a/b/c")
        refused(lambda: open({str(SOLUTION)!r}))
        refused(lambda: open("/etc/passwd"))
        refused(lambda: open({str(tmp_path / "out")!r}, "w"))
        refused(lambda: os.open("/", os.O_RDONLY))
        refused(lambda: os.open("../../out", os.O_CREAT | os.O_WRONLY, dir_fd=os.open("a", os.O_RDONLY)))
        refused(lambda: os.mkdir("x", dir_fd=os.open("a", os.O_RDONLY)))
        refused(lambda: os.symlink("a", "b"))
        refused(lambda: os.system("true"))
        refused(lambda: __import__("tlcourse.lessons.nb00_start_here.checks"))
        refused(lambda: __import__("cffi"))
        refused(lambda: __import__("socket").socket())
        refused(lambda: __import__("ctypes").CDLL(None))
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


class Deaf:
    pid, to_it, from_it = os.getpid(), io.BytesIO(), io.BytesIO()

    def end(self):
        pass


def test_a_fence_that_cannot_be_closed_runs_no_answer(monkeypatch):
    broken = Sandbox(fenced=True)
    monkeypatch.setattr(broken, "_new_process", Deaf)
    monkeypatch.setattr(broken, "_exchange", lambda *_: process.Reply(error={"type": "x", "message": "", "frames": []}))
    with contextlib.closing(broken), pytest.raises(OSError, match="no answer was run"):
        broken.ask("prepare", setup="")
