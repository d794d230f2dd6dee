"""Learning from labels of both domains: a few that somebody gave the target, or a network's own answers."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adapt import Answers, TwoDomains
from tlcourse.data.imageset import ImageSet
from tlcourse.repro import pick_device
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe, adamw


def train_on_both(
    model: nn.Module,
    source: ImageSet,
    labelled: ImageSet,
    recipe: Recipe = Recipe(),
    *,
    weight: float = 1.0,
    seed: int = 0,
) -> nn.Module:
    """Train in place on as many images of the source as of the target in every update, and return the network.

    `labelled` are the images of the target that have labels; `weight` is that of their loss. Each domain goes through
    batch normalisation on its own; the statistics are to be measured on the target afterwards.
    """
    model.to(device=pick_device(), memory_format=torch.channels_last)
    optimizer, schedule = adamw(model, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    batches = batches_of_both(source, labelled, recipe, seed)
    for _ in updates(TwoDomains(model, views=2), batches, optimizer, loss_of_both(weight), schedule=schedule):
        pass
    return model


def batches_of_both(
    source: ImageSet, labelled: ImageSet, recipe: Recipe, stream: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: images float32 `[2 * B, 3, H, W]`, labels int64 `[2, B]`; the source comes first."""
    pairs = zip(_batches(source, recipe, stream), _batches(labelled, recipe, -1 - stream), strict=True)
    return ((torch.cat([x, z]), torch.stack([y, answers])) for (x, y), (z, answers) in pairs)


def _batches(data: ImageSet, recipe: Recipe, stream: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return iter(data.batches(recipe.batch, steps=recipe.updates, transform=recipe.augment, seed=stream))


def loss_of_both(weight: float) -> Callable[[Answers, torch.Tensor], torch.Tensor]:
    """Return the loss of an update: cross entropy of the source's labels, plus `weight` times that of the target's."""

    def loss(answers: Answers, labels: torch.Tensor) -> torch.Tensor:
        of_source, of_target = (F.cross_entropy(*each) for each in zip(answers.logits, labels, strict=True))
        return of_source + weight * of_target

    return loss
