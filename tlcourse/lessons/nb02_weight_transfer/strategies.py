"""What is worth carrying over, how the new head should begin, and what batch normalisation should do when frozen."""

import functools
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import as_texts, grid, intervals
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe, train
from tlcourse.transfer.freezing import BatchNormPolicy, count_parameters, freeze, trainable, training_mode
from tlcourse.transfer.heads import class_mean_head, kaiming_head, reset_classifier, zero_head
from tlcourse.transfer.weights import load_weights

# what is carried over: from which source, how many of the five stages, and whether the head comes along
CARRIED: dict[str, tuple[str, int, bool]] = {
    "random": ("letters", 0, False),
    "letters, first stage": ("letters", 1, False),
    "letters, first 2 stages": ("letters", 2, False),
    "letters, first 3 stages": ("letters", 3, False),
    "letters, first 4 stages": ("letters", 4, False),
    "letters, all but the head": ("letters", 5, False),
    "digits, all but the head": ("digits", 5, False),
    "digits, everything": ("digits", 5, True),
}
HEADS = ("zeros", "Kaiming", "class means")
FROZEN: dict[str, BatchNormPolicy] = {"frozen, statistics kept": "keep", "frozen, statistics adapted": "adapt"}
QUESTIONS: dict[str, tuple[str, ...]] = {"carried": (*CARRIED,), "head": HEADS, "batchnorm": (*FROZEN,)}
ALL_STRATEGIES = tuple(strategy for strategies in QUESTIONS.values() for strategy in strategies)
SCALE = 0.1  # of logits from class means before fine-tuning; chosen on the training half
WORLD = "handwritten-photo"

_halves = functools.cache(train_test)


def carry_over(strategy: str, seed: int) -> nn.Module:
    """Make a network for ten digits with part of a pretrained one in it, one of `CARRIED`; the rest is random.

    Raises ValueError when there is no such strategy.
    """
    _check_strategy("carried", strategy)
    source, depth, with_head = CARRIED[strategy]
    with seeded("weights", seed):
        model = TinyResNet(10)
    if depth:
        left = [*model.stages()][depth:] + ([] if with_head else [model.head_name])
        load_weights(model, pretrained("tiny_resnet", source).state_dict(), skip=[f"{name}." for name in left])
    return model


def with_head(how: str, labelled: ImageSet, seed: int, scale: float = SCALE) -> nn.Module:
    """Make a pretrained network (letters) with a new head that begins in one of three ways, `HEADS`.

    The class means are those of the labelled target images; `scale` is a factor on their logits. Raises ValueError when
    there is no such head.
    """
    _check_strategy("head", how)
    model = pretrained("tiny_resnet", "letters")
    with seeded("weights", seed):
        head = reset_classifier(model, len(labelled.classes))
    if how == "zeros":
        zero_head(head)
    elif how == "Kaiming":
        kaiming_head(head, generator("head", seed))
    else:
        class_mean_head(head, extract_features(model, labelled), labelled.labels, scale)
    return model


def frozen_probe(strategy: str, seed: int) -> nn.Module:
    """Make a pretrained network (letters) with a fresh head, its backbone frozen under one policy of `FROZEN`."""
    _check_strategy("batchnorm", strategy)
    model = carry_over("letters, all but the head", seed)
    freeze(model, batchnorm=FROZEN[strategy])
    return model


def trial(
    question: str, strategy: str, seed: int, *, world: str = WORLD, per_class: int = 5, recipe: Recipe = Recipe()
) -> dict[str, Any]:
    """Choose a few labels, start by a strategy, train by the recipe that all share, and measure on the test half.

    The seed is that of everything random, the same for all strategies, which makes them comparable in pairs. `before`
    and `accuracy` are in percent, before and after training; `trained` counts the weights that could move; `model` is
    the network. Raises ValueError when there is no such question, or no such strategy for it.
    """
    _check_strategy(question, strategy)
    training_half, test = _halves(world)
    labelled = training_half.few(per_class, seed)
    if question == "carried":
        model = carry_over(strategy, seed)
    else:
        model = with_head(strategy, labelled, seed) if question == "head" else frozen_probe(strategy, seed)
    before, begin = accuracy(model, test), time.perf_counter()
    train(model, labelled, recipe, seed=seed)
    seconds, trained = time.perf_counter() - begin, count_parameters(trainable(model))
    after = accuracy(model, test)
    return {"before": before, "accuracy": after, "seconds": seconds, "trained": trained, "model": model}


def transfer_strategies(
    seeds: Iterable[int],
    questions: Sequence[str] = tuple(QUESTIONS),
    strategies: Sequence[str] = ALL_STRATEGIES,
    *,
    recipe: Recipe = Recipe(),
    progress: bool = True,
) -> pd.DataFrame:
    """Run every strategy of the questions with every seed, 5 labels per class: a row each, ordered by question."""

    def measured(question: str, seed: int, strategy: str) -> dict[str, Any] | list:
        return trial(question, strategy, seed, recipe=recipe) if strategy in QUESTIONS[question] else []

    rows = grid(measured, progress=progress, question=questions, seed=seeds, strategy=strategies)
    return rows[["question", "strategy", "seed", "before", "accuracy", "seconds", "trained"]]


def strategy_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Say for every strategy where it began, what it reached, and how many weights could move."""
    groups = trials.groupby("strategy", sort=False)
    summary = intervals(trials, by="strategy")
    return pd.DataFrame(
        {
            "strategy": summary["strategy"],
            "before training, in %": [f"{mean:.1f}" for mean in groups["before"].mean()],
            "accuracy in % [95 % interval]": as_texts(summary),
            "weights trained": groups["trained"].first().tolist(),
        }
    )


def take_steps(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    steps: int = 3,
    *,
    plain_train: bool = False,
    zero_gradients: bool = False,
) -> None:
    """Take a few steps on one batch, carefully or with one of two well-known mistakes.

    `plain_train` calls `model.train()`, which wakes the statistics of frozen layers. `zero_gradients` sets gradients to
    zero instead of dropping them, so that the optimiser still visits frozen weights, and momentum and weight decay move
    them. The loop is written out here, as `updates` makes neither.
    """
    for _ in range(steps):
        model.train() if plain_train else training_mode(model)
        optimizer.zero_grad(set_to_none=not zero_gradients)
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def _check_strategy(question: str, strategy: str) -> None:
    if question not in QUESTIONS:
        raise ValueError(f"{question!r} is not a question. Expected one of: {', '.join(map(repr, QUESTIONS))}.")
    if strategy not in QUESTIONS[question]:
        known = ", ".join(map(repr, QUESTIONS[question]))
        raise ValueError(f"{strategy!r} is not a strategy for {question!r}. Expected one of: {known}.")
