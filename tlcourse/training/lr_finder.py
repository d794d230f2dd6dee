"""The learning-rate range test: raise the rate at every update, and watch where the loss falls and where it breaks."""

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.evaluation.predict import Loss, Pairs
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.loop import check_fit, check_labels
from tlcourse.transfer.freezing import training_mode

BREAKS = 4.0  # stop when the smoothed loss is this many times the lowest


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured.

    Attributes:
        rates: learning rate of every update.
        losses: loss of every update, before it was made, in nats.
        smooth: the same, averaged over neighbouring updates.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]

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

    Args:
        model: the network; weights, statistics and modes are as before afterwards.
        batches: gives `(x, y)`; looped over again when it ends. Where it counts epochs, the count is put back.
        optimizer: its optimiser; its rates and its memory are as before afterwards. Every parameter group gets the same
            rate during the test.
        low: rate of the first update, above 0.
        high: rate of the last update, above `low`; the test ends sooner when the loss has broken.
        steps: how many updates, at least 10.
        loss: takes scores and labels, returns their mean loss.

    Returns:
        Rates and losses.

    Raises:
        ValueError: a rate or the number of steps is out of range, the optimiser misses a parameter, or there are no
            batches.

    Source: Smith, "Cyclical learning rates for training neural networks", 2017, WACV.
    """
    if not 0 < low < high or steps < 10:
        raise ValueError(f"got rates from {low} to {high} in {steps} steps. Expected 0 < low < high, and 10 or more.")
    check_fit(model, optimizer, epochs=1, validation=None, patience=None)
    weights, memory = copy_weights(model), copy.deepcopy(optimizer.state_dict())
    modes, epoch = {m: m.training for m in model.modules()}, getattr(batches, "epoch", None)
    try:
        rates, losses = _climb(model, batches, optimizer, low, high, steps, loss)
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(memory)
        optimizer.zero_grad()
        for module, training in modes.items():
            module.training = training
        if epoch is not None:
            batches.set_epoch(epoch)
    return RangeTest(tuple(rates), tuple(losses), tuple(smoothed(losses)))


def _climb(
    model: nn.Module,
    batches: Pairs,
    optimizer: torch.optim.Optimizer,
    low: float,
    high: float,
    steps: int,
    loss: Loss,
) -> tuple[list[float], list[float]]:
    """Make the updates, each with a rate a constant factor above the one before."""
    device = next(training_mode(model).parameters()).device
    rates, losses = [], []
    while len(losses) < steps:
        before = len(losses)
        for x, y in batches:
            check_labels(model, y)
            rate = low * (high / low) ** (len(losses) / (steps - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            value = loss(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            rates.append(rate)
            losses.append(value.item())
            if not math.isfinite(losses[-1]):
                return rates[:-1], losses[:-1]
            if len(losses) == steps or _broken(losses):
                return rates, losses
        if len(losses) == before:
            raise ValueError("there was nothing to train on: the batches were empty.")
    return rates, losses


def _broken(losses: list[float]) -> bool:
    """Say whether the smoothed loss is far above the lowest so far."""
    smooth = smoothed(losses)
    return smooth[-1] > BREAKS * min(smooth)


def smoothed(values: list[float], reach: int = 2) -> list[float]:
    """Average every value with up to `reach` neighbours on either side."""
    windows = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]
