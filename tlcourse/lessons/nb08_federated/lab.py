"""The lab of notebook 08: a federation to run, the curve over rounds, and which client is served how well."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.federated.federation import Federation
from tlcourse.federated.home import HomeWork
from tlcourse.lessons.nb08_federated.experiment import (
    PLACES,
    STARTS,
    TARGET,
    Place,
    division,
    seen,
    setting,
    starting_network,
)
from tlcourse.lessons.nb08_federated.figures import draw_division
from tlcourse.lessons.nb08_federated.served import METHODS, by_client, rate_of
from tlcourse.notebook.controls import Choice, Note, Slider
from tlcourse.notebook.figures import GREY, PALETTE, plain
from tlcourse.notebook.jobs import job
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.results import results

MEGABYTES = 1.24  # all weights and statistics of the network; a test compares
SEED, KEPT, SHOWN = 0, 4, 10  # of the division and the training; runs and rounds in the picture
SKEWS = ("none", "some", "much")
ALPHAS = dict(zip(SKEWS, (float("inf"), 1.0, 0.1), strict=True))
FURTHEST = dict(zip(SKEWS, (0.0, 0.5, 1.0), strict=True))
DIVISION = (0.05, 0.14, 0.22, 0.76)  # left, bottom, width and height in the picture
CURVES, CLIENTS = (0.34, 0.14, 0.30, 0.56), (0.71, 0.14, 0.27, 0.76)


class Run(NamedTuple):
    """A run that was made here."""

    name: str
    curve: list[float]  # accuracy after every round, in percent
    clients: pd.DataFrame | None  # as `by_client` returns it, once the run is over


class FederationLab(Lab):
    """Ten clients, how unlike they are, and how they learn together; `runs` holds what was run, by both skews."""

    labels = Choice("skew of labels", SKEWS, "none", "how unequally the clients share the digits")
    looks = Choice("skew of looks", SKEWS, "none", "how differently the clients' images look")
    begun = Choice("start", tuple(reversed(STARTS)), "letters", "the weights that the first round begins with")
    method = Choice("method", tuple(METHODS), "FedAvg", "what a client minimises, or keeps at home")
    per_round = Slider("clients per round", (2, 5, 10), 10, "how many train in a round, drawn each time")
    epochs = Slider("local epochs", (1, 2, 5), 2, "how often a client goes through its images in a round")
    rounds = Slider("rounds", (3, 5, 10, 20), 5, "how many rounds a run has")
    plan = Note()
    rows = (
        *(("labels", "looks"), ("begun", "method"), ("per_round", "epochs")),
        *(("rounds", "run", "stop", "bar"), "plan", "status"),
    )

    def __init__(self) -> None:
        self.divisions = {skew: division(alpha, SEED) for skew, alpha in ALPHAS.items()}
        means = results("rounds").groupby(["place", "start", "round"])["accuracy"].mean()
        self.known = {PLACES[place]: curves.droplevel("place") for place, curves in means.groupby("place")}
        self.runs: dict[tuple[str, str], list[Run]] = {}
        super().__init__()

    def adjust(self) -> None:
        """Say what Run would do."""
        sent = 2 * self.per_round * self.rounds * MEGABYTES
        source = "the letters" if self.begun == "letters" else self.begun
        self.plan = (
            f"Run: {self.rounds} rounds of {self.per_round} clients by {self.method} from {source}, each {self.epochs} "
            f"times through its images; about {sent:.0f} MB in all."
        )

    def look(self, labels: str, looks: str) -> tuple[Figure, str]:
        """Return who has what, the curves over rounds, and how well the last run serves each client."""
        figure, (division_panel, curves, clients) = page((9.8, 3.9), DIVISION, CURVES, CLIENTS)
        runs = self.runs.get((labels, looks), [])
        counts = draw_division(division_panel, self.divisions[labels])
        division_panel.set_title("images of each client", fontsize=11)
        draw_curves(curves, runs, self.known.get(Place(ALPHAS[labels], FURTHEST[looks])))
        draw_clients(clients, runs[-1].clients if runs else None)
        sizes = counts.sum(1)
        images = f"{sizes.min()} to {sizes.max()}" if sizes.min() < sizes.max() else f"{sizes.min()}"
        told = f"Labels {labels}, looks {looks}: ten clients of {images} images. "
        return figure, told + (sentence(runs[-1]) if runs else "Nothing was run here yet: press Run.")

    @job("Run", "let the clients learn together with these settings", width="70px")
    def run(self) -> Iterator[tuple[float, str]]:
        """Do the rounds, and draw the curve after each."""
        labels, looks, count = self.labels, self.looks, self.rounds
        method = METHODS[self.method]
        name = f"{self.begun}, {self.method}, {self.per_round} × {self.epochs}"
        work = HomeWork(self.epochs, lr=rate_of(self.method, self.begun))
        model = starting_network(self.begun, SEED)
        runs = self.runs.setdefault((labels, looks), [])
        runs.append(Run(name, [], None))
        del runs[:-KEPT]
        yield 0.0, "the clients get ready"
        there = setting(Place(ALPHAS[labels], FURTHEST[looks]), SEED)
        federation = Federation(model, there.clients, method, work, per_round=self.per_round, seed=SEED)
        for done in federation.rounds(count):
            runs[-1].curve.append(seen(federation, there.tests))
            self.redraw()
            yield done.number / count, f"round {done.number} of {count}: {runs[-1].curve[-1]:.1f} %"
        networks = {client: federation.network_of(client) for client in federation.homes}
        runs[-1] = runs[-1]._replace(clients=by_client(networks, there))
        self.redraw()
        return f"{name}: {runs[-1].curve[-1]:.1f} % after {count} rounds."


def draw_curves(ax: Axes, runs: list[Run], known: pd.Series | None) -> Axes:
    """Draw accuracy over rounds, a line a run; dotted, by start and round, the means that came with the course."""
    longest = max([SHOWN, *(len(run.curve) for run in runs)])
    for start, curve in () if known is None else known.groupby("start"):
        first = curve[start][:longest]
        ax.plot(first.index, first, color=GREY, linestyle=":", linewidth=1.5)
        ax.text(longest + 0.3, first.iloc[-1] - 4, start, fontsize=8, color=GREY, ha="right", va="top")
    for place, run in enumerate(runs):
        rounds = range(1, len(run.curve) + 1)
        ax.plot(rounds, run.curve, color=PALETTE[place], marker="osD^"[place], markersize=5, label=run.name)
    ax.axhline(TARGET, color=GREY, linestyle=":", linewidth=1)
    ax.set(xlim=(0.5, longest + 0.5), ylim=(0, 101), xlabel="round", ylabel="accuracy over clients (%)")
    if runs:
        title = "start, method, clients × epochs"
        above = {"loc": "lower left", "bbox_to_anchor": (-0.05, 0.98)}
        ax.legend(frameon=False, fontsize=8, title=title, title_fontsize=8, alignment="left", **above)
    return plain(ax)


def draw_clients(ax: Axes, found: pd.DataFrame | None) -> Axes:
    """Draw how much of its own mix of digits each client's network reads, a bar a client."""
    ax.set(xlim=(0, 101), ylim=(9.6, -0.6), xlabel="read of its own mix (%)", ylabel="client", yticks=range(10))
    ax.set_title("last run: who is served", fontsize=11)
    if found is None:
        ax.text(50, 4.5, "after a run", ha="center", color=GREY)
    else:
        ax.barh(range(len(found)), found["own"], color=PALETTE[0], height=0.7)
    plain(ax).grid(axis="x", color="#E5E5E5")
    return ax


def sentence(run: Run) -> str:
    """Say in words what the last run reached."""
    if not run.curve:
        return "A run begins."
    reached = next((number for number, value in enumerate(run.curve, 1) if value >= TARGET), None)
    there = f"{TARGET:g} % were reached in round {reached}" if reached else f"{TARGET:g} % were not reached"
    said = f"{run.name}: {run.curve[-1]:.1f} % over clients after round {len(run.curve)}; {there}"
    if run.clients is None:
        return f"{said}."
    worst, best = (run.clients.loc[which(run.clients["own"])] for which in (pd.Series.idxmin, pd.Series.idxmax))
    if worst["own"] == best["own"]:
        return f"{said}. All clients are served alike."
    return f"{said}. Of its own mix, {worst['client']} reads {worst['own']:.0f} %, {best['client']} {best['own']:.0f}."
