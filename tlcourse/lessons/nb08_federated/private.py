"""Privacy in notebook 08: the image that a gradient gives away, and what a promise of privacy costs in accuracy."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import denormalise, scale
from tlcourse.data.splits import few_per_class
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.predict import extract_features
from tlcourse.federated.leakage import rebuilt_input, sent_gradients
from tlcourse.federated.private_head import Labelled, PrivateHead, Rounds, private_head
from tlcourse.notebook.results import grid
from tlcourse.repro import generator, seeded
from tlcourse.training.starts import starting_model

CLIENTS, PER_CLIENT = 10, 5  # clients, and labels of each class that a client has: 500 labels
EPSILONS = (1.0, 2.0, 4.0, 8.0, math.inf)
DELTA = 1e-3  # below one in 500
BACKBONES = {"letters": "linear probe", "random": "scratch"}
TRIED = tuple(
    Rounds(*setting) for setting in itertools.product((10, 30, 100), (1.0, 3.0, 10.0, 30.0, 100.0), (0.5, 1.0))
)
CHOICES = 3  # draws of public clients over which the accuracy of a recipe is averaged
PUBLIC = 2000  # printed letters, whose mean is taken off the features


class Features(NamedTuple):
    """What a frozen backbone makes of a world: features `[N, D]` and labels `[N]` of training and test pool."""

    pool: Labelled
    test: Labelled


class Rebuilt(NamedTuple):
    """An image, uint8 `[3, H, W]`, and what was rebuilt of it from a gradient."""

    original: torch.Tensor
    rebuilt: torch.Tensor


def rebuilt(image: torch.Tensor, label: int, seed: int = 0) -> Rebuilt:
    """Let a client compute the gradient of one image, uint8 `[3, H, W]`, and rebuild the image from it.

    The network has a hidden linear layer of 64 units with random weights, and 10 classes.
    """
    with seeded("leaking network", seed):
        model = nn.Sequential(nn.Flatten(), nn.Linear(image.numel(), 64), nn.ReLU(), nn.Linear(64, 10))
    gradients = sent_gradients(model, scale(image[None]), torch.tensor([label]))
    return Rebuilt(image, denormalise(rebuilt_input(*gradients).view(1, *image.shape))[0])


def weights_seed(name: str, seed: int) -> int:
    """Return the seed of a backbone's weights: of random ones the trial's; those of the letters do not depend on it."""
    return seed if name == "random" else 0


@functools.cache
def backbone(name: str, weights: int) -> nn.Module:
    """Return the letters' network, or random weights by this seed."""
    return starting_model(BACKBONES[name], weights)


@functools.cache
def features_of(name: str, weights: int, world: str) -> Features:
    """Compute features once: of the clients' world, or of as many printed digits, which are public."""
    pools = train_test(world) if world != "printed-photo" else printed_digits()
    return Features(*((extract_features(backbone(name, weights), pool), pool.labels) for pool in pools))


def printed_digits() -> tuple[ImageSet, ImageSet]:
    """Return printed digits over a photograph, as many as there are handwritten ones."""
    return load("printed-photo", split="train", count=906), load("printed-photo", split="test", count=509)


@functools.cache
def public_middle(name: str, weights: int) -> torch.Tensor:
    """Return the mean of a backbone's features over printed letters, float32 `[D]`; no client's image has a part."""
    return extract_features(backbone(name, weights), load("printed-photo", "letters", count=PUBLIC)).mean(0)


def dealt(pool: Labelled, seed: int) -> tuple[list[Labelled], Labelled]:
    """Give every client its own labelled images, drawn as by `pool.few(50, seed)`; return also what nobody holds."""
    features, labels = pool
    drawn = few_per_class(labels, CLIENTS * PER_CLIENT, generator("few", seed))
    order = drawn.view(-1, CLIENTS, PER_CLIENT)  # [classes, clients, images]: they come by class
    held = torch.zeros(len(labels), dtype=torch.bool).index_fill(0, drawn, True)
    clients = [(features[own.flatten()], labels[own.flatten()]) for own in order.unbind(1)]
    return clients, (features[~held], labels[~held])


def together(clients: Sequence[Labelled]) -> Labelled:
    """Put the images of all clients into one hand: the head is the same, and sooner there."""
    features, labels = zip(*clients, strict=True)
    return torch.cat(features), torch.cat(labels)


def percent_right(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return how many answers are right, in percent."""
    return 100 * (logits.argmax(1) == labels).double().mean().item()


@functools.cache
def chosen(name: str, epsilon: float) -> Rounds:
    """Return the recipe that is best for a backbone and an epsilon, of as many for each, on printed digits.

    They are public, so the choice costs no privacy. Had it been made by heads that the clients trained, it would: each
    of the 30 heads is private, but which of them is best says something more.
    """
    drawn = [dealt(features_of(name, 0, "printed-photo").pool, draw) for draw in range(CHOICES)]

    def reached(recipe: Rounds) -> float:
        heads = [
            learned(name, 0, [together(clients)], epsilon, recipe, draw) for draw, (clients, _) in enumerate(drawn)
        ]
        return sum(percent_right(head(x), y) for head, (_, (x, y)) in zip(heads, drawn, strict=True)) / CHOICES

    return max(TRIED, key=reached)


def learned(
    name: str, weights: int, clients: Sequence[Labelled], epsilon: float, recipe: Rounds, seed: int
) -> PrivateHead:
    """Let clients learn a private head on a backbone with these weights; the seed is that of the noise."""
    return private_head(clients, 10, epsilon, DELTA, recipe, middle=public_middle(name, weights), seed=seed)


def private_trial(features: str, epsilon: float, seed: int) -> dict[str, Any]:
    """Learn a private head from 10 clients with 5 labels a class each, and measure it on the test pool in percent.

    The seed is that of the labels drawn, of the noise, and of the random backbone.
    """
    recipe, weights = chosen(features, epsilon), weights_seed(features, seed)
    known = features_of(features, weights, "handwritten-photo")
    clients, _ = dealt(known.pool, seed)
    head = learned(features, weights, clients, epsilon, recipe, seed)
    return {
        **asdict(recipe),
        "noise": head.noise_multiplier,
        "accuracy": percent_right(head(known.test[0]), known.test[1]),
    }


def private(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn private heads on features of the letters' network and of random ones, for several epsilons."""
    return grid(private_trial, features=list(BACKBONES), epsilon=EPSILONS, seed=seeds)
