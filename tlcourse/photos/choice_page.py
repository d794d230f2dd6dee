"""What `tlcourse choose` shows: a table, and a page with the table, a picture and what to know about both."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from tlcourse.notebook.display import drawn
from tlcourse.notebook.figures import PALETTE, dots, plain
from tlcourse.pages.fill import fill
from tlcourse.photos.choosing import FOLDS, Choice, Judged
from tlcourse.photos.findings import FolderReport

HEADER = ("backbone", "LogME", "probe (%)", "minus highest", "verdict", "s", "MB", "weights", "licence")
NOTES = (
    f"Probe: mean over {FOLDS} folds, each answered by a head that did not see it. The folds share photographs to "
    "learn from, so the intervals are the least doubt that there is; each holds for itself alone. And these "
    "photographs made a choice, so the highest share is a little too high: what the classifier is worth, the test of "
    "tlcourse finetune says.",
    "LogME: how likely the labels are under a linear model of the features, in nats an image and class; only the order "
    "counts, and higher is better. Among the candidates of notebook 05 it came near the order that fine-tuning gives; "
    "whether it or k-NN comes nearer is open.",
    "Both see frozen features. Fine-tuning makes new ones, and the more labels there are, the less they say about it.",
)
LICENCES = {
    "none stated": "torchvision names no licence for these weights. They were made from ImageNet, whose terms allow "
    "research that is not commercial; whether yours is allowed, you have to find out.",
    "unknown": "a file of weights does not say. Look where you got it from.",
    "CC BY-NC 4.0": "no commercial use (SWAG weights, by the README of torchvision).",
    "MIT": "as the course.",
}


def choice_rows(choice: Choice) -> list[list[str]]:
    """Return the table, a row a backbone, without its header."""
    return [_row(choice, one) for one in choice.judged]


def _row(choice: Choice, one: Judged) -> list[str]:
    compared = ["–", "highest"]
    if one is not choice.best:
        compared = [str(choice.behind(one)), "open" if one in choice.not_worse else "lower"]
    sizes = (f"{one.seconds:.1f}", f"{one.megabytes:.1f}", f"{one.parameters / 1e6:.1f} M")
    return [one.name, f"{one.score:.3f}", str(one.accuracy), *compared, *sizes, one.licence]


def licences_in_words(choice: Choice) -> dict[str, str]:
    """Return what the licences in the table mean."""
    there = {one.licence for one in choice.judged}
    return {name: meaning for name, meaning in LICENCES.items() if name in there}


def choice_page(choice: Choice, folders: Sequence[FolderReport], apart: str, command: str) -> str:
    """Write the comparison as HTML; `apart` says which photographs had no part, `command` how to go on."""
    return fill(
        "choice.html",
        folders=folders,
        choice=choice,
        header=HEADER,
        rows=choice_rows(choice),
        origins={one.name: one.origin for one in choice.judged},
        notes=NOTES,
        licences=licences_in_words(choice),
        picture=drawn((8, 1.3 + 0.45 * len(choice.judged)), 1, lambda ax: draw_choice(ax, choice)),
        apart=apart,
        command=command,
    )


def draw_choice(ax: Axes, choice: Choice) -> str:
    """Draw every backbone's accuracy with its interval, and the folds faintly; return the alt text."""
    rows = [{"backbone": one.name, **vars(one.accuracy)} for one in choice.judged]
    said = dots(ax, pd.DataFrame(rows), "probe (%)", "backbone")
    for place, one in enumerate(choice.judged):
        ax.scatter(one.folds, [place] * FOLDS, color=PALETTE[-1], s=22, alpha=0.6, linewidth=0)
    ax.set_xlabel("right answers of the probe, in the mean and by fold (%)")
    plain(ax)
    return said
