"""The ways to train what was carried over, each as a few lines on top of the same loop."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.models.pretrained import build, pretrained
from tlcourse.repro import seeded
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import fit
from tlcourse.training.schedules import Schedule, constant, one_cycle, then, warm_up
from tlcourse.training.trials import Recipe
from tlcourse.training.weight_averaging import WeightAverage
from tlcourse.transfer.freezing import (
    L2SP,
    GradualUnfreezing,
    discriminative_rates,
    freeze,
    layerwise_rates,
    parameter_groups,
)
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

HELD_BACK = 0.2  # share of the labelled images that early stopping looks at instead of learning from


def descend(
    model: nn.Module,
    labelled: ImageSet,
    seed: int,
    rates: dict[str, float],
    recipe: Recipe,
    schedule: Schedule | None = None,
    **options: object,
) -> History:
    """Train by the recipe, with a rate for every stage.

    Args:
        model: the network, trained in place.
        labelled: the images.
        seed: seed of batches and augmentation.
        rates: the highest rate of every stage and of the head, by name.
        recipe: epochs, steps, batch, decay and augmentation.
        schedule: from update to factor; by default one cycle over all updates.
        **options: further arguments of `fit`.

    Returns:
        What happened in every epoch.
    """
    optimizer = torch.optim.AdamW(parameter_groups(model, rates), weight_decay=recipe.decay, fused=True)
    factors = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule or one_cycle(recipe.epochs * recipe.steps))
    batches = labelled.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=seed)
    return fit(model, batches, epochs=recipe.epochs, optimizer=optimizer, schedule=factors, progress=False, **options)


def everywhere(model: nn.Module, rate: float) -> dict[str, float]:
    """Return the same rate for every stage and the head."""
    return discriminative_rates(model, rate, rate)


def full(model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object) -> History:
    """Train everything at one rate."""
    return descend(model, labelled, seed, everywhere(model, rate), recipe, **options)


def probe(model: nn.Module, labelled: ImageSet, seed: int, penalty: float, recipe: Recipe) -> None:
    """Find the best head for fixed features; nothing is drawn at random and nothing is augmented."""
    linear_probe(model, labelled, penalty)


def frozen(model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object) -> History:
    """Train the head alone with the ordinary loop."""
    freeze(model)
    return full(model, labelled, seed, rate, recipe, **options)


def probe_then_full(
    model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object
) -> History:
    """LP-FT: find the best head first, then train everything from there (Kumar et al., 2022, ICLR)."""
    linear_probe(model, labelled)
    return full(model, labelled, seed, rate, recipe, **options)


def gradual(model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object) -> History:
    """Free one more stage after every epoch, the last first (Howard and Ruder, 2018, ACL)."""
    unfreeze = GradualUnfreezing()
    return descend(model, labelled, seed, everywhere(model, rate), recipe, before_epoch=unfreeze, **options)


def discriminative(
    model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object
) -> History:
    """Train the head at the full rate and the backbone at a tenth of it."""
    return descend(model, labelled, seed, discriminative_rates(model, rate, rate / 10), recipe, **options)


def layerwise(
    model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object
) -> History:
    """Let the rate fall by 30 % from stage to stage, from the head down to the pixels."""
    return descend(model, labelled, seed, layerwise_rates(model, rate, 0.7), recipe, **options)


def l2_sp(model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object) -> History:
    """Pull every carried weight back to where it came from, instead of decaying it (Li et al., 2018, ICML)."""
    pull = L2SP(model)

    def loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, labels) + pull()

    plain = replace(recipe, decay=0.0)
    return descend(model, labelled, seed, everywhere(model, rate), plain, loss=loss, **options)


def smoothed(
    model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object
) -> History:
    """Train everything with label smoothing of 0.1 (Szegedy et al., 2016, CVPR)."""
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    return descend(model, labelled, seed, everywhere(model, rate), recipe, loss=loss, **options)


def stopped_early(model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe) -> History:
    """Hold a fifth of the labelled images back, and stop when the loss on them has not fallen for three epochs."""
    learn, watch = labelled.split(1 - HELD_BACK, seed)
    return descend(model, learn, seed, everywhere(model, rate), recipe, validation=watch, patience=3)


def averaged(
    model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe, **options: object
) -> History:
    """Warm up, keep the rate, and average the weights of the second half (Izmailov et al., 2018, UAI)."""
    updates = recipe.epochs * recipe.steps
    warm = max(1, updates // 10)
    mean = WeightAverage(start=updates // 2)
    shape = then(warm_up(warm), warm, constant())
    history = descend(model, labelled, seed, everywhere(model, rate), recipe, shape, after_update=mean, **options)
    batches = labelled.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=seed)
    mean.write_into(model, batches)
    return history


def ready_made(model: nn.Module, labelled: ImageSet, seed: int, rate: float, recipe: Recipe) -> History:
    """Train by the recipe that many tutorials have: Adam, batches of 128, a fixed rate, no augmentation."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    batches = labelled.batches(min(128, len(labelled)), steps=recipe.steps, seed=seed)
    return fit(model, batches, epochs=recipe.epochs, optimizer=optimizer, progress=False)


@dataclass(frozen=True)
class Strategy:
    """A way to train, and what it starts from.

    Attributes:
        train: takes network, labelled images, seed, setting and recipe; trains in place. Most also take further
            arguments of `fit`.
        setting: the learning rate, or the penalty of a probe; chosen on the training half alone.
        network: which network.
        carried: whether it starts from pretrained weights.
        fewest: labels per class that it needs at least.
    """

    train: Callable[..., History | None]
    setting: float
    network: str = "tiny_resnet"
    carried: bool = True
    fewest: int = 1

    def start(self, seed: int, classes: int = 10, source: str = "letters") -> nn.Module:
        """Return the network to begin with: fresh, or pretrained with a fresh head.

        Args:
            seed: seed of the fresh weights.
            classes: how many target classes.
            source: what it was pretrained on.

        Returns:
            The network.
        """
        with seeded("weights", seed):
            if not self.carried:
                return build(self.network, classes)
            model = pretrained(self.network, source)
            reset_classifier(model, classes)
        return model


# The settings of all but the ready-made recipe are the best of `results/strategy_settings.csv`; a test holds them to
# it.
STRATEGIES: dict[str, Strategy] = {
    "ready-made, scratch": Strategy(ready_made, 1e-3, "small_cnn", carried=False),
    "ready-made, fine-tuned": Strategy(ready_made, 1e-3, "small_cnn"),
    "scratch": Strategy(full, 3e-2, carried=False),
    "linear probe": Strategy(probe, 5.0),
    "frozen, trained": Strategy(frozen, 1e-2),
    "fine-tuned": Strategy(full, 3e-3),
    "LP-FT": Strategy(probe_then_full, 3e-3),
    "gradual unfreezing": Strategy(gradual, 1e-3),
    "discriminative rates": Strategy(discriminative, 1e-2),
    "layer-wise rates": Strategy(layerwise, 1e-2),
    "L2-SP": Strategy(l2_sp, 3e-2),
    "label smoothing": Strategy(smoothed, 1e-2),
    "early stopping": Strategy(stopped_early, 1e-3, fewest=2),
    "weight averaging": Strategy(averaged, 1e-2),
}
BASELINES = ("ready-made, scratch", "ready-made, fine-tuned")
CARRIED = tuple(STRATEGIES)[3:]  # those that start from the same pretrained weights
