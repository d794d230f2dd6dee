"""The learning-rate range test: raise the rate at every update, and watch where the loss falls and where it breaks."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.evaluation.predict import Loss, Pairs
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.loop import updates

BREAKS = 4.0  # stop when the smoothed loss is this many times the lowest


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured: of every update, its learning rate and the loss before it was made, in nats."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]  # the losses, averaged over neighbouring updates

    @property
    def lowest(self) -> float:
        """Return the rate at which the smoothed loss was lowest; from there on it rises."""
        return self.rates[min(range(len(self.smooth)), key=self.smooth.__getitem__)]

    @property
    def suggestion(self) -> float:
        """Return a rate to begin with: a third of the one at which the loss was lowest, a common rule of thumb."""
        return self.lowest / 3


def range_test(
    model: nn.Module,
    batches: Pairs,
    optimizer: torch.optim.Optimizer,
    *,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 60,
    loss: Loss = F.cross_entropy,
) -> RangeTest:
    """Train for a moment with a rate that grows from `low` to `high`, record the loss, and undo everything.

    Every parameter group gets the same rate. The test ends sooner when the loss has broken; batches are looped over
    again when they end. Raises ValueError for a number out of range, an optimiser that misses a parameter, or no
    batches.

    Source: Smith, "Cyclical learning rates for training neural networks", 2017, WACV.
    """
    nothing = RangeTest((), (), ())
    *_, found = nothing, *range_updates(model, batches, optimizer, low=low, high=high, steps=steps, loss=loss)
    return found


def range_updates(
    model: nn.Module,
    batches: Pairs,
    optimizer: torch.optim.Optimizer,
    *,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 60,
    loss: Loss = F.cross_entropy,
) -> Iterator[RangeTest]:
    """Do what `range_test` does, and yield after every update what was measured so far.

    Everything is undone at the end, or when this is closed before.
    """
    if not 0 < low < high or steps < 10:
        raise ValueError(f"got rates from {low} to {high} in {steps} steps. Expected 0 < low < high, and 10 or more.")
    rates, losses = [low * (high / low) ** (step / (steps - 1)) for step in range(steps)], []
    with _undone(model, batches, optimizer):
        climb = chain.from_iterable(updates(model, again, optimizer, loss) for again in repeat(batches))
        for rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses.append(next(climb).item())
            if not math.isfinite(losses[-1]):
                break
            smooth = smoothed(losses)
            yield RangeTest(tuple(rates[: len(losses)]), tuple(losses), tuple(smooth))
            if smooth[-1] > BREAKS * min(smooth):
                break


@contextmanager
def _undone(model: nn.Module, batches: Pairs, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Put weights, statistics, modes, the optimiser and the number of the epoch back at the end."""
    weights, memory = copy_weights(model), copy.deepcopy(optimizer.state_dict())
    modes, epoch = {m: m.training for m in model.modules()}, getattr(batches, "epoch", None)
    try:
        yield
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(memory)
        optimizer.zero_grad()
        for module, training in modes.items():
            module.training = training
        if epoch is not None:
            batches.set_epoch(epoch)


def smoothed(values: list[float], reach: int = 2) -> list[float]:
    """Average every value with up to `reach` neighbours on either side."""
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]
