"""Contestants in turn, each in a process of its own; what it took is what the system says of it and its children.

Rows are added to a file as they come, so that an interrupted run goes on where it was.
"""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers.workloads import FLOOR, GROWTH, NEED_PHOTOS, ROOT, ROWS, WORK, WORKLOADS, Job, real_data

COLUMNS = (
    *("workload", "contestant", "seed", "device"),
    *("work", "whole", "processor", "memory", "accuracy", "to_target"),
)
OFFLINE = {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}  # of the peers, and what they print into the log


def measure(words: list[str], device: str, log: Path) -> dict[str, float]:
    """Run Python with these words; return its seconds, those of the processor, and its largest MiB.

    Memory is that of the largest process, as the system keeps no sum over a process and its children. Raises OSError
    with the end of what it printed where it failed.
    """
    environment = os.environ | OFFLINE | {"TLCOURSE_DEVICE": device}
    with log.open("wb") as printed:
        begin = time.perf_counter()
        process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, stdout=printed, stderr=printed)
        _, status, usage = os.wait4(process.pid, 0)
        whole = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise OSError(f"{' '.join(words)} ended with {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"whole": whole, "processor": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / unit}


def with_the_course(module: str, *words: str) -> list[str]:
    """Return the words that run a module's `main` after the course was imported: it sets settings of PyTorch before."""
    code = f"import sys, tlcourse; from benchmarks.peers.{module} import main; main(*sys.argv[1:])"
    return ["-c", code, *words]


def run(job: Job) -> dict[str, Any]:
    """Let a contestant do its job, and return a row without what was measured in pauses of its clock."""
    file = WORK / "result.json"
    words = ["-m", "benchmarks.peers.one", job.workload, job.contestant, str(job.seed), job.device, str(file)]
    row = asdict(job) | measure(words, job.device, WORK / "log.txt")
    result = json.loads(file.read_text(encoding="utf-8"))
    row["whole"] -= result.pop("paused", 0)
    row["processor"] -= result.pop("paused_processor", 0)
    return row | result


def jobs(workloads: Iterable[str], contestants: Iterable[str], rounds: int, device: str) -> Iterator[Job]:
    """Yield all jobs, round after round; every round has a seed of its own, and begins with another contestant."""
    for seed in range(rounds):
        for workload in workloads:
            chosen = [name for name in WORKLOADS[workload].contestants if name in contestants]
            first = seed % max(1, len(chosen))
            yield from (Job(workload, name, seed, device) for name in chosen[first:] + chosen[:first])


def prepare(workloads: list[str], rounds: int) -> None:
    """Write what contestants share."""
    words = ["-m", "benchmarks.peers.prepare", *workloads, "--seeds", str(rounds)]
    measure(words, "cpu", WORK / "log.txt")


def possible(workloads: Iterable[str]) -> list[str]:
    """Return the workloads that can run here; those on photographs need them."""
    wanted = list(workloads)
    if real_data() is None:
        print(f"without TLCOURSE_REAL_DATA these are left out: {', '.join(NEED_PHOTOS)}", flush=True)
        wanted = [name for name in wanted if name not in NEED_PHOTOS]
    return wanted


def measure_all(workloads: list[str], contestants: list[str], rounds: int, device: str) -> int:
    """Do all jobs of which there is no row yet, and return how many failed."""
    WORK.mkdir(parents=True, exist_ok=True)
    plan = list(jobs(workloads, contestants, rounds, device))
    missing = [job for job in plan if _key(asdict(job)) not in _done()]
    if missing:
        print(f"{len(missing)} of {len(plan)} to do; what they share is made first", flush=True)
        prepare(list(dict.fromkeys(job.workload for job in missing)), rounds)
    failed = 0
    for job in missing:
        try:
            row = run(job)
        except OSError as error:
            failed += 1
            print(f"{job.workload:14} {job.contestant:20} FAILED: {error}", flush=True)
            continue
        _add(row)
        print(
            f"round {job.seed}  {job.workload:14} {job.contestant:20} {row.get('work') or row['whole']:7.2f} s "
            f"(whole {row['whole']:6.2f} s, processor {row['processor']:6.1f} s, {row['memory']:5.0f} MiB, "
            f"{row['accuracy']:.1f} % right)",
            flush=True,
        )
    return failed


def forget() -> None:
    """Forget what was measured, so that the next measurement begins anew."""
    for measured in (ROWS, FLOOR, GROWTH):
        measured.unlink(missing_ok=True)


def _done() -> set[tuple[str, ...]]:
    if not ROWS.exists():
        return set()
    with ROWS.open(newline="", encoding="utf-8") as file:
        return {_key(row) for row in csv.DictReader(file)}


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in COLUMNS[:4])


def _add(row: dict[str, Any]) -> None:
    new = not ROWS.exists()
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)
