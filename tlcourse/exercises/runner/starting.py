"""Two ways to start a worker: a program of its own, and, where Linux allows, a copy of one that is ready."""

import contextlib
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping

import psutil

READY_SECONDS = 180  # importing PyTorch on a busy machine with a slow disk


class Program:
    """A worker started from nothing, which takes seconds, since it has to import PyTorch."""

    def __init__(self, environment: Mapping[str, str], folder: str | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tlcourse.exercises.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=folder,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self.pid, self.to_it, self.from_it = self._process.pid, self._process.stdin, self._process.stdout

    def running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        end_family(self.pid)
        self._process.kill()
        self._process.wait()


class Copy:
    """A worker that a template made of itself."""

    def __init__(self, template: "Template", pid: int, to_it: int, from_it: int) -> None:
        self._template, self.pid = template, pid
        self.to_it, self.from_it = os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb")

    def running(self) -> bool:
        try:
            return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def end(self) -> None:
        end_family(self.pid)
        if self._template.running():
            self._template.end_copy()
        elif self.running():
            psutil.Process(self.pid).kill()


class Template:
    """A process that has imported what answers need, and makes a copy of itself for each: milliseconds, not seconds.

    It runs `warm` once before the first copy, and `later` once when nobody has asked for a copy for a moment.
    """

    def __init__(self, environment: Mapping[str, str], warm: str = "", later: str = "") -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tlcourse.exercises.runner.template", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno()],
            )
        self._control.settimeout(READY_SECONDS)
        text = pickle.dumps((warm, later))
        self._control.sendall(struct.pack("<Q", len(text)) + text)
        self._answer()

    @staticmethod
    def possible() -> bool:
        """Say whether this system copies processes safely; macOS does not once its own libraries were used."""
        return sys.platform == "linux"

    def running(self) -> bool:
        return self._process.poll() is None

    def copy(self) -> Copy:
        """Make a copy, with pipes that no earlier copy knew; raises OSError when the template is gone."""
        their_in, to_it = os.pipe()
        from_it, their_out = os.pipe()
        try:
            socket.send_fds(self._control, [b"c"], [their_in, their_out])
            return Copy(self, self._answer(), to_it, from_it)
        except OSError:
            os.close(to_it)
            os.close(from_it)
            self.close()
            raise
        finally:
            os.close(their_in)
            os.close(their_out)

    def end_copy(self) -> None:
        try:
            self._control.sendall(b"e")
            self._answer()
        except OSError:  # a late answer would be taken for the one to the next request
            self.close()

    def close(self) -> None:
        self._control.close()
        end_family(self._process.pid)
        self._process.kill()
        self._process.wait()

    def _answer(self) -> int:
        data = b""
        while len(data) < 8:
            data += (more := self._control.recv(8 - len(data)))
            if not more:
                raise OSError("the process that should start answers is gone")
        return struct.unpack("<q", data)[0]


def end_family(pid: int) -> None:
    """End everything that a process has started, but not the process."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
