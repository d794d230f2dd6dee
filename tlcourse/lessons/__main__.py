"""Compute the tables that came with the course again: `python -m tlcourse.lessons NAME`; or run `classic` or `zoo`."""

import argparse
import sys
from pathlib import Path

from tlcourse.lessons.nb05_choosing_a_source import zoo
from tlcourse.lessons.nb12_your_own_images import classic
from tlcourse.lessons.shipped import shipped_tables
from tlcourse.notebook.results import save_results


def main() -> None:
    """Compute a shipped table into the current folder or to `--out`; or run the classic recipe, or train the zoo."""
    if sys.argv[1:2] == ["classic"]:
        sys.exit(classic.main(sys.argv[2:]))
    if sys.argv[1:] == ["zoo"]:
        sys.exit(zoo.main())
    tables = shipped_tables()
    parser = argparse.ArgumentParser(
        description="Compute a table that came with the course again.",
        epilog="The classic recipe on CIFAR-10, which ships no table: python -m tlcourse.lessons classic --help. The "
        "candidates of notebook 05, trained again into the package: python -m tlcourse.lessons zoo",
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
