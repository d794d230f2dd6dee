"""Draw the picture of the README from the trials that ship with the course; `make tidy` does it.

The picture carries a fingerprint of those trials, so that a test can tell when it is out of date.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

import tlcourse as tl
from tlcourse.notebook.figures import draw_images, lines
from tlcourse.notebook.results import LESSONS, read_results
from tlcourse.storage import read_bytes, sha256

PICTURE = Path(__file__).parent.parent / "notebooks" / "images" / "labels_curve.png"
CURVE = LESSONS / "nb00_start_here" / "results" / "labels_curve.csv"
KEY = "Trials"


def draw() -> Figure:
    figure = plt.figure(figsize=(11, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.45])
    source = draw_images(figure.add_subplot(grid[0, 0]), tl.load("printed-photo", "letters").images[:24], columns=8)
    source.set_title("the source: printed letters, many", fontsize=12)
    target = draw_images(figure.add_subplot(grid[1, 0]), tl.load("handwritten-photo").images[:24], columns=8)
    target.set_title("the target: handwritten digits, few", fontsize=12)
    curve = figure.add_subplot(grid[:, 1])
    trials = read_results(CURVE)
    lines(curve, trials, "per_class")
    curve.set_ylim(0, 102)
    title = f"what transfer is worth after {trials['updates'].max()} updates: {trials['seed'].nunique()} seeds"
    curve.set_title(title, fontsize=12)
    return figure


def fingerprint() -> str:
    return sha256(read_bytes(CURVE))


def is_current() -> bool:
    if not PICTURE.exists():
        return False
    with Image.open(PICTURE) as image:
        return image.info.get(KEY) == fingerprint()


def main() -> int:
    if not is_current():
        PICTURE.parent.mkdir(exist_ok=True)
        draw().savefig(PICTURE, dpi=150, facecolor="white", metadata={KEY: fingerprint()})
        print(f"drew {PICTURE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
