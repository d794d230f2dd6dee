"""Unsupervised domain adaptation: labels of the source, images of the target, and a term that each method adds.

A method is a term of the loss, and the loop is `updates`, as everywhere in the course. Each domain goes through the
network on its own, so that batch normalisation never mixes their statistics unless a method means to.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.batches import Batches
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.repro import generator, pick_device, progress_bar
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe, adamw
from tlcourse.transfer.heads import get_classifier


class Answers(NamedTuple):
    """What a network makes of an update's images: view 0 the source, view 1 the target, view 2 the target once more.

    V is the number of views, B that of images in each.
    """

    images: torch.Tensor  # float32 [V, B, 3, H, W]
    features: torch.Tensor  # float32 [V, B, num_features]
    logits: torch.Tensor  # float32 [V, B, classes]


class Term(nn.Module):
    """What a method adds to the loss of the source's labels; `forward(answers)` returns it, a float scalar."""

    views = 2  # 3 asks for the target's images a second time, augmented anew

    def begin(self, model: nn.Module) -> None:
        """Get ready for a network, before the first update."""

    def after_update(self, model: nn.Module, share: float) -> None:
        """Do what follows an update; `share` of the training, from 0 to 1, is done."""

    def finish(self, model: nn.Module) -> None:
        """Leave in the network what the training was for, after the last update."""


class TwoDomains(nn.Module):
    """A network that takes the views of an update one after the other, and returns `Answers`."""

    def __init__(self, model: nn.Module, views: int) -> None:
        super().__init__()
        self.model, self.views = model, views

    def forward(self, x: torch.Tensor) -> Answers:
        """Turn the images of all views, float `[V * B, 3, H, W]`, into answers."""
        images = x.unflatten(0, (self.views, -1))
        features = torch.stack([self.model.forward_features(view) for view in images])
        return Answers(images, features, get_classifier(self.model)(features))


class AdaptationLoss(nn.Module):
    """Cross entropy of the source's labels, plus the terms of the methods."""

    def __init__(self, terms: Sequence[Term]) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)

    def forward(self, answers: Answers, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of an update; `labels`, int64 `[B]`, are those of view 0, the source."""
        return F.cross_entropy(answers.logits[0], labels) + sum(term(answers) for term in self.terms)


def adapt(
    model: nn.Module,
    source: ImageSet,
    target: torch.Tensor,
    terms: Sequence[Term] = (),
    recipe: Recipe = Recipe(),
    *,
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train a network in place on the source's labels and the target's images, and return it.

    `target` is images alone, uint8 `[N, 3, H, W]`: there is no way to pass a label of the target. Without a term this
    is training on the source alone, with the same updates and augmentation, which every method is to be compared with.
    At the end, statistics of batch normalisation are measured on the target, whatever the method (`adapt_batchnorm`).
    Raises ValueError for a head that is not of the source's classes, ArithmeticError when the loss breaks.
    """
    steps = adaptation_updates(model, source, target, terms, recipe, seed=seed)
    return to_the_end(model, steps, recipe, progress=progress)


def adaptation_updates(
    model: nn.Module,
    source: ImageSet,
    target: torch.Tensor,
    terms: Sequence[Term] = (),
    recipe: Recipe = Recipe(),
    *,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Do what `adapt` does, and yield the loss after every update, for whoever looks on or stops early."""
    check_domains(model, source, target)
    device = pick_device()
    model.to(device=device, memory_format=torch.channels_last)
    loss = AdaptationLoss(terms).train()
    for term in terms:
        term.begin(model)
    both = TwoDomains(model, max([2, *(term.views for term in terms)]))
    trained = nn.ModuleList([both, loss.to(device)])
    optimizer, schedule = adamw(trained, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    batches = domain_batches(source, target, recipe, both.views, seed)
    for done, value in enumerate(updates(both, batches, optimizer, loss, schedule=schedule), start=1):
        for term in terms:
            term.after_update(model, done / recipe.updates)
        yield value
    for term in terms:
        term.finish(model)
    adapt_batchnorm(model, target)


def domain_batches(
    source: ImageSet, target: torch.Tensor, recipe: Recipe, views: int = 2, seed: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: images of all views, float32 `[V * B, 3, H, W]`, and the source's labels, int64 `[B]`.

    Source and target are drawn by streams of their own; every view is augmented by the recipe, each anew.
    """
    target = unlabelled(target).images
    labelled = Batches(
        source.images, source.labels, recipe.batch, steps=recipe.updates, transform=recipe.augment, seed=seed
    )
    draws = generator("target batches", seed)
    for x, y in labelled:
        some = scale(target[torch.randint(len(target), (recipe.batch,), generator=draws)])
        again = [recipe.augment(some, draws) if recipe.augment else some for _ in range(views - 1)]
        yield torch.cat([x, *again]), y


def check_domains(model: nn.Module, source: ImageSet, target: torch.Tensor) -> None:
    """Refuse a head of other classes than the source's, and a target that is not images alone."""
    unlabelled(target)
    outputs = get_classifier(model).out_features
    if outputs != len(source.classes):
        raise ValueError(
            f"the head has {outputs} classes and the source {len(source.classes)}. Expected the same classes: replace "
            "and train the head on the source first."
        )


def to_the_end(model: nn.Module, steps: Iterator[torch.Tensor], recipe: Recipe, *, progress: bool = False) -> nn.Module:
    """Do all updates of a training that yields its losses, and return the network; ArithmeticError when it breaks."""
    for loss in progress_bar(steps, total=recipe.updates, shown=progress):
        last = loss
    check_finite(last)
    return model


def check_finite(loss: torch.Tensor) -> None:
    """Raise ArithmeticError when a training has broken."""
    if not torch.isfinite(loss):
        raise ArithmeticError(
            f"the loss became {loss.item()}, but a finite number was expected. Try a learning rate, or a weight of the "
            "method, ten times smaller."
        )
