"""One contestant does one job, in a process that does nothing else; it writes what it measured as JSON.

    python -m benchmarks.peers.one WORKLOAD CONTESTANT SEED DEVICE FILE

PyTorch is imported by the contestant, as the course sets some of its settings before.
"""

import importlib
import json
import sys
from pathlib import Path

from benchmarks.peers.workloads import CONTESTANTS, Job


def main(workload: str, contestant: str, seed: str, device: str, file: str) -> None:
    job = Job(workload, contestant, int(seed), device)
    module = importlib.import_module(f"benchmarks.peers.{CONTESTANTS[contestant].module}")
    result = getattr(module, job.settings.does)(job)
    Path(file).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
