"""Training one network for several tasks: the loop is `updates`, as everywhere, and the loss is a way of weighing."""

from collections.abc import Iterator

import torch
from torch import nn

from tlcourse.adaptation.adapt import to_the_end
from tlcourse.data.batches import Batches
from tlcourse.data.imageset import ImageSet
from tlcourse.multitask.network import MultiTask
from tlcourse.multitask.tasks import answers_to
from tlcourse.multitask.weighing import Weighing
from tlcourse.repro import pick_device
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe, adamw


def learn_tasks(
    network: MultiTask,
    data: ImageSet,
    weighing: Weighing | None = None,
    recipe: Recipe = Recipe(augment=None),
    *,
    answers: torch.Tensor | None = None,
    seed: int = 0,
    progress: bool = False,
) -> MultiTask:
    """Train trunk and heads in place, and return the network; all tasks count the same unless a way to weigh is given.

    `answers`, `[N, T]`, replace those of the image set, for example with some of them missing. The augmentation has to
    leave all answers as they are: one that turns images changes their angle. Raises ValueError for answers that do not
    fit, ArithmeticError when the loss breaks.
    """
    steps = multitask_updates(network, data, weighing, recipe, answers=answers, seed=seed)
    return to_the_end(network, steps, recipe, progress=progress)


def multitask_updates(
    network: MultiTask,
    data: ImageSet,
    weighing: Weighing | None = None,
    recipe: Recipe = Recipe(augment=None),
    *,
    answers: torch.Tensor | None = None,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Do what `learn_tasks` does, and yield the loss after every update, for whoever looks on or stops early."""
    weighing = Weighing() if weighing is None else weighing
    answers = answers_to(data, network.tasks) if answers is None else answers
    network.to(device=pick_device(), memory_format=torch.channels_last)
    weighing.begin(network)
    trained = nn.ModuleList([network, weighing])
    optimizer, schedule = adamw(trained, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    batches = Batches(data.images, answers, recipe.batch, steps=recipe.updates, transform=recipe.augment, seed=seed)
    yield from updates(network, batches, optimizer, weighing, schedule=schedule)
