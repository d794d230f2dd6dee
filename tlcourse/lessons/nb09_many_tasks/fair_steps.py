"""The challenge of notebook 09: the step from which even the task that gains least gains most."""

import functools
from collections.abc import Callable

import torch

from tlcourse.exercises.compare import as_array
from tlcourse.multitask.mgda import mgda
from tlcourse.repro import generator

PROBLEMS, TASKS, WEIGHTS = 40, 4, 6


@functools.lru_cache(maxsize=4)
def problems(seed: int) -> torch.Tensor:
    """Draw gradients, float64 `[40, 4, 6]`: of four tasks each, unlike in length, so that some step is good for all."""
    draws, found = generator("09.q4", seed), []
    while len(found) < PROBLEMS:
        lengths = torch.exp(1.5 * torch.randn(TASKS, 1, generator=draws, dtype=torch.float64))
        rows = torch.randn(TASKS, WEIGHTS, generator=draws, dtype=torch.float64) * lengths
        if worst_gain(rows, fairest(rows)) > 0.05 * lengths.min():
            found.append(rows)
    return torch.stack(found)


def fairest(rows: torch.Tensor) -> torch.Tensor:
    """Return the best direction for whoever gains least: that of the shortest mixture of the gradients `[T, P]`."""
    return mgda(rows @ rows.T) @ rows


def worst_gain(rows: torch.Tensor, direction: torch.Tensor) -> float:
    """Return the fall of the loss of the task that gains least, for a step of length 1 along a direction `[P]`."""
    return (rows @ (direction / direction.norm())).min().item()


def directions_in(report: object) -> torch.Tensor | None:
    """Read what an answer returned as directions, float64 `[40, 6]`; None if it is none, or one of them is 0."""
    array = as_array(report)
    if array is None or array.shape != (PROBLEMS, WEIGHTS) or array.dtype.kind not in "iuf":
        return None
    found = torch.from_numpy(array.astype("float64"))
    return found if torch.isfinite(found).all() and (found.norm(dim=1) > 0).all() else None


def fairness(report: object, seed: int) -> float:
    """Return the least gain in percent of the best possible one, the mean over problems; below 0 a task loses."""
    found = directions_in(report)
    if found is None:
        raise ValueError(f"expected [{PROBLEMS}, {WEIGHTS}] finite numbers, and no row of zeros")
    pairs = zip(problems(seed), found, strict=True)
    shares = [max(-1.0, worst_gain(rows, step) / worst_gain(rows, fairest(rows))) for rows, step in pairs]
    return 100 * sum(shares) / len(shares)


def has_shape(*shape: int) -> Callable[[object, float | None], bool]:
    """Return what recognises an answer by its shape."""

    def matches(report: object, score: float | None) -> bool:
        array = as_array(report)
        return array is not None and array.shape == shape

    return matches
