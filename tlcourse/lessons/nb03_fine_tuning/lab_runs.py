"""What the lab of notebook 03 computes: a training that is measured after every epoch, and a range test."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import Loss, evaluate
from tlcourse.lessons.nb03_fine_tuning.lab_records import SHORT, WATCHED, Measured, Run, Settings
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES, full
from tlcourse.repro import pick_device
from tlcourse.training.lr_finder import RangeTest, range_test
from tlcourse.training.trials import Recipe
from tlcourse.transfer.freezing import L2SP, count_parameters, freeze, trainable
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


class Watcher:
    """Looks on while `fit` trains: asks after every update whether to go on, and measures after every epoch.

    Args:
        prepared: network and images.
        steps: updates an epoch.
        after_update: called with the number of updates so far; may raise to stop.
        after_epoch: called with what was measured so far.

    Attributes:
        measured: one entry an epoch.
    """

    def __init__(
        self,
        prepared: Prepared,
        steps: int,
        after_update: Callable[[int], None],
        after_epoch: Callable[[tuple[Measured, ...]], None],
    ) -> None:
        self.prepared, self.steps, self.updates = prepared, steps, 0
        self.after_update, self.after_epoch = after_update, after_epoch
        self.measured: tuple[Measured, ...] = ()

    def __call__(self, model: nn.Module) -> None:
        """Count an update; at the end of an epoch, measure."""
        self.updates += 1
        self.after_update(self.updates)
        if self.updates % self.steps == 0:
            sets = (self.prepared.check, self.prepared.watch)
            self.measured += (Measured(*(value for images in sets for value in evaluate(model, images))),)
            self.after_epoch(self.measured)


def compute_run(
    run: Run,
    prepared: Prepared,
    after_update: Callable[[int], None] = lambda _: None,
    after_epoch: Callable[[tuple[Measured, ...]], None] = lambda _: None,
    recipe: Recipe = SHORT,
) -> Run:
    """Train, and measure after every epoch; uses generators of its own only, so it may be done on any thread.

    Args:
        run: number and settings.
        prepared: from `prepare`, trained in place.
        after_update: called with the number of updates so far; may raise to stop.
        after_epoch: called with what was measured so far.
        recipe: the budget; its epochs are those of the settings.

    Returns:
        The finished run.

    Raises:
        NonFiniteLossError: the rate was so high that the loss broke.
    """
    settings, model = run.settings, prepared.model
    budget = replace(recipe, epochs=settings.epochs)
    watcher = Watcher(prepared, budget.steps, after_update, after_epoch)
    train, options = STRATEGIES[settings.strategy].train, {"after_update": watcher}
    if settings.pulls:  # as the strategy does it, but with a strength that can be chosen
        train, budget, options = full, replace(budget, decay=0.0), options | {"loss": pulled(model, settings.strength)}
    history = train(model, prepared.learn, 0, settings.rate, budget, **options)
    trained = count_parameters(trainable(model))
    return replace(run, measured=watcher.measured, state="finished", trained=trained, seconds=history.seconds)


def pulled(model: nn.Module, strength: float) -> Loss:
    """Return cross-entropy with a pull of the backbone towards where it is now."""
    pull = L2SP(model, strength)
    return lambda scores, labels: F.cross_entropy(scores, labels) + pull()


class Counted:
    """Batches that ask before each whether to go on.

    Args:
        batches: gives `(x, y)`.
        before_batch: called with the number of batches given so far; may raise to stop.
    """

    def __init__(self, batches: Iterable, before_batch: Callable[[int], None]) -> None:
        self.batches, self.before_batch = batches, before_batch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Give the batches."""
        for count, batch in enumerate(self.batches):
            self.before_batch(count)
            yield batch


def compute_range(
    settings: Settings,
    prepared: Prepared,
    before_batch: Callable[[int], None] = lambda _: None,
    recipe: Recipe = SHORT,
) -> RangeTest:
    """Raise the rate from 0.0001 to 1 and record the loss; uses generators of its own only.

    Every stage gets the same rate, also where the strategy would give the early ones less. For gradual unfreezing
    everything is free, as it is in the end.

    Args:
        settings: how to train; its own rate plays no part.
        prepared: from `prepare`; LP-FT finds its head first, apart from that nothing is changed.
        before_batch: called with the number of updates so far; may raise to stop.
        recipe: batch, decay and augmentation.

    Returns:
        Rates and losses.
    """
    model, learn = prepared.model, prepared.learn
    if settings.strategy == "LP-FT":
        linear_probe(model, learn)
    loss = pulled(model, settings.strength) if settings.pulls else F.cross_entropy
    if settings.strategy == "label smoothing":
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    decay = 0.0 if settings.pulls else recipe.decay
    optimizer = torch.optim.AdamW(trainable(model), weight_decay=decay, fused=True)
    batches = Counted(learn.batches(recipe.batch, steps=FOUND_IN, transform=recipe.augment, seed=0), before_batch)
    return range_test(model, batches, optimizer, low=1e-4, high=1.0, steps=FOUND_IN, loss=loss)
