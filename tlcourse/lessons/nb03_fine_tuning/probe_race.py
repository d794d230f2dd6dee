"""A linear probe on cached features against a frozen network in the ordinary loop: who first reaches an accuracy?"""

import copy
import itertools
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb03_fine_tuning.experiment import head_accuracy
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.repro import pick_device
from tlcourse.training.loop import updates
from tlcourse.transfer.freezing import freeze, trainable
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import linear_probe

CHECK_EVERY, MOST, BATCH = 5, 300, 50  # updates between two looks, updates before giving up, images an update


def race(per_class: int, seeds: Sequence[int] = range(5)) -> dict[str, float]:
    """Let both learn the same labelled images, at most 80 per class, until the training is as accurate as the probe.

    Neither augments. The training has the rate that was best for it in `results/strategy_settings.csv`, and is stopped
    with hindsight, which favours it. Accuracy is that on all other images of the training half, averaged over the
    seeds: a single training crosses any line sooner or later by chance. `goal` is that of the probes in percent, and
    `reached` that of the networks when they were stopped. Measuring takes no part in the time.
    """
    half = load("handwritten-photo")
    runs = [_looks(*split_labelled(half, per_class, seed), seed) for seed in seeds]
    goals, probe_seconds = zip(*(next(run) for run in runs), strict=True)
    goal, reached, made, seconds = statistics.mean(goals), 0.0, 0, [0.0]
    while reached < goal and made < MOST:
        accuracies, seconds = zip(*(next(run) for run in runs), strict=True)
        reached, made = statistics.mean(accuracies), made + CHECK_EVERY
    probe, training = statistics.median(probe_seconds), statistics.mean(seconds)
    times = {"probe_seconds": probe, "training_seconds": training, "ratio": training / probe}
    return {"goal": goal, "reached": reached, "updates": made, **times}


def _looks(labelled: ImageSet, watched: ImageSet, seed: int) -> Iterator[tuple[float, float]]:
    """Yield accuracy and seconds so far: first of the probe, then of a frozen network after every few updates."""
    penalty, lr = (STRATEGIES[name].setting for name in ("linear probe", "frozen, trained"))
    model = STRATEGIES["frozen, trained"].start(seed).to(pick_device(), memory_format=torch.channels_last)
    freeze(model)
    head, fresh = get_classifier(model), copy.deepcopy(get_classifier(model).state_dict())
    features = extract_features(model, watched)  # the backbone is frozen, so these stay
    linear_probe(model, labelled, penalty)  # warms up
    begin = time.perf_counter()
    linear_probe(model, labelled, penalty)
    seconds = time.perf_counter() - begin
    yield head_accuracy(head, features, watched.labels), seconds
    head.load_state_dict(fresh)
    optimizer, seconds = torch.optim.AdamW(trainable(model), lr=lr, fused=True), 0.0
    for made in itertools.count(0, CHECK_EVERY):
        batches = labelled.batches(BATCH, steps=CHECK_EVERY, seed=1000 * seed + made)  # a new order
        begin = time.perf_counter()
        for _ in updates(model, batches, optimizer):
            pass
        seconds += time.perf_counter() - begin
        yield head_accuracy(head, features, watched.labels), seconds


def split_labelled(images: ImageSet, per_class: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return `images.few(per_class, seed)`, and all the others."""
    labelled = images.few(per_class, seed)
    taken = {image.numpy().tobytes() for image in labelled.images}
    rest = [image.numpy().tobytes() not in taken for image in images.images]
    return labelled, images.subset(torch.tensor(rest))


def race_table(labels: Iterable[int], seeds: Sequence[int] = range(5)) -> pd.DataFrame:
    """Hold a race for every number of labels per class, and return a line of text for each."""
    lines = []
    for per_class in labels:
        found = race(per_class, seeds)
        line = {
            "labels per class": per_class,
            "probe": f"{1000 * found['probe_seconds']:.0f} ms, {found['goal']:.1f} %",
            "frozen network, trained": f"{found['training_seconds']:.2f} s, {found['reached']:.1f} %",
            "its updates": found["updates"],
            "probe is faster by": f"{found['ratio']:.0f} x",
        }
        lines.append(line)
    return pd.DataFrame(lines)
