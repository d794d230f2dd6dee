"""How long a large folder takes to be scanned and inspected, and how much memory.

    python benchmarks/folder_scan.py [FILES]

Close other programs first. Small PNG files, 100,000 unless another number is given, are written to a temporary folder,
in ten classes and 20 subfolders each, then listed (names only) and opened one by one; the folder is removed afterwards.
What is measured has just been written, so the disk itself is not part of it.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tlcourse.photos.inspection import inspect
from tlcourse.photos.scan import scan

CLASSES, SUBFOLDERS = 10, 20


def write_files(folder: Path, count: int) -> None:
    """Write different pictures of 32x32 pixels."""
    draws = np.random.default_rng(0)
    for i in range(count):
        below = folder / f"class {i % CLASSES}" / f"part {i // CLASSES % SUBFOLDERS}"
        below.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(draws.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(below / f"{i:06d}.png", compress_level=1)


def memory() -> float:
    """Return the memory of this process in MB: the most so far, where the system says so."""
    now = psutil.Process().memory_info()
    try:
        import resource
    except ImportError:
        return getattr(now, "peak_wset", now.rss) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, count)
        print(f"{count:,} files are written; memory {memory():.0f} MB at most so far", flush=True)
        start = time.perf_counter()
        found = scan(folder)
        print(f"scan:    {time.perf_counter() - start:6.1f} s, {len(found):,} files, {memory():.0f} MB", flush=True)
        start = time.perf_counter()
        report = inspect(found, progress=False)
        print(f"inspect: {time.perf_counter() - start:6.1f} s, {len(report.photos):,} usable, {memory():.0f} MB")
        print(report)


if __name__ == "__main__":
    main()
