"""Pictures of notebook 07; each comes with the sentence that says what it shows."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.lessons.nb07_without_labels.at_test_time import ORDERS, STATISTICS, STILL, TENT
from tlcourse.lessons.nb07_without_labels.self_supervised import EVERY
from tlcourse.lessons.nb07_without_labels.semi_supervised import ALONE, FIXMATCH, PSEUDO, SOURCES, TEACHER
from tlcourse.notebook.figures import COLOURS, GREY, PALETTE, dots, draw_images, lines, plain
from tlcourse.repro import generator
from tlcourse.training.recipe import CONVERGED
from tlcourse.unlabelled.semi_supervised import STRONG

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
STYLES = {
    ALONE: {"color": GREY, "marker": "o"},
    PSEUDO: {"color": GREEN, "marker": "h"},
    TEACHER: {"color": SKY, "marker": "D"},
    FIXMATCH: {"color": YELLOW, "marker": ">"},
}
SHOT = "without the source: SHOT"
STREAMS = [f"{method}, {order}" for method in (STATISTICS, TENT) for order in ORDERS]
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture

Shown = tuple[Figure, str]  # a figure and its alt text


def views_figure(data: ImageSet, columns: int = 10) -> Shown:
    """Draw images, a weak view of each and a strong one, a row each."""
    images, draws = data.images[:columns], generator("views")
    rows = {"as it is": images}
    for name, augment in (("weak view: the teacher answers", CONVERGED.augment), ("strong view: learned", STRONG)):
        rows[name] = as_bytes(augment(scale(images), draws))
    figure, axes = plt.subplots(len(rows), 1, figsize=(8, 1.05 * len(rows)), layout="constrained")
    for ax, (name, some) in zip(axes, rows.items(), strict=True):
        draw_images(ax, some, columns).set_title(name, loc="left", fontsize=10)
    return figure, f"{columns} images each: {'; '.join(rows)}."


def as_bytes(x: torch.Tensor) -> torch.Tensor:
    """Turn scaled images, float `[N, 3, H, W]` from about -1 to 1, into uint8 to look at."""
    return ((x + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)


def worth_figure(rows: pd.DataFrame, live: pd.DataFrame | None = None) -> Shown:
    """Draw what labels alone and FixMatch reach from every start, with one and five labels of each class."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained", sharey=True)
    said = []
    for ax, (per_class, some) in zip(axes, rows.groupby("per_class"), strict=True):
        mine = None if live is None else live[live["per_class"] == per_class]
        order = [name for name in SOURCES if name in set(rows["source"])]
        title = f"{per_class} label{'s' * (per_class > 1)} per class"
        said.append(f"{title}: {dots(ax, some, 'accuracy', 'source', 'way', order=order, styles=STYLES, live=mine)}")
        ax.set(title=title, xlim=(15, 102))
        ax.get_legend().remove()
    axes[0].set_ylabel("begins with")
    axes[1].legend(**BESIDE)
    return figure, " ".join(said)


def ways_figure(rows: pd.DataFrame) -> Shown:
    """Draw what every method reaches from the letters, with one and five labels of each class."""
    figure, ax = plt.subplots(figsize=(8.5, 3.4), layout="constrained")
    named = rows.assign(labels=[f"{k} label{'s' * (k > 1)} per class" for k in rows["per_class"]])
    styles = {"1 label per class": {"color": PINK, "marker": "v"}, "5 labels per class": {"color": BLUE, "marker": "o"}}
    said = dots(ax, named, "accuracy", "way", "labels", order=[ALONE, PSEUDO, TEACHER, FIXMATCH], styles=styles)
    ax.set(title="begun with the letters, 906 images without labels", xlim=(20, 103))
    ax.legend(**BESIDE)
    return figure, said


def saved_figure(rows: pd.DataFrame) -> Shown:
    """Draw accuracy against labels per class, a line each way to learn."""
    figure, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
    styles = {
        "scratch, labels alone": {"color": COLOURS["scratch"], "marker": "s"},
        "letters, labels alone": {"color": COLOURS["fine-tuned"], "marker": "o"},
        "scratch, FixMatch": {"color": ORANGE, "marker": ">", "linestyle": "--"},
        "letters, FixMatch": {"color": YELLOW, "marker": ">"},
    }
    said = lines(ax, rows, "per_class", by="learned", styles=styles)
    ax.set(title="what a label is worth", ylim=(15, 101))
    ax.legend(**BESIDE)
    return figure, said


