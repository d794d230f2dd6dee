"""A linear probe on cached features beside a frozen network trained by the ordinary loop, to the same accuracy.

    python benchmarks/probe_speed.py

Close other programs first. Both get the same labelled images and the same pretrained network, and neither augments;
both are measured on images that neither learned from. The training is stopped at the first look at which it is as
accurate as the probe, which nobody could do in earnest and which favours it. The median of five seeds is shown.
"""

import statistics

import tlcourse as tl
from tlcourse.experiments.probe_race import Race, race

SEEDS = range(5)


def line(races: list[Race]) -> str:
    fast, slow, updates, ratio = (
        statistics.median(getattr(r, what) for r in races)
        for what in ("probe_seconds", "training_seconds", "updates", "ratio")
    )
    goal, arrived = statistics.mean(r.goal for r in races), sum(r.reached >= r.goal for r in races)
    return (
        f"{races[0].per_class:3d} labels a class, {goal:.1f} %: probe {1000 * fast:4.0f} ms; frozen network "
        f"{slow:5.2f} s and {updates:3.0f} updates, {arrived} of {len(races)} got there; ratio {ratio:.0f}"
    )


def main() -> None:
    print(tl.describe_machine(), end="\n\n")
    for per_class in (1, 5, 20, 50):
        print(line([race(per_class, seed) for seed in SEEDS]))


if __name__ == "__main__":
    main()
