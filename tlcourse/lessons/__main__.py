"""Compute the tables that came with the course again: `python -m tlcourse.lessons NAME`, or run `classic`."""

import argparse
import sys
from pathlib import Path

from tlcourse.lessons.nb12_your_own_images import classic
from tlcourse.lessons.shipped import shipped_tables
from tlcourse.notebook.results import save_results


def main() -> None:
    """Compute a shipped table, and write it to the current folder or to `--out`; or run the classic recipe."""
    if sys.argv[1:2] == ["classic"]:
        sys.exit(classic.main(sys.argv[2:]))
    tables = shipped_tables()
    parser = argparse.ArgumentParser(
        description="Compute a table that came with the course again.",
        epilog="The classic recipe on CIFAR-10, which ships no table: python -m tlcourse.lessons classic --help",
    )
    parser.add_argument("name", nargs="?", choices=tables, default="labels_curve", help="which (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="file to write (default: NAME.csv in this folder)")
    parser.add_argument("--seeds", type=int, help="how many seeds (default: as in the shipped table)")
    arguments = parser.parse_args()
    compute, seeds = tables[arguments.name]
    rows = compute(range(arguments.seeds or seeds))
    path = save_results(rows, arguments.out or Path(f"{arguments.name}.csv"))
    print(f"wrote {len(rows)} rows to {path}")


if __name__ == "__main__":
    main()
