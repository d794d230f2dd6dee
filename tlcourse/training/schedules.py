"""Learning-rate schedules by hand: each is a function from the number of the update to a factor of the rate.

`torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(100))` multiplies the rate of every parameter group by it, so
groups with rates of their own keep their proportions. Lengths are numbers of updates, at least 1, and factors go from 0
to 1; what is out of range raises ValueError.
"""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """Return the schedule that leaves the rate as it is."""
    return lambda update: 1.0


def warm_up(length: int, start: float = 0.01) -> Schedule:
    """Return a schedule that rises from `start` in a straight line and then stays at 1.

    Adam's means and the fresh head know nothing at first; small steps keep them from doing harm until they do. As
    `LinearLR(optimizer, start, total_iters=length)`.
    """
    _check("length", length)
    if not 0 <= start <= 1:
        raise ValueError(f"start is {start}, but a factor from 0 to 1 was expected.")
    return lambda update: start + (1 - start) * min(update / length, 1.0)


def steps(every: int, factor: float = 0.1) -> Schedule:
    """Return a schedule that multiplies the rate by `factor` after every so many updates, as `StepLR`."""
    _check("every", every)
    if not 0 < factor <= 1:
        raise ValueError(f"factor is {factor}, but a number above 0 and at most 1 was expected, such as 0.1.")
    return lambda update: factor ** (update // every)


def cosine(total: int, floor: float = 0.0) -> Schedule:
    """Return a schedule that falls to `floor` along half a cosine and stays there: slowly, then fast, then slowly.

    As `CosineAnnealingLR(optimizer, total, eta_min=floor * lr)`.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, ICLR.
    """
    _check("total", total)
    if not 0 <= floor <= 1:
        raise ValueError(f"floor is {floor}, but a factor from 0 to 1 was expected.")
    return lambda update: between(1.0, floor, min(update / total, 1.0))


def one_cycle(total: int, warm: float = 0.3, start: float = 1 / 25, end: float = 1 / 250_000) -> Schedule:
    """Return a schedule that rises from `start` to 1 along half a cosine and falls to `end`, almost 0, along another.

    It counts updates 0 to `total - 1`, of which the share `warm` rises; each part needs at least one. As
    `OneCycleLR(optimizer, lr, total_steps=total, pct_start=warm, cycle_momentum=False)`.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    2019, SPIE Artificial Intelligence and Machine Learning for Multi-Domain Operations Applications.
    """
    top = warm * total - 1  # the update at which the factor is 1, PyTorch counts from 0
    if not 0 < warm < 1 or top <= 0:
        raise ValueError(
            f"got {total} updates, {warm:g} of them rising. Expected at least one update of rise and of fall: use a "
            "share between 0 and 1, and more updates."
        )
    return lambda update: (
        between(start, 1.0, update / top)
        if update <= top
        else between(1.0, end, min((update - top) / (total - 1 - top), 1.0))
    )


def then(first: Schedule, length: int, second: Schedule) -> Schedule:
    """Return a schedule that follows `first` for so many updates and then `second`, which counts from 0 again.

    For example `then(warm_up(10), 10, cosine(90))`. As `SequentialLR(optimizer, [first, second], milestones=[length])`.
    """
    _check("length", length)
    return lambda update: first(update) if update < length else second(update - length)


def between(a: float, b: float, share: float) -> float:
    """Go from `a` to `b` along half a cosine; `share` from 0 to 1 says how far."""
    return b + (a - b) * (1 + math.cos(math.pi * share)) / 2


def _check(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}, but a number of updates of at least 1 was expected.")