def over_time_figure(rows: pd.DataFrame, seeds: Sequence[int]) -> Shown:
    """Draw, digit by digit, how many images the teacher answers surely and how many of those rightly, over time.

    A dot's area is the share of the digit's images that is taken, its colour says how many of those are right.
    """
    figure, axes = plt.subplots(1, len(seeds), figsize=(9.5, 4.4), layout="constrained", sharey=True)
    said = []
    for ax, seed in zip(axes, seeds, strict=True):
        run = rows[rows["seed"] == seed]
        right = 100 * run["right"] / run["taken"].where(run["taken"] > 0)
        some = ax.scatter(run["updates"], run["digit"], s=1.6 * run["taken"], c=right, cmap="RdYlBu", vmin=0, vmax=100)
        ax.set(xlabel="updates", title=f"labels drawn by seed {seed}", yticks=range(10), ylim=(9.7, -0.7))
        plain(ax)
        last = run[run["updates"] == run["updates"].max()]
        good = 100 * last["right"].sum() / last["taken"].sum()
        worst = last.loc[last["right"].idxmin()]
        said.append(
            f"seed {seed}: in the end {last['taken'].mean():.0f} % are taken and {good:.0f} % of them right; of digit "
            f"{worst['digit']:g} {worst['right']:.0f} % are taken and right"
        )
    axes[0].set_ylabel("digit")
    figure.colorbar(some, ax=axes, label="of those taken, right (%)", shrink=0.8)
    return figure, f"Pseudo-labels over time, by digit; {'; '.join(said)}."


def others_figure(rows: pd.DataFrame) -> Shown:
    """Draw accuracy against the share of images that show other things, with a band for labels alone."""
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    named = {"other digits": "FixMatch, other digits among them", "letters": "FixMatch, printed letters among them"}
    mixed = rows[rows["way"] == FIXMATCH]
    mixed = mixed.assign(among=mixed["kind"].map(named), share=100 * mixed["share"])
    styles = {named["other digits"]: STYLES[FIXMATCH], named["letters"]: {"color": PINK, "marker": "s"}}
    said = lines(ax, mixed, "share", by="among", styles=styles, apart=3)
    alone = rows.loc[rows["way"] == ALONE, "accuracy"]
    ax.axhline(alone.mean(), color=GREY, linestyle="--", label=ALONE)
    ax.set(xlabel="images without labels that show something else (%)", title="five classes, five labels each")
    ax.legend(frameon=False)
    return figure, f"{said} {ALONE}: {alone.mean():.1f}."


def spread_figure(spreads: dict[str, Sequence[float]]) -> Shown:
    """Draw how far embeddings spread over the sphere during two trainings: 1 all over, 0 in one point."""
    figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    said = []
    for (name, values), colour, marker in zip(spreads.items(), (BLUE, ORANGE), "oX", strict=False):
        ax.plot(EVERY * np.arange(len(values)), values, color=colour, marker=marker, linewidth=2, label=name)
        said.append(f"{name} from {values[0]:.2f} to {values[-1]:.2f}")
    ax.set(xlabel="updates", ylabel="spread of the embeddings (0 to 1)", ylim=(-0.03, 1.05))
    ax.legend(frameon=False)
    plain(ax)
    return figure, f"Spread of the embeddings: {'; '.join(said)}."


def turned_figure(turned: torch.Tensor, quarters: torch.Tensor) -> Shown:
    """Draw images in all four directions, each over the answer that is to be found."""
    figure, ax = plt.subplots(figsize=(8.5, 1.3), layout="constrained")
    draw_images(ax, as_bytes(turned), len(turned), [f"{90 * quarter}°" for quarter in quarters.tolist()])
    return (
        figure,
        f"{len(turned)} turned images, and by how many degrees: {', '.join(map(str, 90 * quarters.numpy()))}.",
    )


