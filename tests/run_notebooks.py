"""Execute every notebook under nbval, without network, each in a fresh kernel.

A kernel may die while it starts when the machine is busy. That says nothing about the notebook, so it alone is
tried a second time; a cell that fails is never tried again.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
KERNEL_DIED = ("Kernel died", "Kernel didn't respond", "dead kernel")


def run(notebook: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    command += ["-p", "no:cacheprovider", "-W", "default", "--durations=5", str(notebook)]
    path = os.pathsep.join([str(ROOT / "tests" / "offline"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path.rstrip(os.pathsep), "TLCOURSE_PROGRESS": "off"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def main() -> int:
    failed = []
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        result = run(notebook)
        if result.returncode and any(sign in result.stdout for sign in KERNEL_DIED):
            print(f"{notebook.name}: the kernel died, trying once more", flush=True)
            result = run(notebook)
        print(result.stdout, flush=True)
        if result.returncode:
            failed.append(notebook.name)
    print(f"notebooks that failed: {', '.join(failed)}" if failed else "all notebooks passed")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
