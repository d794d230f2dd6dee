"""Pictures of notebook 03; each function returns the figure, and a sentence for those who cannot see it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb03_fine_tuning.batchnorm import SIZES
from tlcourse.lessons.nb03_fine_tuning.experiment import above_fine_tuned
from tlcourse.lessons.nb03_fine_tuning.strategies import CARRIED
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, PALETTE, RING, SHAPES, WRONG, dots, draw_images, plain
from tlcourse.notebook.network_diagram import draw_network
from tlcourse.training import schedules as by_hand
from tlcourse.training.lr_finder import RangeTest

LINES = tuple(zip(PALETTE, ("-", "--", "-.", ":", "-", "--"), SHAPES, strict=True))  # of things that have no colour
MEASURES = {
    "target": {"color": PALETTE[0], "marker": SHAPES[0]},
    "shifted": {"color": PALETTE[1], "marker": SHAPES[2]},
}
MORE_SHAPES = "DvPX<>hp*"  # one for every strategy that has no marker in the whole course
Picture = tuple[Figure, str]


def samples(*sets: ImageSet) -> Picture:
    """Draw the first 18 images of the target, the shifted target and the letters."""
    figure = Figure(figsize=(11, 2.3), layout="constrained")
    names = ("target", "shifted target", "letters (the source)")
    for ax, name, images in zip(figure.subplots(1, 3), names, sets, strict=True):
        draw_images(ax, images.images[:18], columns=6).set_title(name)
    return figure, "18 test digits, the same 18 leaning in the evening, 18 printed letters."


def losses() -> Picture:
    """Draw what both losses charge for an answer, and how strongly each pulls, against how wrong the answer is."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    lead = torch.linspace(-8, 8, 81, dtype=torch.float64)
    logits = torch.stack([lead, torch.zeros_like(lead)], 1).requires_grad_()  # [81, 2], and the first class is right
    entropy = F.cross_entropy(logits, torch.zeros(len(lead), dtype=torch.long), reduction="none")
    squared = (logits.softmax(1) - torch.tensor([1.0, 0.0])).square().mean(1)
    names = ("cross-entropy", "squared error of probabilities")
    for loss, name, (colour, line, _) in zip((entropy, squared), names, LINES, strict=False):
        (gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
        left.plot(lead, loss.detach(), line, color=colour, linewidth=2.5, label=name)
        right.plot(lead, -gradient[:, 0], line, color=colour, linewidth=2.5)
    for ax in (left, right):
        ax.set_xlabel("logit of the right class minus the wrong one")
        plain(ax)
    left.set(title="how much a wrong answer costs", ylabel="loss (nats, or squared)")
    right.set(title="how strongly it is corrected", ylabel="pull on the right logit")
    left.legend(frameon=False)
    return figure, "Cross-entropy pulls hardest at the wrongest answers; squared error lets go."


def valley(steepness: torch.Tensor, paths: Mapping[str, torch.Tensor]) -> Picture:
    """Draw a valley from above, and the ways `[steps + 1, 2]` that some rules take through it.

    Its loss is half of `steepness * theta**2`, summed over the two weights.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    ax = figure.subplots()
    along, across = np.meshgrid(np.linspace(-4.5, 2, 160), np.linspace(-2, 2, 90))
    level = (steepness.numpy() * np.stack([along, across], -1) ** 2).sum(-1) / 2
    ax.contour(along, across, level, levels=np.quantile(level, np.linspace(0.02, 0.98, 14)), colors="#CCCCCC")
    for (name, path), (colour, line, marker) in zip(paths.items(), LINES, strict=False):
        ax.plot(*path.T.numpy(), line, color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=name)
    ax.plot(0, 0, "*", color="black", markersize=15, label="lowest point")
    ax.set(xlim=(-4.5, 2.025), ylim=(-2, 2), xlabel="first weight", ylabel="second weight")
    steps = len(next(iter(paths.values()))) - 1
    ax.set_title(f"{steps} steps through a narrow valley, seen from above")
    _legend_beside(ax)
    ends = [f"{name} ends {path[-1].norm():.2f} away from it" for name, path in paths.items()]
    return figure, f"Paths of {steps} steps towards the lowest point: {', '.join(ends)}."


def schedules(updates: int = 100) -> Picture:
    """Draw five schedules, one line each."""
    tenth, third = updates // 10, updates // 3
    shapes = {
        "constant": by_hand.constant(),
        "steps": by_hand.steps(third),
        "cosine": by_hand.cosine(updates),
        "warm-up, then cosine": by_hand.then(by_hand.warm_up(tenth), tenth, by_hand.cosine(updates - tenth)),
        "one cycle": by_hand.one_cycle(updates),
    }
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    ax = figure.subplots()
    for (name, schedule), (colour, line, _) in zip(shapes.items(), LINES, strict=False):
        factors = [schedule(update) for update in range(updates)]
        ax.plot(range(updates), factors, line, color=colour, linewidth=2.5, label=name)
    ax.set(xlabel="update", ylabel="share of the highest rate", title=f"{len(shapes)} shapes for {updates} updates")
    plain(ax)
    _legend_beside(ax)
    return figure, f"Share of the highest rate at each of {updates} updates, for the schedules {', '.join(shapes)}."


def range_test(found: RangeTest) -> Picture:
    """Draw the loss against the learning rate, and mark the lowest point and the suggested rate."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    ax = figure.subplots()
    ax.plot(found.rates, found.losses, color="#BBBBBB", linewidth=1.2, label="loss of every update")
    ax.plot(found.rates, found.smooth, color=PALETTE[0], linewidth=2.5, label="mean of 5 updates")
    ax.axvline(found.lowest, color=GREY, linestyle=":", linewidth=2, label=f"lowest, at {found.lowest:.1g}")
    suggestion = f"a third of it, {found.suggestion:.1g}"
    ax.axvline(found.suggestion, color=PALETTE[1], linestyle="--", linewidth=2, label=suggestion)
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="loss (nats)")
    ax.set_title("range test of fine-tuning with AdamW")
    plain(ax)
    _legend_beside(ax)
    return figure, (
        f"Range test from {found.rates[0]:.0e} to {found.rates[-1]:.1g}: the smoothed loss falls from "
        f"{found.smooth[0]:.2f} to {min(found.smooth):.2f} at a rate of {found.lowest:.1g}, and ends at "
        f"{found.smooth[-1]:.2f}."
    )