def pretext_figure(rows: pd.DataFrame, supervised: pd.DataFrame) -> Shown:
    """Draw what a few labels make of every pretraining, and of the letters: the head alone, and all of the network."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained", sharey=True)
    kinds = {"head alone": "linear probe", "all of it": "fine-tuned"}
    styles = {name: {"color": COLOURS[start]} for name, start in kinds.items()}
    order, said = ["scratch", *rows["task"].unique(), "letters, labelled"], []
    for ax, (per_class, some) in zip(axes, rows.groupby("per_class"), strict=True):
        known = supervised[supervised["per_class"] == per_class]
        parts = [known[known["start"] == "scratch"].assign(task="scratch", how="all of it")]
        for (how, start), column in zip(kinds.items(), ("probe", "tuned"), strict=True):
            parts.append(some.assign(how=how, accuracy=some[column]))
            parts.append(known[known["start"] == start].assign(task="letters, labelled", how=how))
        drawn = dots(ax, pd.concat(parts), "accuracy", "task", "how", order=order, styles=styles)
        ax.set(title=f"{per_class} label{'s' * (per_class > 1)} per class", xlim=(15, 102))
        ax.get_legend().remove()
        said.append(f"{ax.get_title()}: {drawn}")
    axes[1].legend(**BESIDE)
    return figure, " ".join(said)


def tent_figure(rows: pd.DataFrame, shift: float = 0.5) -> Shown:
    """Draw the accuracy of the answers against the size of a batch, in streams that are mixed or come by class."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained", sharey=True)
    named = rows[(rows["shift"] == shift) & rows["passes"].isin([1, 10])]
    last = (named["method"] == TENT) & (named["passes"] == 10)
    named = named.assign(way=named["method"].where(~last, f"{TENT}, tenth pass"))
    styles = {
        STILL: {"color": GREY, "marker": "o", "linestyle": ":"},
        STATISTICS: {"color": BLUE, "marker": "s", "linestyle": "--"},
        TENT: {"color": ORANGE, "marker": "P"},
        f"{TENT}, tenth pass": {"color": PINK, "marker": "X"},
    }
    said = []
    for ax, (order, some) in zip(axes, named.groupby("order", sort=False), strict=True):
        said.append(f"{order}: {lines(ax, some, 'batch', by='way', styles=styles)}")
        ax.set(title=f"{order}, shift {shift:g}", xlabel="images in a batch", xscale="log", ylim=(0, 101))
        ax.set_xticks(sorted(some["batch"].unique()), sorted(some["batch"].unique()))
        ax.minorticks_off()
        ax.get_legend().remove()
    axes[1].set_ylabel("")
    axes[1].legend(**BESIDE)
    return figure, " ".join(said)


def named_streams(rows: pd.DataFrame, shift: float = 0.5, batch: int = 64) -> pd.DataFrame:
    """Keep what was answered in the first pass, and say in the column `stream` by what and in which order."""
    some = rows[(rows["shift"] == shift) & (rows["batch"] == batch) & (rows["passes"] == 1)]
    some = some[some["method"] != STILL]
    return some.assign(stream=some["method"] + ", " + some["order"])


def shot_figure(rows: pd.DataFrame, with_source: pd.DataFrame) -> Shown:
    """Draw SHOT beside methods of notebook 06, at two positions of the dial."""
    figure, ax = plt.subplots(figsize=(8.5, 3.4), layout="constrained")
    order = ["source only", "AdaBN", SHOT, "MCC + consistency", "target labels"]
    both = pd.concat([with_source[with_source["method"].isin(order)], rows.assign(method=SHOT)])
    both = both[both["shift"].isin([0.0, 0.5])].assign(place=[f"shift {shift:g}" for shift in both["shift"]])
    styles = {"shift 0": {"color": BLUE, "marker": "o"}, "shift 0.5": {"color": ORANGE, "marker": "s"}}
    named = {"MCC + consistency": "with the source: MCC + consistency", "target labels": "all 906 labels"}
    said = dots(
        ax,
        both.replace({"method": named}),
        "accuracy",
        "method",
        "place",
        order=[named.get(name, name) for name in order],
        styles=styles,
    )
    ax.legend(**BESIDE)
    return figure, said
