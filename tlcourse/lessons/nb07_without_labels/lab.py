"""The lab of notebook 07: which pseudo-labels a threshold takes, how many of them are right, and what comes of it."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.augmentations import Augment, Chain, CutOut
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.lessons.nb07_without_labels.figures import as_bytes
from tlcourse.lessons.nb07_without_labels.semi_supervised import (
    FIXMATCH,
    WAYS,
    WORLD,
    judged,
    starting_network,
)
from tlcourse.notebook.controls import Choice, Note, Slider
from tlcourse.notebook.figures import GREY, RIGHT, WRONG, draw_images, plain
from tlcourse.notebook.jobs import job
from tlcourse.notebook.lab import Lab, page
from tlcourse.repro import generator
from tlcourse.training.recipe import CONVERGED
from tlcourse.unlabelled.fixmatch import FixMatch
from tlcourse.unlabelled.semi_supervised import Method, learn_with_unlabelled, semi_supervised_updates

SEED, EVERY, UPDATES = 1, 25, 150  # of the labels that are drawn; updates between two pictures, and of a run
RECIPE = replace(CONVERGED, epochs=1, steps=UPDATES, batch=25)  # so that a run takes a few seconds
BEFORE, RUN = "labels alone", "your run"
BARS, PICTURES = (0.06, 0.14, 0.42, 0.74), (0.53, 0.08, 0.46, 0.80)  # left, bottom, width, height in the picture
SHOWN = 6  # images a row


class ThresholdLab(Lab):
    """A bench for pseudo-labels: threshold, strength of the strong view, share of the images without labels.

    `judged` holds by labels per class and network the answers for the whole pool, as `judged` returns them.
    """

    per_class = Choice("labels per class", (1, 5), 1, "how many labelled images the network has seen of each digit")
    network = Choice("network", (BEFORE, RUN), BEFORE, "whose answers are looked at")
    threshold = Slider("threshold", (0.0, 0.5, 0.8, 0.9, 0.95, 0.99), 0.8, "the least probability that is taken")
    strength = Slider("strength of the strong view", (0.0, 0.5, 1.0, 1.5, 2.0), 1.0, "1 is the course's own")
    share = Slider("unlabelled images used (%)", (5, 10, 25, 50, 100), 100, "how much of the pool a run may see")
    updates = Slider("updates", (25, 50, 100, 150, 300), UPDATES, "how long a run trains", width="17em")
    plan = Note()
    rows = (
        *(("per_class", "network"), ("threshold", "strength")),
        *(("share", "updates", "run", "stop", "bar"), "plan", "status"),
    )

    def __init__(self) -> None:
        self.pool, self.test = (load(WORLD, split=split) for split in ("train", "test"))
        self.judged: dict[tuple[int, str], pd.DataFrame] = {}
        self.accuracy: dict[tuple[int, str], float] = {}
        self.few = {count: self.pool.few(count, SEED) for count in (1, 5)}
        for count, few in self.few.items():
            network = starting_network("letters", SEED)
            self.keep(count, BEFORE, learn_with_unlabelled(network, few, self.pool.images, Method(), RECIPE, seed=SEED))
        super().__init__()

    def keep(self, count: int, name: str, network: nn.Module) -> None:
        """Remember what a network makes of the pool and of the test images."""
        self.judged[count, name] = judged(network, self.pool)
        self.accuracy[count, name] = 100 * judged(network, self.test)["correct"].mean()

    def adjust(self) -> None:
        """Say what Run would do."""
        self.plan = (
            f"Run: {self.updates} updates on {10 * self.per_class} images with labels and "
            f"{len(some_of(self.pool, self.share))} without, threshold {self.threshold:g}, strong views of strength "
            f"{self.strength:g}."
        )

    def look(self, per_class: int, network: str, threshold: float, strength: float) -> tuple[Figure, str]:
        """Return what is taken of each digit, and some images with their answers and strong views."""
        figure, (bars, pictures) = page((9.6, 4.2), BARS, PICTURES)
        answers = self.judged.get((per_class, network))
        if answers is None:
            bars.text(0.5, 0.5, "nothing was run with so many labels:\npress Run", ha="center")
            bars.set_axis_off()
            pictures.set_axis_off()
            return figure, f"{per_class} labels per class: nothing was run yet. Press Run."
        answers = answers.assign(taken=answers["confidence"] >= threshold)
        draw_taken(bars, answers)
        draw_answers(pictures, self.pool, answers, strength)
        return figure, sentence(answers, threshold, network, per_class, self.accuracy[per_class, network])

    @job("Run", "train by FixMatch with these settings, from the letters", width="70px")
    def run(self) -> Iterator[tuple[float, str]]:
        """Train, and look at the answers every few updates."""
        count, updates, method = self.per_class, self.updates, FixMatch(self.threshold, decay=decay())
        network, images = starting_network("letters", SEED), some_of(self.pool, self.share)
        recipe, strong = replace(RECIPE, steps=updates), strong_view(self.strength)
        self.network = RUN  # so that the answers are seen to change
        yield 0.0, "the training begins"
        steps = semi_supervised_updates(network, self.few[count], images, method, recipe, strong=strong, seed=SEED)
        for done, _ in enumerate(steps, start=1):
            if done % EVERY == 0 and done < updates:
                self.keep(count, RUN, adapt_batchnorm(copy.deepcopy(method.present(network)), images))
                self.redraw()
            yield done / updates, f"{done} of {updates} updates"
        self.keep(count, RUN, network)
        reached, alone = (self.accuracy[count, name] for name in (RUN, BEFORE))
        return f"{reached:.1f} % after {updates} updates; labels alone, {UPDATES} updates: {alone:.1f} %."


def decay() -> float:
    """Return how slowly the teacher follows, as in the experiments."""
    return WAYS[FIXMATCH].settings[0]["decay"]


def some_of(pool: ImageSet, share: float) -> torch.Tensor:
    """Return a share of the pool's images, in percent, drawn at random."""
    count = round(share * len(pool) / 100)
    return pool.images[torch.randperm(len(pool), generator=generator("share of the pool"))[:count]]


