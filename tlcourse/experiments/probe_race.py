"""A linear probe on cached features against a frozen network in the ordinary loop: who first reaches an accuracy?"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.domains import load
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation import accuracy
from tlcourse.experiments.strategies import STRATEGIES
from tlcourse.finetuning import freeze, trainable
from tlcourse.probing import linear_probe
from tlcourse.training import fit

WATCHED = 300  # images that both are measured on
CHECK_EVERY, MOST, BATCH = 5, 200, 50  # updates between two looks, updates before giving up, images an update
HEADER = ("labels a class", "probe", "frozen network, trained", "its updates", "probe is faster by")


@dataclass(frozen=True)
class Race:
    """How long both took to the same accuracy.

    Attributes:
        per_class: labelled images a class.
        goal: accuracy of the probe on images that neither learned from, in percent.
        probe_seconds: features once and L-BFGS to convergence, median of several turns.
        reached: accuracy of the trained network when it was stopped, in percent; below the goal if it never got there.
        training_seconds: its training, without the time for measuring.
        updates: its updates.
    """

    per_class: int
    goal: float
    probe_seconds: float
    reached: float
    training_seconds: float
    updates: int

    @property
    def ratio(self) -> float:
        """Return how many times as long the training took."""
        return self.training_seconds / self.probe_seconds


def race(per_class: int, seed: int = 0, turns: int = 5) -> Race:
    """Let both learn the same labelled images, and stop the training as soon as it reaches the probe's accuracy.

    Neither augments. The training has the rate that was best for it in `results/strategy_settings.csv`. The goal is
    measured on other images of the training half; measuring takes no part in the time.

    Args:
        per_class: labelled images a class, at most 80.
        seed: seed of the images, the fresh head and the batches.
        turns: how often the probe is timed, after one turn to warm up.

    Returns:
        The race.
    """
    labelled, others = split_labelled(load("handwritten-photo"), per_class, seed)
    watched = others.subset(torch.arange(min(WATCHED, len(others))))
    seconds, model = [], _fresh(seed)
    for _ in range(turns + 1):
        start = time.perf_counter()
        linear_probe(model, labelled, STRATEGIES["linear probe"].setting)
        seconds.append(time.perf_counter() - start)
    goal = accuracy(model, watched)
    return Race(per_class, goal, statistics.median(seconds[1:]), *_train(labelled, watched, goal, seed))


def split_labelled(images: ImageSet, per_class: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return a few labelled images, and all the others.

    Args:
        images: an image set.
        per_class: labelled images a class.
        seed: which ones; the same as `images.few(per_class, seed)`.

    Returns:
        Two sets that together are the whole.
    """
    labelled = images.few(per_class, seed)
    taken = {image.numpy().tobytes() for image in labelled.images}
    rest = [image.numpy().tobytes() not in taken for image in images.images]
    return labelled, images.subset(torch.tensor(rest))


def race_table(races: Sequence[Race]) -> list[list[str]]:
    """Return a row of text for every race, to be shown under `HEADER`."""
    return [
        [
            str(r.per_class),
            f"{1000 * r.probe_seconds:.0f} ms, {r.goal:.1f} %",
            f"{r.training_seconds:.2f} s, {r.reached:.1f} %",
            str(r.updates),
            f"{r.ratio:.0f} x",
        ]
        for r in races
    ]


def _fresh(seed: int) -> nn.Module:
    model = STRATEGIES["frozen, trained"].start(seed)
    freeze(model)
    return model


def _train(labelled: ImageSet, watched: ImageSet, goal: float, seed: int) -> tuple[float, float, int]:
    """Train until `watched` is read as well as the goal says; return accuracy, seconds and updates."""
    model, taken, updates, best = _fresh(seed), 0.0, 0, 0.0
    optimizer = torch.optim.AdamW(trainable(model), lr=STRATEGIES["frozen, trained"].setting, fused=True)
    while best < goal and updates < MOST:
        batches = labelled.batches(BATCH, steps=CHECK_EVERY, seed=seed + updates)
        taken += fit(model, batches, epochs=1, optimizer=optimizer, progress=False).seconds
        updates += CHECK_EVERY
        best = max(best, accuracy(model, watched))
    return best, taken, updates
