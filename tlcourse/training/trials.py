"""The old name of `train`, which notebook 01 still calls."""

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.training.checkpoint import History
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model

__all__ = ["starting_model", "train_on_target"]


def train_on_target(model: nn.Module, labelled: ImageSet, seed: int, recipe: Recipe = Recipe()) -> History:
    """Train a network in place on a few labelled images; the old name of `train`."""
    return train(model, labelled, recipe, seed=seed)
