"""What a learner waits for: the import, drawing a world, and every notebook from top to bottom.

python benchmarks/startup.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import torch
from nbclient import NotebookClient

import tlcourse as tl

ROOT = Path(__file__).parent.parent
OFFLINE = ROOT / "tests" / "offline"
MEMORY = "import resource; print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"


def import_time() -> None:
    code = "import torch, torchvision\nimport time; t = time.time()\nfrom tlcourse import *\nprint(time.time() - t)"
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(6)][1:]
    print(f"all names of tlcourse add {statistics.median(times):.3f} s to importing torch and torchvision")


def drawing() -> None:
    """In a fresh process on one core, so that nothing is drawn, opened or imported before."""
    code = (
        "import time, torch; torch.set_num_threads(1); from tlcourse.data.worlds import load\n"
        "for world, labels in (('printed', 'digits'), ('printed-photo', 'letters')):\n"
        "    t = time.perf_counter(); load(world, labels, count=10_000)\n"
        "    print(f'drawing 10,000 images of {world} {labels} on one core: {time.perf_counter() - t:.2f} s')\n"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"TLCOURSE_CACHE": "off"}, check=True)


def notebook(path: Path, cache: str) -> None:
    content = nbformat.read(path, as_version=4)
    if sys.platform != "win32":
        content.cells.append(nbformat.v4.new_code_cell(MEMORY))
    os.environ |= {"PYTHONPATH": str(OFFLINE), "TLCOURSE_CACHE": cache}
    start = time.perf_counter()
    NotebookClient(content, timeout=600, kernel_name="python3").execute()
    taken = time.perf_counter() - start
    peak = [o.text for c in content.cells[-1:] for o in c.outputs if "text" in o]
    memory = f", peak memory {int(peak[0].split()[1]) / 2**30:.2f} GiB" if peak else ""
    slowest = max(_seconds(cell) for cell in content.cells if cell.cell_type == "code")
    print(f"{path.name}: {taken:.1f} s, slowest cell {slowest:.1f} s{memory}")


def _seconds(cell: nbformat.NotebookNode) -> float:
    """How long a cell took, from the times that the client noted."""
    from datetime import datetime

    times = cell.metadata.get("execution", {})
    keys = ("iopub.execute_input", "shell.execute_reply")
    if not all(key in times for key in keys):
        return 0.0
    begin, end = (datetime.fromisoformat(times[key].replace("Z", "+00:00")) for key in keys)
    return (end - begin).total_seconds()


def main() -> None:
    print(tl.describe_machine(), end="\n\n")
    import_time()
    drawing()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as cache:
            notebook(path, cache)
    print(f"(threads: {torch.get_num_threads()})")


if __name__ == "__main__":
    main()
