"""The lab of notebook 05: candidates by size and score; labels, shift and the score change who comes first."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tlcourse.lessons.nb05_choosing_a_source.experiment import LABELS, NAMES, SHIFTS
from tlcourse.lessons.nb05_choosing_a_source.figures import KINDS, draw_against, kind_of
from tlcourse.lessons.nb05_choosing_a_source.ranking import compare
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, size_of
from tlcourse.notebook.controls import Choice, Dropdown, Slider
from tlcourse.notebook.figures import GREY, plain
from tlcourse.notebook.lab import Lab, page
from tlcourse.notebook.results import results

# left, bottom, width and height in the picture, as shares of it
LADDER, PLANE, TRUTH = (0.17, 0.13, 0.19, 0.75), (0.44, 0.13, 0.22, 0.75), (0.75, 0.13, 0.24, 0.75)
BUDGETS = {"100,000 weights": 100_000, "400,000 weights": 400_000, "any size": 10_000_000}


class SourceLab(Lab):
    """Score, labels, shift, seed and the largest size allowed: the order of the candidates, and what it is worth."""

    score = Dropdown("score", NAMES, "linear probe", "what puts the candidates in order", width="19em")
    per_class = Choice("labels per class", LABELS, 5, "labelled target images of every class")
    shift = Slider("world shift (0 to 1)", SHIFTS, 0.0, "how far the target was moved away", form="{:.1f}")
    seed = Slider("labels drawn by seed", lambda lab: lab.seeds, 0, "other images get the labels")
    budget = Choice("largest", BUDGETS, 10_000_000, "how many weights the backbone may have")
    rows = (("score", "per_class"), ("shift", "seed"), ("budget",))

    def __init__(self) -> None:
        scores, truth = results("zoo_scores"), pd.concat(map(results, ("zoo_truth", "zoo_shifted")))
        self.scores = scores.set_index(["shift", "per_class", "seed"]).sort_index()
        self.truth = truth.groupby(["shift", "per_class", "candidate"])["accuracy"].mean()
        self.seeds = sorted(scores["seed"].unique().tolist())
        self.sizes = pd.Series({name: size_of(name) for name in CANDIDATES})
        super().__init__()

    def look(self, score: str, per_class: int, shift: float, seed: int, budget: int) -> tuple[Figure, str]:
        """Return the order, the plane of size and score, the truth where it was measured, and the sentences."""
        said = self.scores.loc[(shift, per_class, seed)].set_index("candidate")[score]
        allowed = self.sizes[self.sizes <= budget].index
        chosen = said[allowed].idxmax()
        figure, (ladder, plane, right) = page((9.3, 4.2), LADDER, PLANE, TRUTH)
        draw_ladder(ladder, said, chosen, score)
        draw_plane(plane, self.sizes, said, chosen, budget, score)
        figure.legend(
            *plane.get_legend_handles_labels(),
            loc="upper center",
            bbox_to_anchor=(0.55, 1.0),
            ncols=3,
            frameon=False,
            fontsize=10,
        )
        sentence = f"{score}, {per_class} labels per class, shift {shift:.1f}: {chosen} comes out on top"
        if (shift, per_class) not in self.truth.index.droplevel("candidate"):
            right.text(0.5, 0.5, "not measured:\nchoose 5 labels\nor shift 0", ha="center", transform=right.transAxes)
            right.set_axis_off()
            return figure, f"{sentence}. What fine-tuning reaches here was not measured."
        goal = self.truth[shift, per_class]
        draw_against(right, said[goal.index], goal)
        right.scatter(said[chosen], goal[chosen], s=170, facecolor="none", edgecolor="black", linewidth=1.5)
        right.set(xlabel=score, ylabel="fine-tuned (%)")
        found, best = compare(said, goal), goal[allowed].idxmax()
        right.set_title(f"weighted tau {found['tau']:.0f} %", fontsize=12)
        lost = goal[best] - goal[chosen]
        return figure, (
            f"{sentence} and reaches {goal[chosen]:.1f} % when fine-tuned. The best of this size is {best}, "
            f"{goal[best]:.1f} %: the choice loses {lost:.1f} points. Weighted tau over all 16: {found['tau']:.0f} %."
        )


def draw_ladder(ax: Axes, said: pd.Series, chosen: str, score: str) -> Axes:
    """Draw the candidates from the best to the worst by a score, the chosen one in black."""
    order = said.sort_values(ascending=False, kind="stable")  # of equals, the first in the list
    places = pd.Series(range(len(order)), order.index)
    draw_against(ax, order, places)
    ax.plot(order[chosen], places[chosen], KINDS[kind_of(chosen)][1], color="black", markersize=7)
    ax.set_yticks(range(len(order)), order.index, fontsize=8)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set(xlabel=score)
    plain(ax).grid(visible=False, axis="y")
    return ax


def draw_plane(ax: Axes, sizes: pd.Series, said: pd.Series, chosen: str, budget: int, score: str) -> Axes:
    """Draw every candidate in the plane of size and score; what is too large is grey."""
    small, large = sizes[sizes <= budget].index, sizes[sizes > budget].index
    draw_against(ax, sizes[small] / 1000, said[small])
    ax.scatter(sizes[large] / 1000, said[large], s=36, color="#BBBBBB")
    ring = {"marker": "o", "markersize": 13, "markerfacecolor": "none", "markeredgecolor": "black"}
    ax.plot(sizes[chosen] / 1000, said[chosen], **ring)
    if budget < sizes.max():
        ax.axvline(budget / 1000, color=GREY, linestyle="--", linewidth=1)
    ax.set_xscale("log")
    ax.set_xlim(50, 2000)
    ax.set_xticks([100, 300, 1000], ["100", "300", "1,000"])
    ax.minorticks_off()
    ax.set(xlabel="weights (thousands)", ylabel=score)
    return plain(ax)
