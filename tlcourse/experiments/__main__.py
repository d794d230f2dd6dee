"""Compute the tables that came with the course again: `python -m tlcourse.experiments`."""

import argparse
from pathlib import Path

from tlcourse.experiments.tables import CURVE, save_trials, summarise
from tlcourse.experiments.trials import LABELS_PER_CLASS, STARTS, run_trials


def main() -> None:
    """Compute the curve of accuracy against labels, and write it to the current folder or to `--out`."""
    parser = argparse.ArgumentParser(description="Compute the curve of accuracy against labels again.")
    parser.add_argument("--out", type=Path, default=Path(CURVE.name), help="file to write (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds (default: %(default)s)")
    arguments = parser.parse_args()
    trials = run_trials(STARTS, LABELS_PER_CLASS, range(arguments.seeds))
    print(f"wrote {save_trials(arguments.out, trials)}")
    for (start, per_class), interval in summarise(trials).items():
        print(f"{per_class:3d} labels a class  {start:12s}  {interval} %")


if __name__ == "__main__":
    main()
