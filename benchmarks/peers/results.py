"""From the measured rows to table and picture: `python -m benchmarks.peers.results FOLDER` draws them again."""

import shutil
import sys
from pathlib import Path

import pandas as pd

from benchmarks.peers.figure import draw
from benchmarks.peers.table import page
from benchmarks.peers.workloads import FLOOR, GROWTH, ROWS
from tlcourse.storage import write_atomically

TABLES = {ROWS: "speed.csv", FLOOR: "floor.csv", GROWTH: "growth.csv"}


def publish(folder: Path) -> None:
    """Copy what was measured into a folder, and draw it; what was not measured this time is not kept from before."""
    if not ROWS.exists():
        raise SystemExit("nothing was measured, so there is no table. See above what failed.")
    folder.mkdir(parents=True, exist_ok=True)
    for measured, name in TABLES.items():
        (folder / name).unlink(missing_ok=True)
        if measured.exists():
            shutil.copyfile(measured, folder / name)
    write(folder)


def write(folder: Path) -> None:
    """Write `speed.md` and `speed.png` from the tables of a folder."""
    tables = [pd.read_csv(path) if (path := folder / name).exists() else None for name in TABLES.values()]
    rows, floor, growth = tables
    figure, words = draw(rows, growth)
    figure.savefig(folder / "speed.png", dpi=150, facecolor="white")
    write_atomically(folder / "speed.md", page(rows, words, floor, growth).encode())
    print(f"written: {folder / 'speed.md'} and speed.png beside it")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
