"""Self-supervised pretraining: a task whose answers the images themselves hold, and a network that solves it.

Nobody cares for the task. What is kept is the backbone, which had to learn what is in an image; what stands on it while
it learns, the top, is thrown away, and the network's own head stays as it was. A method says what it shows (images and
what is to be answered), what its top is, and its loss; the loop is `updates`, as everywhere in the course.
"""

from collections.abc import Iterator

import torch
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.batches import Batches, Transform
from tlcourse.evaluation.predict import Loss, Pairs
from tlcourse.repro import pick_device
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe, adamw


class Pretext(nn.Module):
    """A network up to its features, and the top that answers the task from them."""

    def __init__(self, model: nn.Module, top: nn.Module) -> None:
        super().__init__()
        self.model, self.top = model, top

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, H, W]`, into what the top makes of their features, `[B, num_features]`."""
        return self.top(self.model.forward_features(x))


def pretext_updates(
    task: Pretext, images: torch.Tensor, batches: Pairs, loss: Loss, recipe: Recipe
) -> Iterator[torch.Tensor]:
    """Train backbone and top in place, and yield the loss after every update; batches are what the method shows.

    In the end, statistics of batch normalisation are measured on the images as they are (`adapt_batchnorm`): those of
    turned, recoloured or half hidden images are of no use to whoever takes over the backbone.
    """
    task.to(device=pick_device(), memory_format=torch.channels_last)
    optimizer, schedule = adamw(task, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    yield from updates(task, batches, optimizer, loss, schedule=schedule)
    adapt_batchnorm(task.model, images)


def shown(images: torch.Tensor, recipe: Recipe, augment: Transform | None, seed: int) -> Batches:
    """Return the batches of a training from images alone, uint8 `[N, 3, H, W]`; their labels say nothing.

    Raises TypeError for anything but images, such as a set that has labels.
    """
    return unlabelled(images).batches(recipe.batch, steps=recipe.updates, transform=augment, seed=seed)
