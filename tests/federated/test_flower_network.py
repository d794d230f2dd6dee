"""The app on Flower's own engine: a server and two clients, processes of their own, on this machine's loopback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from tests.federated.test_federation import kill
from tlcourse.federated.clients import Client
from tlcourse.federated.federation import Federation
from tlcourse.storage import read_tensors

WHY = "Flower, an engine that only federated learning on a network needs, is not installed: pip install '.[federated]'"
pytest.importorskip("flwr", reason=WHY)
from tlcourse.federated.flower_app import images, settings  # noqa: E402

APP = Path(settings.__file__).parent
SHEETS = {"ann": "2", "bob": "3"}
RUN = {"classes": "0 1 2 3 4 5 6 7 8 9", "network": "small_cnn", "start": "fine-tuned", "method": "fedavg", "seed": 0}
RUN |= {"epochs": 1, "batch": 25, "lr": 0.1, "clients": 2, "rounds": 2, "seconds": 300}
LONGEST = 600  # seconds that the test may take; up to 60 go by until the server misses a killed client


class Engine:
    """Flower's processes, each with a log, in a folder and on ports of their own."""

    def __init__(self, folder, environment):
        self.folder, self.until, self.started = folder, time.monotonic() + LONGEST, []
        self.server = f"127.0.0.1:{free_port()}"
        (folder / "config.toml").write_text(f'[superlink.here]\naddress = "{self.server}"\ninsecure = true\n')
        programs = Path(sys.executable).parent  # the server starts others by their names
        self.environment = environment | {
            **{"FLWR_HOME": str(folder), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"},
            **{"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONUNBUFFERED": "1"},
            "PATH": f"{programs}{os.pathsep}{environment['PATH']}",
        }

    def start(self, name, program, *words):
        words = [shutil.which(program, path=self.environment["PATH"]), *words]
        with (self.folder / f"{name}.log").open("w") as log:
            started = subprocess.Popen(words, stdout=log, stderr=log, env=self.environment, cwd=self.folder)
        self.started.append(started)
        return started

    def wait_for(self, what, arrived):
        """Return when it has arrived; where it does not in time, or a program failed, the test does, with the logs."""
        while not arrived():
            late, failed = time.monotonic() > self.until, [p.args for p in self.started if p.poll()]
            if late or failed:
                logs = [f"{log.name}:\n{log.read_text()[-2000:]}" for log in self.folder.glob("*.log")]
                pytest.fail("\n\n".join([f"waited in vain for {what}; programs that failed: {failed}", *logs]))
            time.sleep(0.2)

    def answers(self):
        """Whether the server does."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.server.split(":")[1]))) == 0

    def rounds(self):
        """What the server wrote of the rounds that are done."""
        file = self.folder / "federated.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def kill(self, started):
        """Kill a program as a failing machine would: nobody is told."""
        self.started.remove(started)
        started.kill()
        started.wait()

    def processes(self):
        """All processes of this engine, also those that its processes started."""
        return [process for process in psutil.process_iter() if home_of(process) == str(self.folder)]

    def end(self):
        while left := self.processes():
            for process in left:
                process.kill()
            psutil.wait_procs(left, timeout=10)
        for process in self.started:
            process.wait()


def home_of(process):
    try:
        return process.environ().get("FLWR_HOME")
    except (psutil.Error, OSError):
        return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def engine(tmp_path, environment):
    engine = Engine(tmp_path, environment)
    try:
        yield engine
    finally:
        engine.end()
    assert not engine.processes()


def test_two_clients_on_loopback_one_killed_in_the_second_round(engine):
    """The weights are those of the rounds by hand in which bob was lost in the second."""
    host, port = engine.server.split(":")
    engine.start("server", "flower-superlink", "--insecure", "--host", host, "--port", port, NO_INSTALLATION)
    engine.wait_for("the server", engine.answers)
    clients = {name: engine.start(name, "flower-supernode", *node(name, engine.server)) for name in SHEETS}
    changes = " ".join(f"{key}={value!r}".replace("'", '"') for key, value in RUN.items())  # as TOML
    engine.start("run", "flwr", "run", str(APP), "here", "--run-config", changes)
    engine.wait_for("the first round", lambda: engine.rounds())
    engine.kill(clients["bob"])
    engine.wait_for("the second round", lambda: len(engine.rounds()) == 2)
    who = [(sorted(done["losses"]), done["lost"]) for done in engine.rounds()]
    assert who == [(["ann", "bob"], []), (["ann"], ["bob"])]
    found = read_tensors(engine.folder / "federated.safetensors")

    homes = [Client(name, images.from_sheets(sheet)) for name, sheet in SHEETS.items()]
    by_hand = Federation(settings.network(RUN), homes, settings.method(RUN), settings.work(RUN))
    kill(by_hand, "bob", in_round=2)
    assert [done.lost for done in by_hand.rounds(2)] == [(), ("bob",)]
    assert found.keys() == by_hand.shared.keys()
    for name, value in by_hand.shared.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6)


NO_INSTALLATION = "--disable-runtime-dependency-installation"  # which would ask the network


def node(name, server):
    own = f'name="{name}" sheets="{SHEETS[name]}"'
    return "--insecure", "--superlink", server, "--port", str(free_port()), "--node-config", own
