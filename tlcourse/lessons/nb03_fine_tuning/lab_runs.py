"""What the lab of notebook 03 computes: a training that is measured after every epoch, and a range test."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import evaluate
from tlcourse.lessons.nb03_fine_tuning.lab_records import SHORT, WATCHED, Measured, Run, Settings
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES, check_finite, pulled
from tlcourse.repro import pick_device
from tlcourse.training.lr_finder import RangeTest, range_updates
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import count_parameters, freeze, trainable
from tlcourse.transfer.linear_probe import linear_probe

CHECKED = 10  # learned images per class that are measured as well, at most
FOUND_IN = 40  # updates of a range test


@dataclass(frozen=True)
class Prepared:
    """A network that is ready to train, and the images.

    Attributes:
        model: the network, with what is to be frozen frozen.
        learn: images to learn from.
        check: those of them that are measured.
        watch: images to watch.
    """

    model: nn.Module
    learn: ImageSet
    check: ImageSet
    watch: ImageSet


def bench_images(per_class: int, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Return labelled images to learn from, and other images of the training half to watch.

    The test half is not touched: whoever tries settings until the number is right would be choosing on it.

    Args:
        per_class: labelled images per class, at most 50.
        seed: which images.

    Returns:
        Two sets that share no image.
    """
    half = load("handwritten-photo")
    learn = half.few(per_class, seed)
    watched = half.few(WATCHED // 10 + 50, seed)  # the choice begins with the same images, so cut those off
    rest = torch.arange(len(watched)).view(10, -1)[:, 50:].flatten()
    return learn, watched.subset(rest)


def prepare(settings: Settings) -> Prepared:
    """Make the network and choose the images; needs PyTorch's global generator for a moment.

    Args:
        settings: how to train.

    Returns:
        Network and images, the same each time.
    """
    learn, watch = bench_images(settings.per_class)
    model = STRATEGIES[settings.strategy].start(seed=0)
    if not settings.thaws:
        freeze(model, settings.depth)
    return Prepared(model.to(pick_device()), learn, learn.few(min(settings.per_class, CHECKED)), watch)


def compute_run(run: Run, prepared: Prepared, recipe: Recipe = SHORT) -> Iterator[Run]:
    """Train, measure after every epoch, and yield the run as far as it is after every update; the last is finished.

    Uses generators of its own only, so it may be done on any thread. The budget is the recipe's, but for the epochs of
    the settings. Raises NonFiniteLossError when the rate was so high that the loss broke.
    """
    settings, model, begin = run.settings, prepared.model, time.perf_counter()
    budget = replace(recipe, epochs=settings.epochs)
    options = {"strength": settings.strength} if settings.pulls else {}
    losses = STRATEGIES[settings.strategy].steps(model, prepared.learn, 0, settings.rate, budget, **options)
    of_epoch = []
    for loss in losses:
        of_epoch.append(loss.item())
        if len(of_epoch) < budget.steps:
            yield run
            continue
        run = replace(run, measured=(*run.measured, measure(prepared)))
        yield run
        check_finite(of_epoch, budget.steps, len(run.measured) - 1)
        of_epoch = []
    trained, seconds = count_parameters(trainable(model)), time.perf_counter() - begin
    yield replace(run, state="finished", trained=trained, seconds=seconds)


def measure(prepared: Prepared) -> Measured:
    """Return loss and accuracy on images that are learned from, and on images that are watched."""
    return Measured(*evaluate(prepared.model, prepared.check), *evaluate(prepared.model, prepared.watch))


def compute_range(settings: Settings, prepared: Prepared, recipe: Recipe = SHORT) -> Iterator[RangeTest]:
    """Raise the rate from 0.0001 to 1, and yield after every update the losses so far; the last are all.

    Every stage gets the same rate, also where the strategy would give the early ones less. For gradual unfreezing
    everything is free, as it is in the end. LP-FT finds its head first; apart from that nothing is changed in the end.
    """
    model, learn = prepared.model, prepared.learn
    if settings.strategy == "LP-FT":
        linear_probe(model, learn)
    loss = pulled(model, settings.strength) if settings.pulls else F.cross_entropy
    if settings.strategy == "label smoothing":
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    weight_decay = 0.0 if settings.pulls else recipe.weight_decay
    optimizer = torch.optim.AdamW(trainable(model), weight_decay=weight_decay, fused=True)
    batches = learn.batches(recipe.batch, steps=FOUND_IN, transform=recipe.augment, seed=0)
    yield from range_updates(model, batches, optimizer, low=1e-4, high=1.0, steps=FOUND_IN, loss=loss)
