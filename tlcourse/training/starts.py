"""The ways to begin that the course compares: with random weights, or with pretrained ones and a fresh head."""

from typing import Any

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.models.pretrained import build, pretrained
from tlcourse.repro import seeded
from tlcourse.training.recipe import CONVERGED, Recipe, train
from tlcourse.transfer.freezing import freeze
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

STARTS = ("scratch", "linear probe", "fine-tuned")


def starting_model(
    start: str, seed: int, *, classes: int = 10, network: str = "tiny_resnet", source: str = "letters"
) -> nn.Module:
    """Make a network as one of the three ways to begin has it, ready to train; the seed is that of fresh weights.

    `"scratch"`: random weights. `"linear probe"`: pretrained and frozen, a fresh head learns. `"fine-tuned"`:
    pretrained, a fresh head, everything learns. Raises ValueError when there is no such start, network or source.
    """
    if start not in STARTS:
        raise ValueError(f"{start!r} is not a way to start. Expected one of: {', '.join(map(repr, STARTS))}.")
    with seeded("weights", seed):
        if start == "scratch":
            return build(network, classes)
        model = pretrained(network, source)
        reset_classifier(model, classes)
    if start == "linear probe":
        freeze(model)
    return model


def train_from(
    start: str,
    labelled: ImageSet,
    recipe: Recipe = CONVERGED,
    *,
    seed: int = 0,
    network: str = "tiny_resnet",
    source: str = "letters",
    **options: Any,  # noqa: ANN401
) -> nn.Module:
    """Begin one of the three ways and learn from labelled images; return the network.

    A linear probe is solved, not trained: its head is the best there is for the frozen features, and the recipe counts
    for the other two only. The seed is that of fresh weights, batches and augmentation; further options are those of
    `train`. Raises what `starting_model`, `train` and `linear_probe` do.
    """
    model = starting_model(start, seed, classes=len(labelled.classes), network=network, source=source)
    if start == "linear probe":
        linear_probe(model, labelled)
    else:
        train(model, labelled, recipe, seed=seed, **options)
    return model