def strong_view(strength: float) -> Chain:
    """Return the strong augmentation, of which 1 is the course's, 0 changes nothing, and 2 is twice as far."""
    far = Augment(
        degrees=25 * strength,
        shift=0.12 * strength,
        zoom=0.3 * strength,
        shear=0.3 * strength,
        bend=0.06 * strength,
        light=0.8 * strength,
    )
    return Chain(far, CutOut(min(1.0, 0.3 * strength)))


def draw_taken(ax: Axes, answers: pd.DataFrame) -> Axes:
    """Draw for every digit that is answered how many images are taken rightly, taken wrongly, and left out."""
    digits = range(10)
    groups = {
        "taken, right": (answers["taken"] & answers["correct"], RIGHT),
        "taken, wrong": (answers["taken"] & ~answers["correct"], WRONG),
        "not taken": (~answers["taken"], "#D0D0D0"),
    }
    left = torch.zeros(len(digits)).numpy()
    for name, (rows, colour) in groups.items():
        counts = answers.loc[rows, "answer"].value_counts().reindex(digits, fill_value=0).to_numpy()
        ax.barh(digits, counts, left=left, color=colour, label=name)
        left = left + counts
    ax.set(xlim=(0, 160), xlabel="images without labels, by answer", ylabel="answer", yticks=digits, ylim=(9.6, -0.6))
    ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.48, 0.99), fontsize=9, columnspacing=1)
    plain(ax).grid(axis="x", color="#E5E5E5")
    return ax


def draw_answers(ax: Axes, pool: ImageSet, answers: pd.DataFrame, strength: float) -> Axes:
    """Draw the surest wrong answers that are taken, the least sure right ones, and strong views of both."""
    taken = answers[answers["taken"]].sort_values("confidence", ascending=False)
    wrong, right = taken[~taken["correct"]][:SHOWN], taken[taken["correct"]][-SHOWN:]
    rows = [*wrong.index, *right.index]
    images = pool.images[rows]
    draws = generator("strong views")
    strong = as_bytes(strong_view(strength)(scale(images), draws)) if rows else images
    parts, captions, colours = [], [], []
    for first, count, colour in ((0, len(wrong), WRONG), (len(wrong), len(right), RIGHT)):
        empty = torch.full((SHOWN - count, *pool.images.shape[1:]), 255, dtype=torch.uint8)
        for kind in (images, strong):
            parts += [kind[first : first + count], empty]
        said = [f"as {answers.at[row, 'answer']}" for row in rows[first : first + count]]
        captions += [*said, *[""] * (SHOWN - count), *[""] * SHOWN]
        colours += [colour] * 2 * SHOWN
    draw_images(ax, torch.cat(parts), SHOWN, captions, colours, room=11)
    ax.set_title("surest mistakes, least sure hits; strong views below", fontsize=10, color=GREY)
    return ax


def sentence(answers: pd.DataFrame, threshold: float, network: str, per_class: int, accuracy: float) -> str:
    """Say in words what the picture shows."""
    taken = answers[answers["taken"]]
    labels = f"{per_class} label{'s' * (per_class > 1)} per class"
    if not len(taken):
        return f"{labels}, {network}: no image reaches {threshold:g}. It reads {accuracy:.1f} % of the test images."
    most = taken["answer"].value_counts()
    return (
        f"{labels}, {network}: {100 * len(taken) / len(answers):.0f} % of 906 images reach {threshold:g}, and "
        f"{100 * taken['correct'].mean():.0f} % of those are right; most are taken as {most.index[0]} "
        f"({most.iloc[0]}), and {10 - len(most)} digits not at all. "
        f"It reads {accuracy:.1f} % of the test images."
    )
