"""Execute the notebooks under nbval, without network, each in a fresh kernel: as students get them, and solved.

Of the instructor's edition, written into a temporary folder, every check must find its answer right: as when nbgrader
validates a notebook, a check that finds anything else raises. Notebooks run side by side, each on its share of the
cores: two on one core each take half the time of one after the other on two cores.

A kernel may die while it starts when the machine is busy. That says nothing about the notebook, so it alone is
tried a second time; a cell that fails is never tried again.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tlcourse.teaching.editions import write_editions

ROOT = Path(__file__).parent.parent
KERNEL_DIED = ("Kernel died", "Kernel didn't respond", "dead kernel")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
AT_ONCE = min(CORES, 4)  # each needs up to 2 GiB of memory
AS_STUDENTS_GET_IT: Mapping[str, str] = {}
EVERY_CHECK_RIGHT = {"NBGRADER_EXECUTION": "validate"}


def run(notebook: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command += [f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    command += ["-p", "no:cacheprovider", "-W", "default", "--durations=5", str(notebook)]
    path = os.pathsep.join([str(ROOT / "tests" / "offline"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {
        "PYTHONPATH": path.rstrip(os.pathsep),
        "TLCOURSE_PROGRESS": "off",
        "OMP_NUM_THREADS": str(CORES // AT_ONCE),
    }
    return subprocess.run(
        command, cwd=ROOT, env=environment | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def passes(notebook: Path, settings: Mapping[str, str]) -> bool:
    """Run a notebook, a second time if its kernel died, and print what pytest said, in one piece."""
    begin, again = time.perf_counter(), ""
    result = run(notebook, settings)
    if result.returncode and any(sign in result.stdout for sign in KERNEL_DIED):
        again = f"{notebook.name}: the kernel died, tried once more\n"
        result = run(notebook, settings)
    sys.stdout.write(f"{again}{result.stdout}{named(notebook)}: {time.perf_counter() - begin:.0f} s\n\n")
    sys.stdout.flush()
    return result.returncode == 0


def named(notebook: Path) -> str:
    return f"{notebook.parent.name}/{notebook.name}"


def run_all(work: Sequence[tuple[Path, Mapping[str, str]]]) -> list[str]:
    """Run notebooks side by side; returns those that failed."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = list(pool.map(lambda one: passes(*one), work))
    return [named(notebook) for (notebook, _), good in zip(work, passed, strict=True) if not good]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        write_editions(Path(folder), ROOT / "notebooks", timing=False)
        work = [(notebook, AS_STUDENTS_GET_IT) for notebook in sorted((ROOT / "notebooks").glob("*.ipynb"))]
        work += [(notebook, EVERY_CHECK_RIGHT) for notebook in sorted(Path(folder, "instructor").glob("*.ipynb"))]
        failed = run_all(work)
    print(f"notebooks that failed: {', '.join(failed)}" if failed else f"all {len(work)} notebooks passed")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
