"""A linear probe on cached features beside a frozen network trained by the ordinary loop for its 100 updates.

    python benchmarks/probe_speed.py

Close other programs first. Both get the same labelled images and the same pretrained network. The seconds are those of
the fastest of five seeds; accuracies are those on the test pool.
"""

import tlcourse as tl
from tlcourse.lessons import nb03_fine_tuning as lesson


def main() -> None:
    print(tl.describe_machine())
    for per_class in (1, 5, 20, 50):
        rows = lesson.run_strategies(["linear probe", "frozen backbone, AdamW"], [per_class], range(5), progress=False)
        print(f"\n{per_class} labels per class\n{lesson.strategy_table(rows).to_string(index=False)}")


if __name__ == "__main__":
    main()
