"""How to train on the target: one recipe for every start, so that only the starting weights differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from tlcourse.data.augmentations import Augment
from tlcourse.data.batches import Batches, Transform
from tlcourse.data.imageset import ImageSet
from tlcourse.repro import pick_device
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import check_labels, fit
from tlcourse.training.schedules import Schedule
from tlcourse.transfer.freezing import parameter_groups, trainable

Rates = float | Mapping[str, float]  # one for everything, or one for every stage and the head, by name


@dataclass(frozen=True)
class Recipe:
    """The budget, the optimiser's settings and the augmentation of a training."""

    epochs: int = 10  # with 10 updates each, a short training
    steps: int | None = 10  # updates an epoch; None shows every image once
    batch: int = 50  # images an update; few labels are repeated, each time augmented anew
    lr: float = 5e-3  # the highest, reached after 30 % of the updates and then lowered to almost 0
    weight_decay: float = 0.01
    augment: Transform | None = Augment(zoom=0.2, shear=0.2, bend=0.04, light=0.4)

    @property
    def updates(self) -> int:
        """Count the updates of the whole training; ValueError where only the data say how many an epoch has."""
        if self.steps is None:
            raise ValueError("steps is None: an epoch then has as many updates as the data have batches. Set steps=10.")
        return self.epochs * self.steps

    @property
    def budget(self) -> dict[str, int | float | bool]:
        """Name what a comparison has to state: updates, images an update, the highest rate, whether images vary."""
        return {"updates": self.updates, "batch": self.batch, "lr": self.lr, "augmented": self.augment is not None}

    def batches(self, data: ImageSet, seed: int = 0) -> Batches:
        """Return the batches of one epoch, each time in another order and augmented anew."""
        return data.batches(self.batch, steps=self.steps, transform=self.augment, seed=seed)


# Where starts are compared. On the main target, 600 updates bring scratch to 62.9 % with 5 labels per class and to
# 97.5 % with 50 (3 seeds); three times as many to 68.5 and 98.4 %. With many labels the training is over, then; with
# few, scratch still rises by a few points, and stays more than 20 below fine-tuning.
CONVERGED = Recipe(epochs=60)


def adamw(
    model: nn.Module,
    lr: Rates,
    updates: int,
    *,
    weight_decay: float = 0.01,
    schedule: Schedule | None = None,
    warm: float = 0.3,
    fused: bool = True,
) -> tuple[torch.optim.AdamW, LRScheduler]:
    """Return AdamW for what is not frozen and, by default, one cycle of its learning rate over so many updates.

    With a rate for every stage, frozen stages are in too, so that they can be freed later. `warm` is the share of the
    updates in which the rate rises; `schedule` goes from the number of the update to a factor, instead of the cycle.
    `fused` is faster, and rounds the last bit otherwise.
    """
    if isinstance(lr, Mapping):
        optimizer = torch.optim.AdamW(parameter_groups(model, lr), weight_decay=weight_decay, fused=fused)
    else:
        optimizer = torch.optim.AdamW(trainable(model), lr=lr, weight_decay=weight_decay, fused=fused)
    if schedule is not None:
        return optimizer, LambdaLR(optimizer, schedule)
    highest = [group["lr"] for group in optimizer.param_groups]
    return optimizer, OneCycleLR(optimizer, highest, total_steps=updates, pct_start=warm, cycle_momentum=False)


def train(
    model: nn.Module,
    data: ImageSet,
    recipe: Recipe = Recipe(),
    *,
    seed: int = 0,
    lr: Rates | None = None,
    schedule: Schedule | None = None,
    progress: bool = False,
    **options: object,
) -> History:
    """Train a network in place by the recipe; the seed is that of batches and augmentation.

    `lr` replaces the recipe's, also by a rate for every stage and the head, by name; `schedule`, from the number of the
    update to a factor, replaces the cycle. Further options are those of `fit`.
    """
    batches = recipe.batches(data.to(pick_device(options.get("device"))), seed)  # all images move once, not by batches
    check_labels(model, data.labels)  # here, as a GPU would have to be waited for
    rates = recipe.lr if lr is None else lr
    total = max(1, recipe.epochs * len(batches))
    optimizer, schedule = adamw(model, rates, total, weight_decay=recipe.weight_decay, schedule=schedule)
    options |= {"optimizer": optimizer, "schedule": schedule, "progress": progress}
    return fit(model, batches, epochs=recipe.epochs, **options)
