"""With a few labels of the target: fine-tuning in several ways, and what adapting first adds."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.both_labelled import train_on_both
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb06_crossing_domains.cases import Case, photo
from tlcourse.lessons.nb06_crossing_domains.experiment import RECIPE, carry_over, starting_network
from tlcourse.notebook.results import grid
from tlcourse.storage import Tensors
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.recipe import train
from tlcourse.transfer.freezing import L2SP
from tlcourse.transfer.linear_probe import linear_probe

SHIFT, LABELS = 0.5, (1, 5)
PULL = 0.1  # of L2-SP, as in notebook 03


def fine_tuned(model: nn.Module, given: Case, few: ImageSet, seed: int) -> None:
    """Train all of the network on the few labels; the head stays, as the classes are the same."""
    train(model, few, RECIPE, seed=seed, mixed_precision=False)


def probe_first(model: nn.Module, given: Case, few: ImageSet, seed: int) -> None:
    """Solve the head for the few labels, then train all (LP-FT)."""
    linear_probe(model, few)
    fine_tuned(model, given, few, seed)


def pulled_back(model: nn.Module, given: Case, few: ImageSet, seed: int) -> None:
    """Train all, pulled towards where the weights began (L2-SP); the head begins as it was, and is pulled to 0."""
    pull, recipe = L2SP(model, alpha=PULL), replace(RECIPE, weight_decay=0.0)

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, labels) + pull()

    train(model, few, recipe, seed=seed, loss=loss, mixed_precision=False)


def mixed(model: nn.Module, given: Case, few: ImageSet, seed: int) -> None:
    """Train on source and few labels together."""
    train_on_both(model, given.source, few, RECIPE, seed=seed)
    adapt_batchnorm(model, given.target.images)


def adapted_first(model: nn.Module, given: Case, few: ImageSet, seed: int) -> None:
    """Adapt without labels, by MCC, then train all on the few."""
    model.load_state_dict(without_labels(seed))
    fine_tuned(model, given, few, seed)


def adapted_and_mixed(model: nn.Module, given: Case, few: ImageSet, seed: int) -> None:
    """Adapt without labels, by MCC, then train on source and few labels together."""
    model.load_state_dict(without_labels(seed))
    mixed(model, given, few, seed)


@functools.lru_cache(maxsize=4)
def without_labels(seed: int) -> Tensors:
    """Return the weights of the digits network after adapting it by MCC."""
    given = photo(SHIFT)
    model = starting_network(given)
    for _ in carry_over("MCC", model, given, seed):
        pass
    return copy_weights(model)


WAYS: dict[str, Callable[[nn.Module, Case, ImageSet, int], None]] = {
    "fine-tuned": fine_tuned,
    "LP-FT": probe_first,
    "L2-SP": pulled_back,
    "mixed": mixed,
    "MCC, fine-tuned": adapted_first,
    "MCC, mixed": adapted_and_mixed,
}


def trial(seed: int, way: str, per_class: int) -> dict[str, Any]:
    """Begin with the course's digits network, use the few labels that a seed draws, and measure on the test pool."""
    given = photo(SHIFT)
    model, few = starting_network(given), given.target.few(per_class, seed)
    WAYS[way](model, given, few, seed)
    return {**RECIPE.budget, "accuracy": accuracy(model, given.test)}


def few_target_labels(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare the ways with 1 and 5 labels of each class, half way along the dial."""
    return grid(trial, seed=seeds, way=WAYS, per_class=LABELS)
