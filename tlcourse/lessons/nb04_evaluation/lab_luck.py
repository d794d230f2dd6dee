"""Two pages of notebook 04's lab, about luck: how far an interval reaches, and whether A is better than B."""

from collections.abc import Mapping

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.lessons.nb04_evaluation import lab_figures as pictures
from tlcourse.lessons.nb04_evaluation.lab_duels import Duel, Hits, Repeats, compute_duel, compute_grid
from tlcourse.notebook.controls import counter, dropdown, slider

SEEDS, IMAGES = (2, 3, 4, 5, 7, 10, 15, 20), (25, 50, 100, 200, 400)
ALONE = "nothing"
DUEL = {"left": 0.115, "right": 0.985, "bottom": 0.15, "top": 0.9, "wspace": 0.22, "width_ratios": (1.15, 1)}
WIDTHS = {"left": 0.07, "right": 0.96, "bottom": 0.14, "top": 0.97, "wspace": 0.06}


class DuelPage:
    """Is A better than B? The same comparison with fewer or more seeds and test images.

    Args:
        hits: whether each network reads each test image, bool `[seeds, N]`, by name.
    """

    def __init__(self, hits: Hits) -> None:
        self.hits, self.grids = hits, {}
        self.a = dropdown(list(hits), next(iter(hits)), "A", "which network is A")
        self.b = dropdown(list(hits), list(hits)[1], "B", "which network is B")
        self.seeds, self.images = _size_sliders(hits)
        self.draw = counter(20, "experiment", "the same experiment done by another lab: other seeds and images")
        self.controls = [self.a, self.b, self.draw, self.seeds, self.images]
        self.rows = [[self.a, self.b, self.draw], [self.seeds, self.images]]

    def adjust(self) -> None:
        """Switch off what would change nothing: with all seeds and images there is one experiment only."""
        self.draw.disabled = (self.seeds.index, self.images.index) == tuple(
            len(slider.options) - 1 for slider in (self.seeds, self.images)
        )

    def compute(self) -> tuple[Duel, dict[int, Repeats]]:
        """Return one experiment, and what many with the same number of images would find, by number of seeds."""
        names, images = (self.a.value, self.b.value), self.images.value
        grid = grid_of(self.grids, self.hits, *names)
        duel = compute_duel(self.hits, names, self.seeds.value, images, self.draw.value)
        return duel, {n: repeats for (n, m), repeats in grid.items() if m == images}

    def look(self) -> tuple[Figure, str]:
        """Return the differences with their intervals, the verdicts of many experiments, and the sentences."""
        duel, column = self.compute()
        figure, (left, right) = pictures.side_by_side(2, DUEL)
        pictures.draw_duel(left, duel).set_title(duel.verdict, fontsize=12)
        pictures.draw_verdicts(right, column, duel.names, self.seeds.value)
        return figure, self._describe(duel, column[self.seeds.value])

    def _describe(self, duel: Duel, repeats: Repeats) -> str:
        (a, b), (says_a, _, says_b) = duel.names, (round(share) for share in repeats.verdicts())
        found = f"{self.seeds.value} seeds, {self.images.value} images: {a} {duel.accuracy[0]:.1f} %"
        if a == b:
            return f"{found}. {duel.verdict}: choose another B."
        return (
            f"{found}, {b} {duel.accuracy[1]:.1f} %. Verdict: {duel.verdict}. Power: of 100 such experiments, "
            f"{says_a} would say {a}, {says_b} would say {b}, and {100 - says_a - says_b} could not tell."
        )


class WidthPage:
    """How far the interval of a score, or of a difference, reaches with so many seeds and test images.

    Args:
        hits: whether each network reads each test image, bool `[seeds, N]`, by name.
    """

    def __init__(self, hits: Hits) -> None:
        self.hits, self.grids = hits, {}
        self.of = dropdown(list(hits), next(iter(hits)), "accuracy of", "the network whose score is measured")
        self.minus = dropdown([ALONE, *hits], ALONE, "minus", "subtract another network's score, seed by seed")
        self.seeds, self.images = _size_sliders(hits)
        self.controls = [self.of, self.minus, self.seeds, self.images]
        self.rows = [[self.of, self.minus], [self.seeds, self.images]]

    def adjust(self) -> None:
        """Nothing depends on another control here."""

    def compute(self) -> dict[tuple[int, int], tuple[float, float]]:
        """Return the reach by the luck of seeds and of images, by number of seeds and of images, in points."""
        grid = grid_of(self.grids, self.hits, self.of.value, self.minus.value)
        return {size: repeats.widths() for size, repeats in grid.items()}

    def look(self) -> tuple[Figure, str]:
        """Return reach against seeds and against images, and the sentences."""
        widths, n, m = self.compute(), self.seeds.value, self.images.value
        figure, (left, right) = pictures.side_by_side(2, WIDTHS, share=True)
        over_seeds = {seeds: w for (seeds, images), w in widths.items() if images == m}
        over_images = {images: w for (seeds, images), w in widths.items() if seeds == n}
        pictures.draw_widths(left, over_seeds, n, f"seeds (each with {m} images)")
        pictures.draw_widths(right, over_images, m, f"test images (each with {n} seeds)")
        left.set_ylabel("95 % interval: ± points")
        left.legend(frameon=False, fontsize=10, loc="lower left")
        return figure, self._describe(widths)

    def _describe(self, widths: Mapping[tuple[int, int], tuple[float, float]]) -> str:
        n, m = self.seeds.value, self.images.value
        what = self.of.value if self.minus.value == ALONE else f"{self.of.value} minus {self.minus.value}"
        if self.of.value == self.minus.value:
            return f"{what} is 0 whatever is drawn: subtract another network."
        seeds, images = widths[n, m]
        larger = "seeds" if seeds > images else "images"
        best = widths[max(widths)]
        return (
            f"With {n} seeds and {m} test images, {what} is known to ±{seeds:.1f} points by the luck of seeds and "
            f"±{images:.1f} by the luck of images: more {larger} would help most. With all: ±{best[0]:.1f} and "
            f"±{best[1]:.1f}."
        )


def grid_of(
    known: dict[tuple[str, str], dict[tuple[int, int], Repeats]], hits: Hits, a: str, b: str
) -> dict[tuple[int, int], Repeats]:
    """Return the experiments of every size with A minus B, or with A alone, computed once a pair.

    Args:
        known: those that were computed before; a new one is added.
        hits: whether each network reads each test image.
        a: a name.
        b: a name, or `"nothing"`.

    Returns:
        What they found by number of seeds and of images.
    """
    if (a, b) not in known:
        values = hits[a].float() - (0 if b == ALONE else hits[b].float())
        known[a, b] = compute_grid(values, *sizes_of(hits))
    return known[a, b]


def sizes_of(hits: Hits) -> tuple[list[int], list[int]]:
    """Return the numbers of seeds and of images to choose among; the largest is all there are."""
    total, every = next(iter(hits.values())).shape
    return tuple([n for n in ladder if n < top] + [top] for ladder, top in ((SEEDS, total), (IMAGES, every)))


def _size_sliders(hits: Hits) -> tuple[widgets.SelectionSlider, widgets.SelectionSlider]:
    seeds, images = sizes_of(hits)
    told = ("trainings of each network", "test images, the same for both")
    return (
        slider(seeds, min(seeds, key=lambda n: abs(n - 5)), "seeds", told[0]),
        slider(images, images[-1], "test images", told[1]),
    )
