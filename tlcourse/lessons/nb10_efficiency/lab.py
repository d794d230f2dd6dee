"""The lab of notebook 10: a budget, and what it reaches."""

import pandas as pd
from matplotlib.figure import Figure

from tlcourse.lessons.nb10_efficiency.figures import draw_plane
from tlcourse.lessons.nb10_efficiency.plane import COSTS, points, within
from tlcourse.lessons.nb10_efficiency.ways import PER_CLASS
from tlcourse.notebook.controls import Choice, Slider
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.results import results

PLANE = (0.09, 0.16, 0.6, 0.78)  # left, bottom, width, height in the picture
SECONDS = (0.1, 1.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0)
TRAINED = (1_500, 2_500, 3_500, 6_000, 20_000, 400_000)
KILOBYTES = (6, 10, 12, 15, 25, 75, 1_300)


class BudgetLab(Lab):
    """What may be spent on a task, and which way then is best: time to train, weights to train, bytes to keep."""

    per_class = Choice("labels per class", PER_CLASS, 5, "how many labelled photographs each digit has")
    seconds = Slider("seconds to train", SECONDS, 30.0, "at most, on one core; augmentation is not counted")
    trained = Slider("weights trained", TRAINED, 400_000, "at most, the head's 1,290 included; the network has 309,114")
    kilobytes = Slider("Kilobytes a task", KILOBYTES, 1_300, "at most, that every further task takes on disk")
    cost = Choice(
        "across", {name: column for column, name in COSTS.items()}, "trained", "what the picture shows across"
    )
    rows = ("per_class", ("seconds", "trained"), "kilobytes", "cost")

    def __init__(self) -> None:
        self.places = points(results("efficient_ways"), results("efficient_cost"))
        super().__init__()

    def look(self, per_class: int, seconds: float, trained: int, kilobytes: int, cost: str) -> tuple[Figure, str]:
        """Return the plane, with what is out of reach in grey, and the best that is reachable."""
        places = self.places[self.places["per_class"] == per_class]
        reachable = within(places, seconds=seconds, trained=trained, megabytes=kilobytes / 1000)
        figure, (ax,) = page((9, 3.8), PLANE)
        front = draw_plane(ax, places, cost, reachable)
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        return figure, f"{best_of(reachable)} On the front of all six: {front}."


def best_of(reachable: pd.DataFrame) -> str:
    """Say which reachable way is the most accurate, and which others its interval does not tell from it."""
    if reachable.empty:
        return "Nothing is within this budget: even a linear probe keeps 5.2 Kilobytes and 1,290 weights."
    best = reachable.loc[reachable["mean"].idxmax()]
    near = reachable[(reachable["high"] >= best["low"]) & (reachable["way"] != best["way"])]["way"].tolist()
    beside = f"; intervals that overlap with its: {', '.join(near)}" if near else ""
    interval = f"{best['mean']:.1f} % [{best['low']:.1f}, {best['high']:.1f}]"
    return f"{len(reachable)} of 6 ways are within the budget. The best reads {interval}: {best['way']}{beside}."
