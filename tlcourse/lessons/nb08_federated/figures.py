"""Pictures of notebook 08; each comes with the sentence that says what it shows."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.federated.clients import Client
from tlcourse.lessons.nb08_federated.experiment import ALIKE, FAR, ROUNDS, TARGET, rounds_to
from tlcourse.lessons.nb08_federated.private import DELTA
from tlcourse.lessons.nb08_federated.served import ALONE, AT_HOME, AVERAGE, LOCAL_BN, PROX, STATISTICS, TOGETHER
from tlcourse.notebook.figures import COLOURS, GREY, PALETTE, dots, draw_images, lines, plain
from tlcourse.notebook.results import intervals

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture
START_STYLES = {
    "scratch": {"color": COLOURS["scratch"], "marker": "s"},
    "letters": {"color": COLOURS["fine-tuned"], "marker": "o"},
}
SHOWN = (ALONE, AVERAGE, STATISTICS, PROX, LOCAL_BN, AT_HOME, TOGETHER)
BEYOND = 45  # where trainings stand that did not get there in 40 rounds
DIALS = {"skew of labels": ("labels, some", "labels, much"), "skew of looks": ("look, some", "look, much")}

Shown = tuple[Figure, str]  # a figure and its alt text


def clients_figure(divisions: dict[str, Sequence[Client]]) -> Shown:
    """Draw how many images of each class every client has, a panel a division."""
    figure, axes = plt.subplots(1, len(divisions), figsize=(9.5, 3.3), layout="constrained", sharey=True)
    said = []
    for ax, (name, clients) in zip(axes, divisions.items(), strict=True):
        counts = draw_division(ax, clients)
        ax.set_title(name)
        sizes = counts.sum(1)
        said.append(f"{name}: clients have {sizes.min()} to {sizes.max()} images, of a class {counts.max()} at most")
    axes[0].set_ylabel("client")
    return figure, f"Images by client and digit; {'; '.join(said)}."


def draw_division(ax: Axes, clients: Sequence[Client]) -> np.ndarray:
    """Draw a square for every client and class, whose area is the number of images; return the numbers."""
    counts = np.stack([client.data.labels.bincount(minlength=10).numpy() for client in clients])  # [clients, 10]
    client, digit = np.indices(counts.shape)
    ax.scatter(digit, client, s=3.2 * counts, marker="s", color=BLUE)
    ax.set(xlim=(-0.7, 9.7), ylim=(len(clients) - 0.4, -0.6), xlabel="digit")
    ax.set(xticks=range(10), yticks=range(0, len(clients), max(1, len(clients) // 10)))
    return counts


def looks_figure(clients: Sequence[Client], columns: int = 8) -> Shown:
    """Draw some images of the first, the middle and the last client, a row each."""
    some = [clients[0], clients[len(clients) // 2], clients[-1]]
    figure, axes = plt.subplots(len(some), 1, figsize=(7, 1.05 * len(some)), layout="constrained")
    for ax, client in zip(axes, some, strict=True):
        spread = torch.linspace(0, len(client.data) - 1, columns).long()  # they lie in the order of their classes
        draw_images(ax, client.data.images[spread], columns).set_title(client.name, loc="left", fontsize=10)
    names = ", ".join(client.name for client in some)
    return figure, f"{columns} digits each of {names}: further along the dial they lean, fade and turn yellow."


def rounds_figure(rows: pd.DataFrame, live: pd.DataFrame | None = None) -> Shown:
    """Draw accuracy over rounds from both starts, where clients are alike and where they are most unlike."""
    figure, axes = plt.subplots(1, 1 + len(FAR), figsize=(10, 3.6), layout="constrained", sharey=True)
    titles = {ALIKE: "clients alike", FAR[0]: "labels, much", FAR[1]: "looks, much"}
    said = []
    for ax, (place, title) in zip(axes, titles.items(), strict=True):
        some = rows[rows["place"] == place]
        mine = None if live is None or place != ALIKE else live
        drawn = {name: style | {"marker": None} for name, style in START_STYLES.items()}
        said.append(f"{title}: {lines(ax, some, 'round', by='start', styles=drawn, live=mine)}")
        ax.axhline(TARGET, color=GREY, linestyle=":", linewidth=1)
        ax.set(title=title, xlabel="round", ylim=(0, 101), xlim=(0, ROUNDS + 1))
        ax.set_ylabel("")
        ax.get_legend().remove()
    axes[0].set_ylabel("accuracy on the test pool (%)")
    axes[0].legend(frameon=False, loc="lower right")
    return figure, " ".join(said)


def needed_figure(rows: pd.DataFrame) -> Shown:
    """Draw how many rounds each training needs to the target, along both dials; those beyond 40 stand apart."""
    figure, axes = plt.subplots(1, len(DIALS), figsize=(9.5, 3.2), layout="constrained", sharey=True)
    needed = rounds_to(rows)
    said = []
    for ax, (dial, places) in zip(axes, DIALS.items(), strict=True):
        for row, place in enumerate((ALIKE, *places)):
            for start, style in START_STYLES.items():
                some = needed.loc[(needed["place"] == place) & (needed["start"] == start), "round"]
                height = row + (0.17 if start == "scratch" else -0.17)
                offsets = np.linspace(-0.08, 0.08, len(some))
                ax.plot(some.fillna(BEYOND), height + offsets, linestyle="none", alpha=0.75, **style)
                later = int(some.isna().sum())
                found = f"{some.min():.0f} to {some.max():.0f}" if later < len(some) else "over 40"
                said.append(f"{place}, {start}: {found} rounds" + f", {later} after 40" * bool(later))
        ax.axvspan(40.5, BEYOND + 2, color="#EEEEEE", linewidth=0)
        ax.set_xticks([0, 10, 20, 30, 40, BEYOND], [0, 10, 20, 30, 40, "> 40"])
        ax.set(title=dial, xlabel=f"rounds to {TARGET:g} %", xlim=(0, BEYOND + 2), ylim=(2.5, -0.5))
        ax.set_yticks(range(3), ["none", "some", "much"])
        plain(ax).grid(axis="x", color="#E5E5E5")
    for start, style in START_STYLES.items():
        axes[1].plot([], [], linestyle="none", label=start, **style)
    axes[1].legend(**BESIDE)
    return figure, f"Rounds to {TARGET:g} %, a mark a training. {'; '.join(said)}."


def served_figure(rows: pd.DataFrame) -> Shown:
    """Draw what each way reads at the clients, of all classes and of their own mix, and at a newcomer."""
    kinds = {"accuracy": "all ten digits", "own": "the client's own mix", "newcomer": "a newcomer"}
    styles = {
        kinds["accuracy"]: {"color": BLUE, "marker": "o"},
        kinds["own"]: {"color": GREEN, "marker": "D"},
        kinds["newcomer"]: {"color": PINK, "marker": "v"},
    }
    figure, axes = plt.subplots(1, len(FAR), figsize=(10, 4.2), layout="constrained", sharey=True)
    said = []
    for ax, place in zip(axes, FAR, strict=True):
        some = rows[(rows["place"] == place) & (rows["start"] == "letters") & rows["way"].isin(SHOWN)]
        columns = ["accuracy", "own" if "labels" in place else "newcomer"]  # with equal classes the own mix is the mean
        parts = [
            some.assign(measured=kinds[name], accuracy=some[name])[["way", "measured", "accuracy", "seed"]]
            for name in columns
        ]
        both = pd.concat(parts)
        both = both[~both.groupby(["way", "measured"])["accuracy"].transform(lambda values: values.isna().all())]
        said.append(f"{place}: {dots(ax, both, 'accuracy', 'way', 'measured', order=SHOWN, styles=styles)}")
        ax.set_title(place.replace("look,", "looks,"))
        ax.set_xlim(right=101)
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, -0.38), ncols=2)
    return figure, " ".join(said)


def private_figure(rows: pd.DataFrame) -> Shown:
    """Draw accuracy against epsilon, a line for each network whose features are read; no noise stands on the right."""
    figure, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
    finite = sorted(value for value in rows["epsilon"].unique() if np.isfinite(value))
    places = {value: place for place, value in enumerate([*finite, np.inf])}
    placed = rows.assign(place=rows["epsilon"].map(places))
    styles = {"letters": START_STYLES["letters"], "random": START_STYLES["scratch"]}
    lines(ax, placed, "place", by="features", styles=styles)
    ax.set_xticks(list(places.values()), [*(f"{value:g}" for value in finite), "no noise"])
    ax.set(xlabel=f"privacy spent: epsilon, at delta {DELTA:g}", ylim=(0, 101), title="a head on frozen features")
    ax.legend(frameon=False, title="features of")
    return figure, f"Accuracy by features and epsilon: {_said(rows)}."


def _said(rows: pd.DataFrame) -> str:
    found = intervals(rows, by=["features", "epsilon"])
    return "; ".join(
        f"{name}: {', '.join(f'{row.mean:.1f} at {row.epsilon:g}' for row in group.itertuples())}"
        for name, group in found.groupby("features", sort=False)
    )


def rebuilt_figure(original: torch.Tensor, rebuilt: torch.Tensor) -> Shown:
    """Draw images, uint8 `[N, 3, H, W]`, above what was rebuilt from the gradient of each."""
    figure, axes = plt.subplots(2, 1, figsize=(1.2 * len(original) + 0.5, 2.6), layout="constrained")
    titles = ("what the client has", "what the server rebuilt from the gradient")
    for ax, images, title in zip(axes, (original, rebuilt), titles, strict=True):
        draw_images(ax, images, len(original)).set_title(title, loc="left", fontsize=10)
    apart = (original.int() - rebuilt.int()).abs().max()
    return (
        figure,
        f"{len(original)} images, and the same rebuilt from gradients; no pixel differs by more than {apart} of 255.",
    )
