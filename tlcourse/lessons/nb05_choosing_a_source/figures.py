"""Pictures of notebook 05; each comes with the sentence that says what it shows."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.data.worlds import load
from tlcourse.lessons.nb05_choosing_a_source.experiment import DISTANCES, WORLD
from tlcourse.lessons.nb05_choosing_a_source.ranking import ORACLE, RULES, weighted_tau
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, RANDOM
from tlcourse.notebook.figures import GREY, PALETTE, dots, draw_images, lines, plain
from tlcourse.repro import generator
from tlcourse.transfer.transferability import h_score, regularised_h_score

# what a candidate learned to read, in colour and shape
KINDS = {"letters": (PALETTE[0], "o"), "digits": (PALETTE[2], "D"), "neither": (PALETTE[1], "s")}
LABEL_STYLES = {
    "5 labels per class": {"color": PALETTE[3], "marker": "v"},
    "20 labels per class": {"color": "black", "marker": "P"},
}
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture
SIZES = (50, 100, 200, 400, 800)  # images, for features of 128 numbers
# whose name stands in the figure of distances, and at which shift
NAMED = {"letters, long": 1.0, "digits, long": 1.0, "letters": 1.0, "digits": 0.0, "textures": 1.0}

Shown = tuple[Figure, str]  # a figure and its alt text


def kind_of(name: str) -> str:
    """Return what a candidate learned to read: `"letters"`, `"digits"` or `"neither"`."""
    source = CANDIDATES[name]
    return source.labels if source and source.labels in KINDS else "neither"


def truth_figure(truth: pd.DataFrame, live: pd.DataFrame | None = None) -> Shown:
    """Draw what every candidate reaches when it is fine-tuned, the best with 20 labels per class on top."""
    here = truth[truth["shift"] == 0]
    most = here[here["per_class"] == here["per_class"].max()]
    order = most.groupby("candidate")["accuracy"].mean().sort_values(ascending=False).index.tolist()
    figure, ax = plt.subplots(figsize=(9.5, 6), layout="constrained")
    mine = None if live is None else by_labels(live)
    said = dots(ax, by_labels(here), "accuracy", "candidate", "labels", live=mine, order=order, styles=LABEL_STYLES)
    ax.set_title("every candidate, fine-tuned")
    ax.legend(**BESIDE)
    return figure, said


def by_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the column `labels`, which says in words how many there were."""
    return rows.assign(labels=[f"{k} labels per class" for k in rows["per_class"]])


def scatter_figure(scores: pd.DataFrame, truth: pd.DataFrame, names: Sequence[str], per_class: int) -> Shown:
    """Draw the fine-tuned accuracy of every candidate against what each score says of it, by the labels of one seed."""
    goal = truth.groupby("candidate")["accuracy"].mean()
    said = scores.set_index("candidate").loc[goal.index]
    figure, axes = plt.subplots(2, 3, figsize=(9.5, 6), layout="constrained", sharey=True)
    taus = {name: weighted_tau(said[name], goal) for name in names}
    for ax, name in zip(axes.flat, names, strict=True):
        draw_against(ax, said[name], goal)
        ax.set(title=f"{name}: tau {taus[name]:.0f} %", xlabel=name)
    for ax in axes[:, 0]:
        ax.set_ylabel("fine-tuned (%)")
    axes[0, 0].legend(frameon=False, fontsize=9)
    found = ", ".join(f"{name} {tau:.0f}" for name, tau in taus.items())
    return figure, f"Fine-tuned accuracy against six scores, {per_class} labels per class; weighted tau: {found}."


def sources_figure(names: Sequence[str], columns: int = 12) -> Shown:
    """Draw images of some candidates' sources, a row each, above the target."""
    rows = {name: CANDIDATES[name].load("test", columns).images for name in names}
    rows["the target"] = load(WORLD, count=columns).images
    figure, axes = plt.subplots(len(rows), 1, figsize=(8, 0.95 * len(rows)), layout="constrained")
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        draw_images(ax, images, columns).set_title(name, loc="left", fontsize=10)
    return figure, f"{columns} images each of what these learned from, and of the target: {', '.join(rows)}."


def draw_against(ax: Axes, x: pd.Series, y: pd.Series) -> Axes:
    """Draw a dot a candidate, in the colour and shape of what it learned to read; both series are by candidate."""
    for kind, (colour, marker) in KINDS.items():
        some = [name for name in x.index if kind_of(name) == kind]
        ax.scatter(x[some], y[some], color=colour, marker=marker, s=36, label=kind)
    return plain(ax)


def agreement_figure(rows: pd.DataFrame) -> Shown:
    """Draw Kendall's weighted tau of every score and rule, for both numbers of labels."""
    names = rows["score"].drop_duplicates().tolist()
    figure, ax = plt.subplots(figsize=(9.8, 5.5), layout="constrained")
    said = dots(ax, by_labels(rows), "tau", "score", "labels", order=names, styles=LABEL_STYLES)
    ax.axvline(0, color=GREY, linewidth=1, linestyle="--")
    for place in (names.index(RULES[0]) - 0.5, names.index(ORACLE) - 0.5):
        ax.axhline(place, color=GREY, linewidth=0.7)
    ax.set(xlabel="Kendall's weighted tau (%): 100 for the same order, 0 for none", title="agreement with fine-tuning")
    ax.legend(**BESIDE)
    return figure, said


