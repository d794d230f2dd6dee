"""What notebook 06 measures: how far methods that see no label of the target carry a network across the gap."""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import Term, adaptation_updates
from tlcourse.adaptation.cdan import CDAN
from tlcourse.adaptation.consistency import Consistency
from tlcourse.adaptation.coral import CORAL
from tlcourse.adaptation.dann import DANN
from tlcourse.adaptation.mcc import MCC
from tlcourse.adaptation.mmd import MMD
from tlcourse.adaptation.self_training import self_train
from tlcourse.adaptation.validators import collect
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb06_crossing_domains.cases import CASES, Case
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import Recipe, train
from tlcourse.transfer.heads import get_classifier, reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

RECIPE = Recipe(epochs=40, batch=100, lr=2e-3)  # 400 updates
SHORT = replace(RECIPE, epochs=6)  # for a notebook: 60 updates
LONGER = replace(RECIPE, epochs=120)
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
NEAR = (0.0, 0.5)  # of them, those with twice the seeds
FROZEN_AT = 0.25  # the position of the dial where weights were chosen
LOOKS = 10  # times that a training is measured on the way
SOME = 2000  # images of the source that validators see


class Method(NamedTuple):
    """What a method adds to the loss, by its weight; the weight that was chosen at `FROZEN_AT`, and those tried."""

    terms: Callable[[float], list[Term]]
    weight: float
    tried: tuple[float, ...]


def _consistency(weight: float) -> Consistency:
    return Consistency(weight, decay=0.97)  # a teacher that follows within some thirty updates, as there are only 400


SELF_TRAINING = "self-training"
METHODS = {
    "CORAL": Method(lambda w: [CORAL(w)], 100_000.0, (100.0, 1000.0, 10_000.0, 100_000.0)),
    "MMD": Method(lambda w: [MMD(w)], 30.0, (1.0, 10.0, 30.0, 100.0)),
    "DANN": Method(lambda w: [DANN(w)], 0.1, (0.1, 0.3, 1.0, 3.0)),
    "CDAN": Method(lambda w: [CDAN(w)], 3.0, (0.3, 1.0, 3.0, 10.0)),
    "MCC": Method(lambda w: [MCC(w)], 10.0, (3.0, 10.0, 30.0, 100.0)),
    SELF_TRAINING: Method(lambda w: [], 3.0, (0.3, 1.0, 3.0, 10.0)),
    "consistency": Method(lambda w: [_consistency(w)], 0.3, (0.3, 1.0, 3.0, 10.0)),
    "MCC + consistency": Method(lambda w: [MCC(w), _consistency(1.0)], 100.0, (3.0, 10.0, 30.0, 100.0)),
}
START, ADABN, ON, LABELLED = "source only", "AdaBN", "trained on", "target labels"
TRAINED_LONGER = (ON, "CORAL", "DANN", "MCC", "consistency", "MCC + consistency")
ALL = (START, ADABN, ON, *METHODS, LABELLED)


def trial(
    method: str, shift: float, seed: int, *, case: str = "photo", weight: float | None = None, recipe: Recipe = RECIPE
) -> dict[str, Any]:
    """Adapt the course's digits network to a target, and measure it on the test pool in percent.

    `seed` is that of batches, augmentation and fresh layers. `pool` is the accuracy on the images that were adapted to,
    whose labels nobody was given. `best` is the highest accuracy of ten looks at the *test* pool on the way, which
    nobody may have. `source` is the accuracy on held-out source images, the first of the validators, which see no label
    of the target either.
    """
    given = CASES[case](shift)
    model = starting_network(given)
    looks = carry_over(method, model, given, seed, weight, recipe)
    seen = [accuracy(looked, given.test) for looked in looks]
    reached = {name: accuracy(model, data) for name, data in (("accuracy", given.test), ("pool", given.target))}
    found = collect(model, given.held_out, spread(given.source, SOME), given.target.images)
    return {**recipe.budget, **reached, "best": max([reached["accuracy"], *seen]), **found}


def short_trial(method: str, shift: float, seed: int) -> dict[str, Any]:
    """Do a trial of 60 updates, and say which it was."""
    return {"method": method, "shift": shift, "seed": seed, **trial(method, shift, seed, recipe=SHORT)}


def starting_network(given: Case) -> nn.Module:
    """Return the digits network that comes with the course; for other classes, with a probe of the source as head."""
    model, classes = pretrained("tiny_resnet", "digits"), len(given.source.classes)
    if classes != get_classifier(model).out_features:
        reset_classifier(model, classes)
        linear_probe(model, spread(given.source, 2 * SOME))
    return model


def spread(data: ImageSet, count: int) -> ImageSet:
    """Keep so many images, from every part of a set."""
    return data.subset(torch.linspace(0, len(data) - 1, count).long())


def carry_over(
    method: str, model: nn.Module, given: Case, seed: int, weight: float | None = None, recipe: Recipe = RECIPE
) -> Iterator[nn.Module]:
    """Adapt a network in place by a method's name; copies of it on the way, ready to be asked, are yielded."""
    images = given.target.images
    if method == ADABN:
        adapt_batchnorm(model, images)
    elif method == LABELLED:
        train(model, given.target, recipe, seed=seed, mixed_precision=False)
    elif method == SELF_TRAINING:
        weight = METHODS[method].weight if weight is None else weight
        self_train(model, given.source, images, recipe, weight=weight, seed=seed)
    elif method != START:
        steps = adaptation_updates(model, given.source, images, terms_of(method, weight), recipe, seed=seed)
        for done, _ in enumerate(steps, start=1):
            if done % (recipe.updates // LOOKS) == 0:
                yield adapt_batchnorm(copy.deepcopy(model), images)


def terms_of(method: str, weight: float | None = None) -> list[Term]:
    """Return what a method adds to the loss, with its chosen weight unless another is given; the source alone, none."""
    if method == ON:
        return []
    return METHODS[method].terms(METHODS[method].weight if weight is None else weight)


def adapted(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt by every method, where the source's world begins and half way along the dial."""
    return grid(trial, method=ALL, shift=NEAR, seed=seeds)


def adapted_far(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt by every method at the other positions of the dial."""
    return grid(trial, method=ALL, shift=[shift for shift in SHIFTS if shift not in NEAR], seed=seeds)


def adapted_weights(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt with every weight that was tried, at the position of the dial where weights are chosen."""
    frames = []
    for name, method in METHODS.items():
        frames.append(grid(trial, method=[name], shift=[FROZEN_AT], weight=method.tried, seed=seeds))
    return pd.concat(frames, ignore_index=True)


def adapted_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt for three times as long."""
    return grid(functools.partial(trial, recipe=LONGER), method=TRAINED_LONGER, shift=[0.0], seed=seeds)


def adapted_cases(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt across other pairs of domains."""
    return grid(trial, case=[name for name in CASES if name != "photo"], method=ALL, shift=[0.0], seed=seeds)
