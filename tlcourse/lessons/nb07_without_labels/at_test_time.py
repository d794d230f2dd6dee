"""At test time, and with the source gone: what TENT makes of a stream of images, and SHOT of a pool of them."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.entropy import answered_classes, entropy
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe
from tlcourse.unlabelled.shot import shot
from tlcourse.unlabelled.tent import by_batch_statistics, tent

SHIFTS = (0.0, 0.5)
FROZEN_AT = 0.25  # the position of the dial where settings were chosen, on the training pool

STILL, STATISTICS, TENT = "no adaptation", "batch statistics", "TENT"
MIXED, BY_CLASS = "mixed", "one class at a time"
ORDERS, BATCHES, PASSES = (MIXED, BY_CLASS), (4, 16, 64, 200), (1, 3, 10)
CHOSEN_FOR = 64  # the batch, of a mixed stream that is seen once, for which the rate was chosen
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # tried
RATE = 1e-2

SHOT_RECIPE = Recipe(epochs=40, batch=100, lr=2e-3)  # 400 updates, as for the methods of notebook 06
SHOT_LONGER = replace(SHOT_RECIPE, epochs=120)
SHOT_WEIGHTS = (0.0, 0.1, 0.3, 1.0)  # of the centroids' answers; tried
SHOT_WEIGHT = 0.1


def digits_network() -> nn.Module:
    """Return the network that comes with the course, trained on printed digits over a photograph."""
    return pretrained("tiny_resnet", "digits")


def target(shift: float, split: str = "test") -> ImageSet:
    """Return handwritten digits over another photograph; their labels serve to measure by alone."""
    return load("handwritten-photo", split=split, shift=shift)


def stream(data: ImageSet, order: str, seed: int) -> ImageSet:
    """Put images into the order in which they come: mixed, or one class after the other, both drawn by the seed."""
    draws = generator("stream", seed)
    places = torch.randperm(len(data), generator=draws)
    if order == BY_CLASS:
        turn = torch.randperm(len(data.classes), generator=draws)  # when each class has its turn
        places = places[turn[data.labels[places]].argsort(stable=True)]
    return data.subset(places)


def batches_of(rows: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    """Cut a stream, or the answers to it, into batches of about this size, none of which is left with a few images."""
    return rows.tensor_split(max(1, round(len(rows) / size)))


def tent_trial(
    method: str,
    shift: float,
    order: str,
    batch: int,
    seed: int,
    *,
    passes: Sequence[int] = PASSES,
    lr: float = RATE,
    split: str = "test",
) -> list[dict[str, Any]]:
    """Let a method answer a stream again and again, and measure the answers that it gave in each of some passes.

    What learns nothing goes through it once. Of a row, `accuracy`, in percent, is of the answers that were given in the
    pass of that number. No label is needed for the effective number of classes among them, `answered`, the mean of that
    number over batches, `in_batch`, and their mean `entropy`, in nats.
    """
    came, model = stream(target(shift, split), order, seed), digits_network()
    batches = batches_of(came.images, batch)
    if method == STILL:
        return [{"passes": 1, **of_a_stream(batches_of(predict(model, came), batch), came.labels)}]
    if method == STATISTICS:
        return [{"passes": 1, **of_a_stream(list(by_batch_statistics(model, batches)), came.labels)}]
    answers = tent(model, batches * max(passes), lr)
    rows = []
    for number in range(1, max(passes) + 1):
        given = [next(answers) for _ in batches]
        if number in passes:
            rows.append({"passes": number, **of_a_stream(given, came.labels)})
    return rows


def of_a_stream(answers: Sequence[torch.Tensor], labels: torch.Tensor) -> dict[str, float]:
    """Measure the logits of batches, float `[B, classes]` each."""
    in_batch = sum(map(answered_classes, answers)) / len(answers)
    return {**measured(torch.cat(list(answers)), labels), "in_batch": in_batch}


def measured(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Return how many answers are right, in percent, and what can be seen of them without labels."""
    right = 100 * (logits.argmax(1) == labels).double().mean().item()
    return {"accuracy": right, "answered": answered_classes(logits), "entropy": entropy(logits).mean().item()}


def tent_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Answer streams of the test pool in either order, in small and in large batches."""
    return grid(tent_trial, method=(STILL, STATISTICS, TENT), shift=SHIFTS, order=ORDERS, batch=BATCHES, seed=seeds)


def tent_rates(seeds: Sequence[int]) -> pd.DataFrame:
    """Answer a mixed stream of the training pool once, with every rate that was tried, where the rate is chosen.

    It is chosen for the larger batch; the smaller shows whether it would do for another.
    """
    trial, batches = functools.partial(tent_trial, passes=(1,), split="train"), (BATCHES[0], CHOSEN_FOR)
    return grid(trial, method=[TENT], shift=[FROZEN_AT], order=[MIXED], batch=batches, lr=RATES, seed=seeds)


def shot_trial(shift: float, seed: int, *, weight: float = SHOT_WEIGHT, recipe: Recipe = SHOT_RECIPE) -> dict[str, Any]:
    """Adapt the digits network to the training pool by SHOT, without the source, and measure it on the test pool.

    `pool` is the accuracy on the images that were adapted to, in percent; `answered` and `entropy` are of the test
    pool, and need no label. The seed is that of batches and augmentation.
    """
    pool, test, model = target(shift, "train"), target(shift), digits_network()
    shot(model, pool.images, recipe, weight=weight, seed=seed)
    return {**recipe.budget, **measured(predict(model, test), test.labels), "pool": accuracy(model, pool)}


def shot_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt by SHOT where the source's world begins and half way along the dial; compare notebook 06's `adapted`."""
    return grid(shot_trial, shift=SHIFTS, seed=seeds)


def shot_weights(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt by SHOT with every weight that was tried, at the position of the dial where it is chosen, by `pool`."""
    return grid(shot_trial, shift=[FROZEN_AT], weight=SHOT_WEIGHTS, seed=seeds)


def shot_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Adapt by SHOT for three times as long."""
    return grid(functools.partial(shot_trial, recipe=SHOT_LONGER), shift=SHIFTS, seed=seeds)
