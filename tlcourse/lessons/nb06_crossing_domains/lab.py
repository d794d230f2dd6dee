"""The lab of notebook 06: features of both domains in one picture, before and after they are brought together."""

import copy
from collections.abc import Iterator
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import adaptation_updates
from tlcourse.lessons.nb06_crossing_domains.cases import Case, photo
from tlcourse.lessons.nb06_crossing_domains.experiment import (
    METHODS,
    ON,
    RECIPE,
    SELF_TRAINING,
    SHIFTS,
    starting_network,
    terms_of,
)
from tlcourse.lessons.nb06_crossing_domains.seen import Seen, moved_to_source, see, turned_like
from tlcourse.notebook.controls import Choice, Dropdown, Note, Slider
from tlcourse.notebook.figures import GREY, PALETTE, plain
from tlcourse.notebook.jobs import job
from tlcourse.notebook.lab import Lab, page

EVERY = 20  # updates between two pictures of a run
LIVE = (ON, *(name for name in METHODS if name != SELF_TRAINING))
NONE, BN, COLOURED, RUN = "none", "AdaBN", "CORAL", "your run"
CLOUDS, READ = (0.04, 0.07, 0.54, 0.85), (0.71, 0.17, 0.27, 0.68)  # left, bottom, width and height in the picture
SHOWN = 150  # images of each domain in the picture


class AlignmentLab(Lab):
    """Shift and alignment, with the features of both domains projected; a button trains a method for a while.

    `seen` holds by shift and alignment what is drawn. CORAL here is its closed form, on frozen features; a run trains.
    """

    shift = Slider("world shift (0 to 1)", SHIFTS, 0.5, "how far the target was moved away", form="{:g}")
    aligned = Choice("alignment", (NONE, BN, COLOURED, RUN), NONE, "what was done before the features are looked at")
    method = Dropdown("method to run", LIVE, "MCC", "what trains, without a label of the target", width="17em")
    updates = Slider("updates", (20, 50, 100, 200), 100, "how long it trains", width="17em")
    plan = Note()
    rows = (("shift", "aligned"), ("method", "updates", "run", "stop", "bar"), "plan", "status")

    def __init__(self) -> None:
        self.cases = {shift: photo(shift) for shift in SHIFTS}
        self.seen: dict[tuple[float, str], Seen] = {}
        self.ran: dict[float, str] = {}  # by shift, which method
        for shift, case in self.cases.items():
            for name in (NONE, BN):
                network = starting_network(case)
                self.keep(shift, name, network if name == NONE else adapt_batchnorm(network, case.target.images))
            self.seen[shift, COLOURED] = moved_to_source(self.seen[shift, BN])
        super().__init__()

    def adjust(self) -> None:
        """Say what Run would do."""
        terms = "the source alone" if self.method == ON else f"{self.method} and the labels of the source"
        self.plan = f"Run would train by {terms}, for {self.updates} updates at shift {self.shift:g}."

    def keep(self, shift: float, name: str, network: nn.Module) -> None:
        """Remember what a network makes of both domains at a shift."""
        self.seen[shift, name] = see(network, self.cases[shift])

    def look(self, shift: float, aligned: str) -> tuple[Figure, str]:
        """Return both clouds and what is read of the target, and the sentence."""
        figure, (clouds, read) = page((9.3, 4.4), CLOUDS, READ)
        now = self.seen.get((shift, aligned))
        draw_read(read, {name: self.seen.get((shift, name)) for name in (NONE, BN, COLOURED, RUN)}, aligned)
        if now is None:
            clouds.text(0.5, 0.5, "nothing was run at this shift:\nchoose a method, press Run", ha="center")
            clouds.set_axis_off()
            return figure, f"Shift {shift:g}: nothing was run here yet. Choose a method, and press Run."
        named = f"{RUN} ({self.ran[shift]})" if aligned == RUN else aligned
        draw_clouds(clouds, now, like=self.seen[shift, NONE])
        return figure, (
            f"Shift {shift:g}, {named}: of 300 target images {now.accuracy:.1f} % are read rightly, of the source's "
            f"{now.source_accuracy:.1f} %; information, which sees no label, is {now.information_share:.0f} % of its "
            "maximum."
        )

    @job("Run", "train the network by this method, on the source and the images of the target", width="70px")
    def run(self) -> Iterator[tuple[float, str]]:
        """Train, and look at the features every few updates."""
        shift, method, updates = self.shift, self.method, self.updates
        case: Case = self.cases[shift]
        terms = terms_of(method)
        model, recipe = starting_network(case), replace(RECIPE, epochs=updates // RECIPE.steps)
        self.aligned, self.ran[shift] = RUN, method  # so that the clouds are seen to move
        yield 0.0, f"{method} at shift {shift:g} begins"
        for done, _ in enumerate(adaptation_updates(model, case.source, case.target.images, terms, recipe), 1):
            if done % EVERY == 0 and done < updates:
                self.keep(shift, RUN, adapt_batchnorm(copy.deepcopy(model), case.target.images))
                self.redraw()
            yield done / updates, f"{method} at shift {shift:g}: {done} of {updates} updates"
        self.keep(shift, RUN, model)
        return f"{method} at shift {shift:g}: {self.seen[shift, RUN].accuracy:.1f} % after {updates} updates."


def draw_clouds(ax: Axes, seen: Seen, like: Seen) -> Axes:
    """Draw images as their digits in the plane of the two directions in which source and target vary most."""
    plane = turned_like(seen, like)
    for features, labels, colour, alpha in (
        (seen.source, seen.source_labels, PALETTE[0], 0.45),
        (seen.target, seen.target_labels, PALETTE[1], 0.9),
    ):
        flat = (features[:SHOWN] - plane.middle) @ plane.directions  # [SHOWN, 2]
        for digit in range(10):
            some = flat[labels[:SHOWN] == digit]
            ax.scatter(*some.T, marker=f"${digit}$", s=42, color=colour, alpha=alpha, linewidth=0.3)
    ax.set(xticks=[], yticks=[], xlabel="first direction", ylabel="second direction")
    ax.set_title("features: source blue, target orange", fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def draw_read(ax: Axes, seen: dict[str, Seen | None], chosen: str) -> Axes:
    """Draw the accuracy on the target, which is hidden from who adapts, and the validator, which is not."""
    for place, (name, one) in enumerate(seen.items()):
        if one is not None:
            strong = 1.0 if name == chosen else 0.45
            ax.plot(one.accuracy, place, "o", color=PALETTE[1], markersize=9, alpha=strong)
            ax.plot(one.information_share, place, "D", color=GREY, markersize=7, markerfacecolor="none", alpha=strong)
    ax.plot([], [], "o", color=PALETTE[1], label="accuracy")
    ax.plot([], [], "D", color=GREY, markerfacecolor="none", label="information")
    ax.set_yticks(range(len(seen)), list(seen))
    ax.set_ylim(len(seen) - 0.5, -0.6)
    ax.set(xlim=(0, 103), xlabel="% (information: of its maximum)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, 1.18), ncols=2, frameon=False, fontsize=10)
    plain(ax).grid(axis="x", color="#E5E5E5")
    return ax
