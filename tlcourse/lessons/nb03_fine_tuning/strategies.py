"""The ways to train what was carried over: each yields the loss of one update after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import Loss, Pairs
from tlcourse.models.pretrained import build, pretrained
from tlcourse.repro import pick_device, seeded
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import NonFiniteLossError, updates
from tlcourse.training.recipe import Rates, Recipe, adamw, train
from tlcourse.training.schedules import Schedule, constant, one_cycle, then, warm_up
from tlcourse.training.weight_averaging import WeightAverage
from tlcourse.transfer.freezing import (
    L2SP,
    GradualUnfreezing,
    discriminative_lr,
    freeze,
    layerwise_lr,
)
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

HELD_BACK = 0.2  # share of the labelled images that early stopping looks at instead of learning from
Losses = Iterator[torch.Tensor]


def prepare(
    model: nn.Module, labelled: ImageSet, seed: int, lr: Rates, recipe: Recipe, schedule: Schedule | None = None
) -> tuple[Pairs, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Move the network to the device; return batches, AdamW, and one cycle of its rates or another schedule."""
    model.to(pick_device(), memory_format=torch.channels_last)
    factors = schedule or one_cycle(recipe.updates)
    optimizer, schedule = adamw(model, lr, recipe.updates, weight_decay=recipe.weight_decay, schedule=factors)
    return recipe.batches(labelled, seed), optimizer, schedule


def full(
    model: nn.Module, labelled: ImageSet, seed: int, lr: Rates, recipe: Recipe, loss: Loss = F.cross_entropy
) -> Losses:
    """Train everything that is not frozen, at one rate or at one for every stage."""
    batches, optimizer, schedule = prepare(model, labelled, seed, lr, recipe)
    for _ in range(recipe.epochs):
        yield from updates(model, batches, optimizer, loss, schedule=schedule)


def probe(model: nn.Module, labelled: ImageSet, seed: int, penalty: float, recipe: Recipe) -> Losses:
    """Find the best head for fixed features: no updates, nothing drawn at random, nothing augmented."""
    linear_probe(model, labelled, penalty)
    yield from ()


def frozen(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Train the head alone with the ordinary loop."""
    freeze(model)
    yield from full(model, labelled, seed, lr, recipe)


def probe_then_full(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """LP-FT: find the best head first, then train everything from there (Kumar et al., 2022, ICLR)."""
    linear_probe(model, labelled)
    yield from full(model, labelled, seed, lr, recipe)


def gradual(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Free one more stage after every epoch, the last first (Howard and Ruder, 2018, ACL)."""
    batches, optimizer, schedule = prepare(model, labelled, seed, lr, recipe)
    unfreeze = GradualUnfreezing()
    for epoch in range(recipe.epochs):
        unfreeze(model, epoch)
        yield from updates(model, batches, optimizer, schedule=schedule)


def discriminative(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Train the head at the full rate and the backbone at a tenth of it."""
    yield from full(model, labelled, seed, discriminative_lr(model, lr, lr / 10), recipe)


def layerwise(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Let the rate fall by 30 % from stage to stage, from the head down to the pixels."""
    yield from full(model, labelled, seed, layerwise_lr(model, lr, 0.7), recipe)


def l2_sp(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe, strength: float = 0.1) -> Losses:
    """Pull every carried weight back to where it came from, instead of decaying it (Li et al., 2018, ICML)."""
    plain = replace(recipe, weight_decay=0.0)
    yield from full(model, labelled, seed, lr, plain, pulled(model, strength))


def pulled(model: nn.Module, strength: float) -> Loss:
    """Return cross-entropy with a pull of the backbone towards where it is now."""
    pull = L2SP(model, strength)
    return lambda logits, labels: F.cross_entropy(logits, labels) + pull()


def smoothed(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Train everything with label smoothing of 0.1 (Szegedy et al., 2016, CVPR)."""
    yield from full(model, labelled, seed, lr, recipe, nn.CrossEntropyLoss(label_smoothing=0.1))


def stopped_early(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Hold a fifth of the labelled images back, and stop when the loss on them has not fallen for three epochs.

    What is yielded are the mean losses of the epochs, when all are over.
    """
    learn, watch = labelled.split(1 - HELD_BACK, seed)
    how = {"lr": lr, "schedule": one_cycle(recipe.updates)}
    history = train(model, learn, recipe, seed=seed, validation=watch, patience=3, **how)
    yield from torch.tensor(history.train_loss)


def averaged(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Warm up, keep the rate, and average the weights of the second half (Izmailov et al., 2018, UAI)."""
    warm = max(1, recipe.updates // 10)
    shape = then(warm_up(warm), warm, constant())
    batches, optimizer, schedule = prepare(model, labelled, seed, lr, recipe, shape)
    average = WeightAverage(start=recipe.updates // 2)
    for _ in range(recipe.epochs):
        for loss in updates(model, batches, optimizer, schedule=schedule):
            average.add(model)
            yield loss
    average.write_into(model, recipe.batches(labelled, seed))


def ready_made(model: nn.Module, labelled: ImageSet, seed: int, lr: float, recipe: Recipe) -> Losses:
    """Train by the recipe that many tutorials have: Adam, batches of 128, a fixed rate, no augmentation."""
    model.to(pick_device(), memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    batches = labelled.batches(min(128, len(labelled)), steps=recipe.steps, seed=seed)
    for _ in range(recipe.epochs):
        yield from updates(model, batches, optimizer)


@dataclass(frozen=True)
class Strategy:
    """A way to train, and what it starts from."""

    steps: Callable[..., Losses]  # of network, labelled images, seed, setting and recipe
    setting: float  # the learning rate, or the penalty of a probe; chosen on the training half alone
    network: str = "tiny_resnet"
    carried: bool = True  # whether it starts from pretrained weights
    fewest: int = 1  # labels per class that it needs at least

    def start(self, seed: int, classes: int = 10, source: str = "letters") -> nn.Module:
        """Return the network to begin with: fresh, or pretrained with a fresh head."""
        with seeded("weights", seed):
            if not self.carried:
                return build(self.network, classes)
            model = pretrained(self.network, source)
            reset_classifier(model, classes)
        return model

    def train(self, model: nn.Module, labelled: ImageSet, seed: int, setting: float, recipe: Recipe) -> list[float]:
        """Train a network in place to the end; return the losses, or raise NonFiniteLossError."""
        return [loss.item() for loss in finite(self.steps(model, labelled, seed, setting, recipe), recipe.steps)]


def finite(losses: Losses, steps: int) -> Losses:
    """Pass the losses on, and raise NonFiniteLossError at the first that is infinite or not a number."""
    for update, loss in enumerate(losses):
        if not torch.isfinite(loss):
            raise NonFiniteLossError(
                f"the loss became {loss.item()} in epoch {update // steps}, batch {update % steps} (counted from 0). "
                "Expected a finite number. Try a learning rate ten times smaller.",
                History(),
            )
        yield loss


# The settings of all but the ready-made recipe are the best of `results/strategy_settings.csv`; a test holds them to
# it.
STRATEGIES: dict[str, Strategy] = {
    "ready-made, scratch": Strategy(ready_made, 1e-3, "small_cnn", carried=False),
    "ready-made, fine-tuned": Strategy(ready_made, 1e-3, "small_cnn"),
    "scratch": Strategy(full, 3e-2, carried=False),
    "linear probe": Strategy(probe, 5.0),
    "frozen backbone, AdamW": Strategy(frozen, 1e-2),
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
