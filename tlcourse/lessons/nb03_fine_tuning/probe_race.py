"""A linear probe on cached features against a frozen network in the ordinary loop: who first reaches an accuracy?"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb03_fine_tuning.experiment import head_accuracy
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training.loop import fit
from tlcourse.transfer.freezing import freeze, trainable
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import linear_probe

CHECK_EVERY, MOST, BATCH = 5, 300, 50  # updates between two looks, updates before giving up, images an update
HEADER = ("labels per class", "probe", "frozen network, trained", "its updates", "probe is faster by")


@dataclass(frozen=True)
class Race:
    """How long both took to the same accuracy.

    Attributes:
        per_class: labelled images per class.
        goal: accuracy of the probe on images that neither learned from, mean over the seeds, in percent.
        probe_seconds: features once and L-BFGS to convergence, median over the seeds.
        reached: accuracy of the trained networks when they were stopped, mean over the seeds, in percent; below the
            goal if they never got there.
        training_seconds: their training, without the time for measuring, mean over the seeds.
        updates: their updates.
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


def race(per_class: int, seeds: Sequence[int] = range(5)) -> Race:
    """Let both learn the same labelled images, and stop the training as soon as it is as accurate as the probe.

    Neither augments. The training has the rate that was best for it in `results/strategy_settings.csv`, and is stopped
    with hindsight, which favours it. Accuracy is that on all other images of the training half, averaged over the
    seeds: a single training crosses any line sooner or later by luck. Measuring takes no part in the time.

    Args:
        per_class: labelled images per class, at most 80.
        seeds: seeds of the images, the fresh heads and the batches.

    Returns:
        The race.
    """
    half = load("handwritten-photo")
    runners = [_Runner(*split_labelled(half, per_class, seed), seed) for seed in seeds]
    goal, reached, updates = statistics.mean(r.goal for r in runners), 0.0, 0
    while reached < goal and updates < MOST:
        reached = statistics.mean(r.advance(updates) for r in runners)
        updates += CHECK_EVERY
    seconds = statistics.mean(r.seconds for r in runners)
    return Race(per_class, goal, statistics.median(r.probe_seconds for r in runners), reached, seconds, updates)


class _Runner:
    """A probe that has finished, and a frozen network on its way."""

    def __init__(self, labelled: ImageSet, watched: ImageSet, seed: int) -> None:
        strategies = STRATEGIES["linear probe"], STRATEGIES["frozen, trained"]
        self.labelled, self.labels, self.seed, self.seconds = labelled, watched.labels, seed, 0.0
        self.model = strategies[1].start(seed)
        freeze(self.model)
        self.features = extract_features(self.model, watched)  # the backbone is frozen, so these stay
        linear_probe(self.model, labelled, strategies[0].setting)  # warms up
        start = time.perf_counter()
        linear_probe(self.model, labelled, strategies[0].setting)
        self.probe_seconds = time.perf_counter() - start
        self.goal = self.accuracy()
        get_classifier(self.model).load_state_dict(
            get_classifier(strategies[1].start(seed)).state_dict()
        )  # fresh again
        self.optimizer = torch.optim.AdamW(trainable(self.model), lr=strategies[1].setting, fused=True)

    def advance(self, updates: int) -> float:
        """Train on, and return the accuracy on the watched images."""
        batches = self.labelled.batches(BATCH, steps=CHECK_EVERY, seed=1000 * self.seed + updates)  # a new order
        self.seconds += fit(self.model, batches, epochs=1, optimizer=self.optimizer, progress=False).seconds
        return self.accuracy()

    def accuracy(self) -> float:
        """Return the accuracy of the present head on the watched images, in percent."""
        return head_accuracy(get_classifier(self.model), self.features, self.labels)


def split_labelled(images: ImageSet, per_class: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return a few labelled images, and all the others.

    Args:
        images: an image set.
        per_class: labelled images per class.
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