def unfreezing(epochs: tuple[int, ...] = (0, 1)) -> Picture:
    """Draw the network at some epochs of gradual unfreezing: what is frozen, what learns, what is new."""
    figure = Figure(figsize=(10, 2.3 * len(epochs)), layout="constrained")
    stages, said = ("stem", "block1", "block2", "block3", "block4"), []
    for ax, epoch in zip(figure.subplots(len(epochs), 1), epochs, strict=True):
        frozen = stages[: max(0, len(stages) - epoch)]
        title = f"epoch {epoch}: all but the head is carried over; what is grey is frozen, the rest learns"
        said.append(f"Epoch {epoch}: {draw_network(ax, frozen=frozen, title=title)}")
    return figure, " ".join(said)


def batchnorm(rows: pd.DataFrame, live: pd.DataFrame) -> Picture:
    """Draw by how much small groups, and statistics that are kept, are above the largest groups, seed by seed."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    ax = figure.subplots()
    largest = f"groups of {max(SIZES)}"
    above = []
    for frame in (rows, live):
        base = frame[frame.statistics == largest].set_index("seed").accuracy
        others = frame[frame.statistics != largest]
        above.append(others.assign(points=others.accuracy.to_numpy() - base[others.seed].to_numpy()))
    said = dots(ax, above[0], "points", "statistics", live=above[1])
    ax.axvline(0, color="black", linewidth=1)
    ax.plot([], [], markeredgecolor=WRONG, label="your runs", **RING)
    read = rows[rows.statistics == largest].accuracy.mean()
    ax.set(xlabel=f"points above {largest}, which read {read:.1f} % (bars: 95 % t intervals)")
    ax.set_title("same images, same updates: what batch normalisation sees at a time")
    _legend_beside(ax)
    return figure, said


def strategies(rows: pd.DataFrame, live: pd.DataFrame) -> Picture:
    """Draw by how much every transfer is above fine-tuning, one panel a number of labels; rings are means of `live`."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    order = [name for name in CARRIED if name != "fine-tuned"]
    points, mine = above_fine_tuned(rows), above_fine_tuned(live)
    labels, said = sorted(rows.per_class.unique()), []
    for ax, k in zip(figure.subplots(1, len(labels), sharey=True), labels, strict=True):
        ours, yours = (frame[frame.per_class == k] for frame in (points, mine))
        words = dots(ax, ours, "points", "strategy", "measure", live=yours, order=order, styles=MEASURES)
        ax.axvline(0, color="black", linewidth=1)
        ax.plot([], [], markeredgecolor="black", label="your runs", **RING)
        ax.get_legend().remove()
        ax.set(xlabel="points above fine-tuning", title=f"{k} label{'s' if k > 1 else ''} per class")
        said.append(f"{k} per class: {words}")
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # each name once
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    title = f"{rows.updates.max()} updates of 50 images, augmented, every transfer at its own rate; mind the scales"
    figure.suptitle(title)
    return figure, " ".join(said)


def forgetting(rows: pd.DataFrame) -> Picture:
    """Draw accuracy on the target against what is left of the source: small marks for seeds, a large one for means."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    ax = figure.subplots()
    others = zip((name for name in CARRIED if name not in COLOURS), MORE_SHAPES, strict=True)
    styles = {name: {"color": PALETTE[2 + place % 3], "marker": shape} for place, (name, shape) in enumerate(others)}
    for name in CARRIED:
        style = styles.get(name) or {"color": COLOURS[name], "marker": MARKERS[name]}
        seeds = rows[rows.strategy == name]
        ax.plot(seeds.source, seeds.target, linestyle="none", markersize=5, alpha=0.45, **style)
        large = style | {"markersize": 12, "markeredgecolor": "black"}
        if name == "linear probe":  # the frozen backbone stands at the very place: a larger hollow mark shows both
            large |= {"markersize": 19, "markerfacecolor": "none", "markeredgecolor": style["color"], "zorder": 1}
            large |= {"markeredgewidth": 2.5}
        ax.plot(seeds.source.mean(), seeds.target.mean(), linestyle="none", label=name, **large)
    ax.set(xlabel="what it still reads of the letters (%)", ylabel="accuracy on the target (%)")
    ax.set_title("new task against old task, 5 labels per class (small: seeds, large: means)")
    plain(ax)
    _legend_beside(ax)
    means = rows[rows.strategy.isin(CARRIED)].groupby("strategy", sort=False)[["source", "target"]].mean().round()
    said = [f"{name} {source:.0f} and {target:.0f}" for name, source, target in means.itertuples()]
    return figure, f"Percent of letters still read, and accuracy on the target: {', '.join(said)}."


def _legend_beside(ax: Axes) -> None:
    """Put the legend where it covers no line."""
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
