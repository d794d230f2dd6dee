"""Measure the course beside its peers, then write the table and the picture."""

import argparse
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.growth import measure_growth
from benchmarks.peers.measure import forget, measure, measure_all, possible, with_the_course
from benchmarks.peers.workloads import CONTESTANTS, FLOOR, RESULTS, WORK, WORKLOADS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="each with a seed of its own (default: %(default)s)")
    for what, known in (("workloads", WORKLOADS), ("contestants", CONTESTANTS)):
        words = f"some of: {', '.join(known)} (default: all)"
        parser.add_argument(
            f"--{what}", nargs="+", choices=list(known), default=list(known), metavar="NAME", help=words
        )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    parser.add_argument("--skip", nargs="+", choices=["floor", "growth"], default=[], help="what is not measured")
    parser.add_argument("--fresh", action="store_true", help="begin anew; otherwise what was interrupted goes on")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for table and picture (default: %(default)s)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if not hasattr(os, "wait4"):
        raise SystemExit("this system does not say what a process took. Expected Linux or macOS, which have wait4.")
    missing = [name for name in ("fastai", "lightning", "timm") if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"{', '.join(missing)} cannot be imported. Expected the extra `bench`: run `make bench`.")
    if options.fresh:
        forget()
    failed = measure_all(possible(options.workloads), options.contestants, options.rounds, options.device)
    if "floor" not in options.skip and not FLOOR.exists():
        failed += _failed(measure_floor, options.device)
    if "growth" not in options.skip:
        failed += _failed(measure_growth, options.device)
    # here, since PyTorch and pandas must not be in this process while it starts others
    from benchmarks.peers.results import publish

    publish(options.out)
    if failed:
        print(f"{failed} failed; the same command tries them again")
    else:
        forget()
    return min(failed, 1)


def measure_floor(device: str) -> None:
    """Measure what the work could take at the least, and what the rest is."""
    print("the floor, and what the rest is", flush=True)
    measure(with_the_course("floor", device), device, WORK / "log.txt")


def _failed(work: Callable[[str], None], device: str) -> int:
    """Do it, and return 1 where a process of it failed, which shall not cost what was measured before."""
    try:
        work(device)
    except OSError as error:
        print(f"FAILED: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