def half_zoo_figure(rows: pd.DataFrame) -> Shown:
    """Draw the tau of every score over many halves of the zoo: the middle 80 % of them, and the median."""
    ends = rows.groupby("score", sort=False)["tau"].quantile([0.1, 0.5, 0.9]).unstack()
    summary = ends.rename(columns={0.1: "low", 0.5: "mean", 0.9: "high"}).reset_index()
    figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
    said = dots(ax, summary.round(4), "tau", "score")
    ax.set(xlabel="weighted tau (%): median, and the middle 80 % of 200 draws", title="among 8 of the 16 candidates")
    return figure, said.replace("95 % interval", "the middle 80 %").replace("Mean", "Median")


def h_score_of_noise(sizes: Sequence[int] = SIZES, features: int = 128, classes: int = 10) -> list[dict[str, object]]:
    """Return H-scores of pure noise: rows with the number of `images`, the `score` by name and its `value`."""
    rows = []
    for count in sizes:
        noise = torch.randn(count, features, generator=generator("noise", count))
        labels = torch.arange(count) % classes
        found = {"H-score": h_score(noise, labels), "regularised": regularised_h_score(noise, labels)}
        rows += [{"images": count, "score": name, "value": value} for name, value in found.items()]
    return rows


def noise_figure(rows: list[dict[str, object]]) -> Shown:
    """Draw both H-scores of pure noise by the number of images, with the number of features marked."""
    figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
    said = lines(ax, rows, "images", "value", "score")
    ax.axvline(128, color=GREY, linestyle="--", linewidth=1, label="as many images as features")
    ax.axhline(9, color=GREY, linestyle=":", linewidth=1.5, label="maximum: 10 classes less 1")
    ax.set(xlabel="labelled images", ylabel="score", ylim=(-0.3, 9.6), title="pure noise")
    ax.legend(**BESIDE)
    return figure, said


def gains(truth: pd.DataFrame, shifted: pd.DataFrame, distances: pd.DataFrame, per_class: int = 5) -> pd.DataFrame:
    """Return for every source and shift its distances from the target, and `gain`: points above random weights."""
    tuned = pd.concat([truth, shifted])
    cells = tuned[tuned["per_class"] == per_class].groupby(["candidate", "shift"])["accuracy"].mean()
    scratch = cells.xs(RANDOM, level="candidate")
    far = distances.groupby(["candidate", "shift"], sort=False)[list(DISTANCES)].mean().reset_index()
    reached = [cells[name, shift] - scratch[shift] for name, shift in zip(far["candidate"], far["shift"], strict=True)]
    return far.assign(gain=reached)


def distance_figure(rows: pd.DataFrame) -> Shown:
    """Draw what transfer gains against three distances: a line a source, along which the target moves away."""
    figure, axes = plt.subplots(1, 3, figsize=(9.8, 3.9), layout="constrained", sharey=True)
    said = []
    for ax, name in zip(axes, DISTANCES, strict=True):
        for source, line in rows.groupby("candidate", sort=False):
            ax.plot(line[name], line["gain"], color=KINDS[kind_of(source)][0], alpha=0.35, linewidth=1)
            if ax is axes[0] and source in NAMED:
                name_line(ax, source, line.set_index("shift").loc[NAMED[source]])
        for kind, (colour, marker) in KINDS.items():
            some = rows[rows["candidate"].map(kind_of) == kind]
            ax.scatter(some[name], some["gain"], s=12 + 30 * some["shift"], color=colour, marker=marker, label=kind)
        orders = [weighted_tau(-at[name], at["gain"]) for _, at in rows.groupby("shift")]
        found = ", ".join(f"{order:.0f}" for order in orders)
        ax.set(title=f"{name}: tau {found} %", xlabel=f"{name} distance")
        ax.title.set_fontsize(11)
        said.append(f"{name} {found}")
        plain(ax)
    axes[0].set_xlim(0, 75)  # room for names
    axes[0].set_ylabel("gain over random weights (points)")
    axes[2].legend(frameon=False, fontsize=9)
    return figure, (
        "Points that transfer gains against the distance of source and target, a line a source, larger marks for a "
        f"target moved farther; weighted tau of nearness and gain at shift 0, 0.5 and 1: {'; '.join(said)}."
    )


def name_line(ax: Axes, source: str, place: pd.Series) -> None:
    """Write a source's name beside one point of its line."""
    point = place["Fréchet"], place["gain"]
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85}  # lines may run behind it
    ax.annotate(source, point, xytext=(7, -3), textcoords="offset points", fontsize=8, bbox=ground)
