"""The pictures of notebook 00 that no other has: seeds side by side, and what only one of two networks reads."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.notebook.figures import draw_images, plain, styles_of
from tlcourse.notebook.results import as_dict, intervals

COLUMNS = 12  # images of the gallery in a row
ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # behind numbers that lines would cross


def seeds_figure(trials: pd.DataFrame) -> tuple[Figure, str]:
    """Draw the accuracy of every seed, joined over the starts, with mean and interval; return the alt text too."""
    figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
    points = trials.pivot(index="start", columns="seed", values="accuracy").loc[trials["start"].unique()]
    summary = as_dict(intervals(trials, by="start"))
    ax.plot(range(len(points)), points.to_numpy(), color="#BBBBBB", linewidth=1, zorder=1)
    for x, (start, style) in enumerate(styles_of(list(summary)).items()):
        ax.plot([x] * points.shape[1], points.loc[start], **style | {"linestyle": "none", "markersize": 5.5})
        found = summary[start]
        spread = [[found.mean - found.low], [found.high - found.mean]]
        ax.errorbar(x + 0.16, found.mean, spread, color="black", marker="_", markersize=14, capsize=5, linewidth=2)
        text = {"va": "center", "fontsize": 12, "fontweight": "bold", "bbox": ON_WHITE}
        ax.annotate(f"{found.mean:.0f} %", (x + 0.24, found.mean), **text)
    ax.set_xticks(range(len(points)), points.index)
    ax.set_xlim(-0.4, len(points) - 0.3)
    ax.set_ylabel("accuracy on the test pool (%)")
    per_class = trials["per_class"].iloc[0]
    ax.set_title(f"{per_class} labels per class, {points.shape[1]} seeds: mean and 95 % interval")
    plain(ax)
    text = ", ".join(f"{start} {found} %" for start, found in summary.items())
    return figure, f"Accuracy of every seed; mean and 95 % interval: {text}."


def gallery(networks: Mapping[str, nn.Module], test: ImageSet) -> tuple[Figure, str]:
    """Draw the first images that only the second of two networks reads, and those that only the first reads.

    Below each stands its label, and what the other network takes it for. The alt text comes second.
    """
    answers = {name: predict(network, test).argmax(1).cpu() for name, network in networks.items()}
    first, second = answers
    figure, axes = plt.subplots(2, 1, figsize=(11, 3), layout="constrained")
    said = []
    for ax, reads, errs in zip(axes, (second, first), (first, second), strict=True):
        alone = ((answers[reads] == test.labels) & (answers[errs] != test.labels)).nonzero()[:, 0]
        shown = alone[:COLUMNS]
        captions = [f"{test.classes[test.labels[i]]}, not {test.classes[answers[errs][i]]}" for i in shown]
        draw_images(ax, test.images[shown], COLUMNS, captions)
        said.append(f"{len(alone)} that only {reads} reads")
        ax.set_title(f"{said[-1]}, and what {errs} takes them for", fontsize=12)
    return figure, f"Of {len(test)} test images: {'; '.join(said)}. The first of each are shown."
