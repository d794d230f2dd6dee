"""What notebook 05 measures: what each candidate becomes when it is fine-tuned, and what scores said of it before."""

import functools
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, candidate
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import CONVERGED, Recipe, train
from tlcourse.transfer.domain_distance import frechet_distance, proxy_a_distance, squared_mmd
from tlcourse.transfer.heads import get_classifier, reset_classifier
from tlcourse.transfer.linear_probe import solve_probe
from tlcourse.transfer.transferability import (
    h_score,
    knn_accuracy,
    leep,
    logme,
    probe_accuracy,
    regularised_h_score,
)

WORLD = "handwritten-photo"
LABELS, SHIFTS = (5, 20), (0.0, 0.5, 1.0)
RECIPE = Recipe(epochs=20)  # 200 updates
SOME = 500  # images of each domain whose distance is measured
SCORES = {  # by name, from features and labels; LEEP asks the old head
    "k-NN": knn_accuracy,
    "linear probe": probe_accuracy,
    "LogME": logme,
    "H-score": h_score,
    "regularised H-score": regularised_h_score,
}
NAMES = ("k-NN", "linear probe", "LEEP", "LogME", "H-score", "regularised H-score")
DISTANCES = {"Fréchet": frechet_distance, "MMD": squared_mmd, "proxy A": proxy_a_distance}


def trial(name: str, per_class: int, seed: int, shift: float = 0.0, *, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """Fine-tune a candidate on a few labels of the target, and measure it on the test pool in percent.

    The seed is that of labels, head and batches, the same for all candidates. `seconds` are those of the training.
    """
    labelled = load(WORLD, shift=shift).few(per_class, seed)
    model = candidate(name)
    with seeded("weights", seed):
        reset_classifier(model, len(labelled.classes))
    began = time.perf_counter()
    train(model, labelled, recipe, seed=seed)
    seconds = time.perf_counter() - began
    percent = accuracy(model, load(WORLD, split="test", shift=shift))
    return {**recipe.budget, "accuracy": percent, "seconds": seconds}


def zoo_truth(seeds: Sequence[int]) -> pd.DataFrame:
    """Fine-tune every candidate with 5 and 20 labels per class."""
    return _named(grid(trial, name=CANDIDATES, shift=[0.0], per_class=LABELS, seed=seeds))


def zoo_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Fine-tune every candidate with 5 labels per class for three times as long."""
    return _named(grid(functools.partial(trial, recipe=CONVERGED), name=CANDIDATES, per_class=LABELS[:1], seed=seeds))


def zoo_shifted(seeds: Sequence[int]) -> pd.DataFrame:
    """Fine-tune every candidate with 5 labels per class on the target moved half and all the way."""
    return _named(grid(trial, name=CANDIDATES, shift=SHIFTS[1:], per_class=LABELS[:1], seed=seeds))


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.rename(columns={"name": "candidate"})


@functools.lru_cache(maxsize=4 * len(CANDIDATES))
def pool_features(name: str, split: str, shift: float) -> torch.Tensor:
    """Return what a candidate makes of a whole pool of the target, float32 `[N, D]`."""
    return extract_features(candidate(name), load(WORLD, split=split, shift=shift))


@torch.no_grad()
def score(name: str, features: torch.Tensor, head: nn.Linear, labels: torch.Tensor) -> float:
    """Return one score of a candidate, from its features `[N, D]` of labelled images and the head of its source."""
    return leep(head(features).softmax(1), labels) if name == "LEEP" else SCORES[name](features, labels)


def score_trial(name: str, shift: float, per_class: int, seed: int) -> dict[str, float]:
    """Score a candidate by the labelled images of a seed.

    `probe on test` is the accuracy on the test pool, in percent, of the probe that these images give.
    """
    pool = load(WORLD, shift=shift)
    chosen = few_of(pool, per_class, seed)
    features, labels = pool_features(name, "train", shift)[chosen], pool.labels[chosen]
    probe = solve_probe(features, labels, len(pool.classes))
    answers = (pool_features(name, "test", shift).double() @ probe.weight.T + probe.bias).argmax(1)
    right = answers == load(WORLD, split="test", shift=shift).labels
    head = get_classifier(candidate(name))
    scores = {each: score(each, features, head, labels) for each in NAMES}
    return scores | {"probe on test": 100 * right.double().mean().item()}


def few_of(pool: ImageSet, per_class: int, seed: int) -> torch.Tensor:
    """Return the places in a pool, int64, of the images that `pool.few(per_class, seed)` holds."""
    numbered = ImageSet(pool.images, pool.labels, pool.classes, {"place": torch.arange(len(pool))})
    return numbered.few(per_class, seed).attributes["place"]


def zoo_scores(seeds: Sequence[int]) -> pd.DataFrame:
    """Score every candidate at every shift, with both numbers of labels and every seed."""
    return _named(grid(score_trial, name=CANDIDATES, shift=SHIFTS, per_class=LABELS, seed=seeds))


def distance_trial(name: str, shift: float, seed: int, eye: str = "letters") -> dict[str, float] | list:
    """Measure how far the target at a shift is from a candidate's source, in features of the same network for all.

    That network is the course's letters network, or its `eye`, which has learned `"digits"`. Nothing is measured for
    random weights, which have no source.
    """
    source = CANDIDATES[name]
    if source is None:
        return []
    network, draws = pretrained("tiny_resnet", eye), generator("distances", seed)
    clouds = []
    for data in (source.load(count=2 * SOME), load(WORLD, shift=shift)):
        some = torch.randperm(len(data), generator=draws)[:SOME]
        clouds.append(extract_features(network, data.subset(some)))
    return {distance: function(*clouds) for distance, function in DISTANCES.items()}


def zoo_distances(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure the distance of every source and the target at every shift; the seed chooses the images."""
    return _named(grid(distance_trial, name=CANDIDATES, shift=SHIFTS, seed=seeds))
