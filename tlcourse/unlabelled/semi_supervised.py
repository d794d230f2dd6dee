"""Semi-supervised learning: a few labelled images, many without labels, and somebody who answers for those.

A method is who answers, and how much an answer counts. The loop is `updates`, as everywhere in the course: half of a
batch has its labels from people, the other half from the method.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import check_domains, to_the_end
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.augmentations import Augment, Chain, CutOut
from tlcourse.data.batches import Transform
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.repro import generator, pick_device
from tlcourse.training.loop import updates
from tlcourse.training.recipe import CONVERGED, Recipe, adamw

# the recipe's augmentation is the weak one; a digit that is turned much further may be another digit
STRONG = Chain(Augment(degrees=25, shift=0.12, zoom=0.3, shear=0.3, bend=0.06, light=0.8), CutOut(0.3))


class Method:
    """Who answers for images without labels: here nobody, so that the labelled images alone are learned from."""

    strong = False  # whether the network learns the answer from a strongly augmented view
    weight = 0.0  # of the answers in the loss; a method may change it on the way

    def begin(self, model: nn.Module) -> None:
        """Get ready for a network, before the first update."""

    def answer(self, weak: torch.Tensor) -> torch.Tensor | None:
        """Return a probability a class for images, float32 `[B, C]`; a row of zeros is learned nothing from."""
        return None

    def difference(self, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return how far the network is from the answers: cross entropy, the mean over all images."""
        return F.cross_entropy(logits, answers)

    def after_update(self, model: nn.Module, share: float) -> None:
        """Do what follows an update; `share` of the training, from 0 to 1, is done."""

    def finish(self, model: nn.Module) -> None:
        """Leave in the network what the training was for, after the last update."""

    def present(self, model: nn.Module) -> nn.Module:
        """Return the network that would be kept if the training ended now."""
        return model


class SemiSupervisedLoss(nn.Module):
    """Cross entropy of the labels, plus `weight` times the difference to the method's answers."""

    def __init__(self, method: Method, labelled: int) -> None:
        super().__init__()
        self.method, self.labelled = method, labelled

    def forward(self, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the loss of an update; both are float `[B, C]`, and the first `labelled` rows are people's."""
        known = F.cross_entropy(logits[: self.labelled], answers[: self.labelled])
        if len(logits) == self.labelled:
            return known
        return known + self.method.weight * self.method.difference(logits[self.labelled :], answers[self.labelled :])


def learn_with_unlabelled(
    model: nn.Module,
    few: ImageSet,
    images: torch.Tensor,
    method: Method,
    recipe: Recipe = CONVERGED,
    *,
    strong: Transform = STRONG,
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train a network in place on a few labelled images and on images alone, uint8 `[N, 3, H, W]`, and return it.

    An update sees the recipe's batch of each. At the end, statistics of batch normalisation are measured on the images
    without labels, whatever the method. Raises ValueError for a head of other classes than the labels', TypeError for
    images that carry labels, ArithmeticError when the loss breaks.
    """
    steps = semi_supervised_updates(model, few, images, method, recipe, strong=strong, seed=seed)
    return to_the_end(model, steps, recipe, progress=progress)


def semi_supervised_updates(
    model: nn.Module,
    few: ImageSet,
    images: torch.Tensor,
    method: Method,
    recipe: Recipe = CONVERGED,
    *,
    strong: Transform = STRONG,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Do what `learn_with_unlabelled` does, and yield the loss after every update, for whoever looks on."""
    check_domains(model, few, images)
    model.to(device=pick_device(), memory_format=torch.channels_last)
    method.begin(model)
    optimizer, schedule = adamw(model, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    batches = answered_batches(few, images, method, recipe, strong, seed)
    loss = SemiSupervisedLoss(method, recipe.batch)
    for done, value in enumerate(updates(model, batches, optimizer, loss, schedule=schedule), start=1):
        method.after_update(model, done / recipe.updates)
        yield value
    method.finish(model)
    adapt_batchnorm(model, images)


def answered_batches(
    few: ImageSet, images: torch.Tensor, method: Method, recipe: Recipe, strong: Transform = STRONG, seed: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: images float32 `[2 * B, 3, H, W]`, and a probability a class, float32 `[2 * B, C]`.

    The first half has its labels. The method is asked for the second half when the batch is made, so that it answers
    with what the network has learned by then. Its answer is for one view, the network learns it from another. Where the
    method has no answer, the first half is all.
    """
    images = unlabelled(images).images
    labelled = few.batches(recipe.batch, steps=recipe.updates, transform=recipe.augment, seed=seed)
    draws = generator("unlabelled batches", seed)
    weak = recipe.augment or (lambda x, draws: x)
    for x, y in labelled:
        known = F.one_hot(y, len(few.classes)).float()
        some = scale(images[torch.randint(len(images), (recipe.batch,), generator=draws)])
        answers = method.answer(weak(some, draws))
        if answers is None:
            yield x, known
        else:
            view = strong(some, draws) if method.strong else weak(some, draws)
            yield torch.cat([x, view]), torch.cat([known, answers.to(known.device)])
