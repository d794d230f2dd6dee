"""What is worth carrying over, how the new head should begin, and what batch normalisation should do when frozen."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import Interval, bootstrap_mean, paired_difference
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.repro import generator, seeded
from tlcourse.training import recipe as recipes
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe
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
SCALE = 0.1  # of scores from class means before fine-tuning; chosen on the training half
STRATEGY_HEADER = ("strategy", "before training, in %", "accuracy in % [95 % interval]", "weights trained")
STRATEGY_CURVE = shipped_table("transfer_strategies")


@dataclass(frozen=True)
class StrategyTrial:
    """One strategy with one seed.

    Attributes:
        question: which comparison it belongs to, one of `QUESTIONS`.
        strategy: one of that question's strategies.
        seed: seed of the choice of images, of fresh weights, and of batches.
        before: accuracy on the test half before any training, in percent.
        accuracy: the same after training, in percent.
        seconds: time to train.
        trained: how many weights could move.
    """

    question: str
    strategy: str
    seed: int
    before: float
    accuracy: float
    seconds: float
    trained: int


def carry_over(strategy: str, seed: int) -> nn.Module:
    """Make a network for ten digits with part of a pretrained one in it; the rest is drawn at random.

    Args:
        strategy: one of `CARRIED`.
        seed: seed of the fresh weights.

    Returns:
        The network, ready to train.

    Raises:
        ValueError: there is no such strategy.
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
    """Make a pretrained network (letters) with a new head that begins in one of three ways.

    Args:
        how: one of `HEADS`.
        labelled: target images; their class means make one of the heads.
        seed: seed of the fresh weights.
        scale: factor on the scores from class means.

    Returns:
        The network, ready to train.

    Raises:
        ValueError: there is no such head.
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


def run_strategy(
    question: str,
    strategy: str,
    seed: int,
    *,
    train: ImageSet,
    test: ImageSet,
    per_class: int = 5,
    recipe: Recipe = Recipe(),
) -> tuple[StrategyTrial, nn.Module]:
    """Choose a few labels, start by a strategy, train by the recipe that all share, and measure.

    Args:
        question: one of `QUESTIONS`.
        strategy: one of that question's strategies.
        seed: seed of everything random; the same for all strategies, which makes them comparable in pairs.
        train: where the labelled images are chosen from.
        test: images to measure on.
        per_class: labelled images per class.
        recipe: how to train.

    Returns:
        The trial, and the trained network.

    Raises:
        ValueError: there is no such question or strategy.
    """
    _check_strategy(question, strategy)
    labelled = train.few(per_class, seed)
    if question == "carried":
        model = carry_over(strategy, seed)
    else:
        model = with_head(strategy, labelled, seed) if question == "head" else frozen_probe(strategy, seed)
    before, begin = accuracy(model, test), time.perf_counter()
    recipes.train(model, labelled, recipe, seed=seed)
    seconds, trained = time.perf_counter() - begin, count_parameters(trainable(model))
    return StrategyTrial(question, strategy, seed, before, accuracy(model, test), seconds, trained), model


def run_strategies(
    seeds: Iterable[int],
    questions: Sequence[str] = tuple(QUESTIONS),
    strategies: Sequence[str] | None = None,
    recipe: Recipe = Recipe(),
    progress: bool = True,
) -> list[StrategyTrial]:
    """Run every strategy with every seed on `handwritten-photo`, 5 labels per class, several at the same time.

    Args:
        seeds: seeds.
        questions: some of `QUESTIONS`.
        strategies: keep only these; None means all of the questions.
        recipe: how to train.
        progress: show a progress bar.

    Returns:
        The trials, ordered by question, then seed, then strategy.
    """
    options = {"train": load("handwritten-photo"), "test": load("handwritten-photo", split="test"), "recipe": recipe}
    plan = [
        (q, s, seed) for q in questions for seed in seeds for s in QUESTIONS[q] if not strategies or s in strategies
    ]
    return side_by_side(lambda *which: run_strategy(*which, **options)[0], plan, progress)


def strategy_scores(
    trials: Iterable[StrategyTrial], question: str, strategy: str, when: str = "accuracy"
) -> list[float]:
    """Return one strategy's accuracies in percent, ordered by seed: after training, or `when="before"` it."""
    chosen = [trial for trial in trials if (trial.question, trial.strategy) == (question, strategy)]
    return [getattr(trial, when) for trial in sorted(chosen, key=lambda trial: trial.seed)]


def strategy_summary(trials: Sequence[StrategyTrial], question: str, when: str = "accuracy") -> dict[str, Interval]:
    """Return mean and 95 % interval for every strategy of a question, in percent."""
    names = [s for s in QUESTIONS[question] if strategy_scores(trials, question, s)]
    return {name: bootstrap_mean(strategy_scores(trials, question, name, when)) for name in names}


def strategy_gain(trials: Sequence[StrategyTrial], question: str, ours: str, baseline: str) -> Interval:
    """Return by how many points one strategy is above another, paired by seed."""
    return paired_difference(*(strategy_scores(trials, question, strategy) for strategy in (ours, baseline)))


def strategy_table(trials: Sequence[StrategyTrial], question: str) -> list[list[str]]:
    """Return a row of text for every strategy of a question, to be shown under `STRATEGY_HEADER`."""
    before, after = (strategy_summary(trials, question, when) for when in ("before", "accuracy"))
    trained = {trial.strategy: trial.trained for trial in trials if trial.question == question}
    return [[s, f"{before[s].mean:.1f}", str(after[s]), f"{trained[s]:,}"] for s in after]


def read_strategies() -> list[StrategyTrial]:
    """Read the trials that came with the course."""
    return read_rows(STRATEGY_CURVE, StrategyTrial)


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
