"""A linear probe on cached features beside a frozen network trained by the ordinary loop, to the same accuracy.

    python benchmarks/probe_speed.py

Close other programs first. Both get the same labelled images and the same pretrained network, and neither augments;
both are measured on images that neither learned from, averaged over five seeds. The training is stopped at the first
look at which it is as accurate as the probe, which nobody could do in earnest and which favours it.
"""

import tlcourse as tl
from tlcourse.lessons.nb03_fine_tuning import race_table


def main() -> None:
    print(tl.describe_machine(), end="\n\n")
    print(race_table((1, 5, 20, 50)).to_string(index=False))


if __name__ == "__main__":
    main()
