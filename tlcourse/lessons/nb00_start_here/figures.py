"""The picture of notebook 00 that no other has: seeds side by side."""

import pandas as pd
from matplotlib.axes import Axes

from tlcourse.notebook.figures import plain, styles_of
from tlcourse.notebook.results import as_dict, intervals


def draw_seeds(ax: Axes, trials: pd.DataFrame) -> str:
    """Draw the accuracy of every seed, joined over the starts, with mean and interval beside; return the alt text."""
    points = trials.pivot(index="start", columns="seed", values="accuracy").loc[trials["start"].unique()]
    summary = as_dict(intervals(trials, by="start"))
    ax.plot(range(len(points)), points.to_numpy(), color="#BBBBBB", linewidth=1, zorder=1)
    for x, (start, style) in enumerate(styles_of(list(summary)).items()):
        ax.plot([x] * points.shape[1], points.loc[start], **style | {"linestyle": "none", "markersize": 5.5})
        found = summary[start]
        spread = [[found.mean - found.low], [found.high - found.mean]]
        ax.errorbar(x + 0.16, found.mean, spread, color="black", marker="_", markersize=14, capsize=5, linewidth=2)
        ax.annotate(f"{found.mean:.0f} %", (x + 0.24, found.mean), va="center", fontsize=12, fontweight="bold")
    ax.set_xticks(range(len(points)), points.index)
    ax.set_xlim(-0.4, len(points) - 0.3)
    ax.set_ylabel("accuracy on the test half (%)")
    per_class = trials["per_class"].iloc[0]
    ax.set_title(f"{per_class} labels per class, {points.shape[1]} seeds: mean and 95 % interval")
    plain(ax)
    text = ", ".join(f"{start} {found} %" for start, found in summary.items())
    return f"Accuracy of every seed; mean and 95 % interval: {text}."
