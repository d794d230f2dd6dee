"""What pretraining without any label is worth to a few labels: the second part of notebook 07."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.augmentations import Augment, Chain, Rotate
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb07_without_labels.semi_supervised import FEW, WORLD, starting_network
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import grid
from tlcourse.storage import Tensors
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.recipe import CONVERGED, Recipe, train
from tlcourse.transfer.linear_probe import linear_probe
from tlcourse.unlabelled.collapse import effective_rank, embedding_spread
from tlcourse.unlabelled.masked_autoencoder import MASKING, masking_updates
from tlcourse.unlabelled.rotation import ROTATION, rotation_updates
from tlcourse.unlabelled.simclr import SIMCLR, VIEW, projection_head, simclr_updates

SOURCE_IMAGES = 4000  # printed letters, whose labels nobody reads, beside the target's 906 images
ROTATED, CONTRASTED, HIDDEN = "rotation", "SimCLR", "masked autoencoder"
Steps = Iterator[torch.Tensor]
PRETEXTS: dict[str, tuple[Callable[..., Steps], Recipe]] = {
    ROTATED: (rotation_updates, ROTATION),
    CONTRASTED: (simclr_updates, SIMCLR),
    HIDDEN: (masking_updates, MASKING),
}
SHORT = replace(SIMCLR, epochs=6, batch=64)  # for a notebook: 60 updates
EVERY = 5  # updates between two looks
BACKDROP, COLOUR = VIEW.parts
# what the two views of SimCLR may differ in: the course's own, each part alone, and two parts too many
VIEWS: dict[str, Chain] = {
    "backdrop and colour": VIEW,
    "colour alone": Chain(COLOUR),
    "backdrop alone": Chain(BACKDROP),
    "geometry, too": Chain(
        BACKDROP, Augment(degrees=15, shift=0.1, zoom=0.25, shear=0.25, bend=0.05, light=COLOUR.strength)
    ),
    "turns all round, too": Chain(VIEW, Rotate(180)),
}


@functools.cache
def images_without_labels() -> torch.Tensor:
    """Return what self-supervised pretraining sees, uint8 `[4906, 3, 32, 32]`: the target's images and the source's."""
    return torch.cat([load(WORLD).images, load("printed-photo", "letters", count=SOURCE_IMAGES).images])


@functools.lru_cache(maxsize=2)
def pretrained_without_labels(task: str, seed: int, views: Chain | None = None, updates: int | None = None) -> Tensors:
    """Return the weights of a network that solved a task without labels; `views` replaces the augmentation."""
    steps, recipe = PRETEXTS[task]
    if views is not None:
        recipe = replace(recipe, augment=views)
    if updates is not None:
        recipe = replace(recipe, epochs=updates // recipe.steps)
    model = starting_network("scratch", seed)
    for _ in steps(model, images_without_labels(), recipe, seed=seed):
        pass
    return copy_weights(model)


def probed(model: nn.Module, few: ImageSet, test: ImageSet) -> float:
    """Return the accuracy of the best head for a few labels, in percent, and leave that head in the network."""
    linear_probe(model, few)
    return accuracy(model, test)


def trial(task: str, seed: int) -> list[dict[str, Any]]:
    """Pretrain without a label, then learn from a few: the head alone (`probe`), then all of it (`tuned`).

    One row for each number of labels a class; `spread` and `rank` are those of the test images' features.
    """
    pool, test = train_test(WORLD)
    rows = []
    for per_class in FEW:
        few = pool.few(per_class, seed)
        model = starting_network("scratch", seed)
        model.load_state_dict(pretrained_without_labels(task, seed))
        features = extract_features(model, test)
        signs = {"spread": embedding_spread(features), "rank": effective_rank(features)}
        probe = probed(model, few, test)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        train(model, few, CONVERGED, seed=seed, mixed_precision=False)
        measured = {"probe": probe, "tuned": accuracy(model, test)}
        rows.append({"per_class": per_class, **PRETEXTS[task][1].budget, **measured, **signs})
    return rows


def self_supervised(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare the tasks."""
    return grid(trial, task=PRETEXTS, seed=seeds)


def views_trial(views: str, seed: int) -> dict[str, Any]:
    """Pretrain by SimCLR for a third of the updates, with one part of the augmentation left out, and probe."""
    updates = SIMCLR.updates // 3
    pool, test = train_test(WORLD)
    model = TinyResNet(10)
    model.load_state_dict(pretrained_without_labels(CONTRASTED, seed, VIEWS[views], updates))
    return {**SIMCLR.budget, "updates": updates, "probe": probed(model, pool.few(5, seed), test)}


def simclr_views(seeds: Sequence[int]) -> pd.DataFrame:
    """Leave out one part of the augmentation after the other."""
    return grid(views_trial, views=VIEWS, seed=seeds)


def spreads(negatives: bool, recipe: Recipe = SHORT, every: int = EVERY) -> list[float]:
    """Train by SimCLR, with or without its negatives, and return how far embeddings of 200 images spread meanwhile."""
    model, seen = starting_network("scratch", 0), scale(load(WORLD, count=200).images)
    top = projection_head(model)
    steps = simclr_updates(model, images_without_labels(), recipe, negatives=negatives, top=top)

    @torch.no_grad()
    def spread() -> float:  # by the statistics of these images themselves, as running averages lag behind
        return embedding_spread(top(model.train().forward_features(seen.to(next(top.parameters()).device))))

    found = [spread()]
    for done, _ in enumerate(steps, start=1):
        if done % every == 0:
            found.append(spread())
    return found
