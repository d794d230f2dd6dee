"""Are two values the same, and how to show one in a line or two."""

from collections.abc import Callable, Iterable, Mapping, Set

import numpy as np
import torch

from tlcourse.exercises.runner.encoding import NUMBERS, listed

SHOWN = 12  # numbers of a tensor that are shown in full


def same(got: object, expected: object, tolerance: float = 1e-4) -> bool:
    """Say whether a learner's value is right: kinds of container and of number do not matter, shapes and values do.

    Any iterable may stand for a list: a set if the list is in ascending order, a dict by its values. A list of numbers
    may stand for a tensor, a tensor with one value for a number, and two NaN agree. Where a set is expected, neither
    order nor doubles matter. `tolerance` is relative to the larger of 1 and the expected number.
    """
    got = listed(got)
    if isinstance(expected, Mapping):
        keys = isinstance(got, Mapping) and set(got) == set(expected)
        return bool(keys) and all(same(got[k], expected[k], tolerance) for k in expected)
    if isinstance(expected, Set):
        return isinstance(got, Iterable) and not isinstance(got, str | bytes) and _members(got) == _members(expected)
    if isinstance(expected, str | bytes | type(None)):
        return type(got) is type(expected) and got == expected
    got = in_order(got)
    left, right = as_array(got), as_array(expected)
    if right is not None:
        return left is not None and _close(left, right, tolerance)
    if isinstance(expected, list | tuple):  # of texts, or of parts that are not alike
        got = got.tolist() if isinstance(got, np.ndarray | torch.Tensor) else got
        if not isinstance(got, list | tuple) or len(got) != len(expected):
            return False
        return all(same(g, e, tolerance) for g, e in zip(got, expected, strict=True))
    return bool(got == expected)


def in_order(value: object) -> object:
    """Return the list that a set or a dict stands for; anything else as it is."""
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, Set):
        try:
            return sorted(value)
        except TypeError:  # texts and numbers in one set
            return list(value)
    return value


def _members(values: Iterable) -> set | None:
    array = as_array(values if isinstance(values, torch.Tensor | np.ndarray) else list(values))
    try:
        return set(values) if array is None or array.ndim != 1 else set(array.tolist())
    except TypeError:  # lists in a list
        return None


def as_array(value: object) -> np.ndarray | None:
    """Return numbers of any kind, or lists of them with equal lengths, as an array; None for everything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return value.float().numpy() if value.dtype in (torch.bfloat16, torch.float16) else value.numpy()
    if isinstance(value, NUMBERS):
        return np.asarray(value)
    if not isinstance(value, list | tuple) or not value:
        return None
    parts = [as_array(item) for item in value]
    if any(part is None for part in parts) or len({part.shape for part in parts}) > 1:
        return None
    return np.stack(parts)


def as_table(value: object, shape: tuple[int, ...]) -> np.ndarray | None:
    """Read an answer as numbers of this shape, float64, from whatever has an order; None if it is no such thing."""
    numbers = as_array(in_order(value))
    fits = numbers is not None and numbers.shape == shape and numbers.dtype.kind in "iuf"
    return numbers.astype(float) if fits else None


def when_table(shape: tuple[int, ...], holds: Callable[[np.ndarray], bool]) -> Callable[[object], bool]:
    """Return what says whether an answer is a table of this shape of which something holds."""

    def matches(value: object) -> bool:
        numbers = as_table(value, shape)
        return numbers is not None and bool(holds(numbers))

    return matches


def _close(left: np.ndarray, right: np.ndarray, tolerance: float) -> bool:
    if left.shape != right.shape and not left.size == right.size == 1:
        return False
    left, right = left.reshape(right.shape), np.asarray(right)
    if right.dtype.kind not in "biufc" or left.dtype.kind not in "biufc":
        return bool((left == right).all())
    allowed = tolerance * np.maximum(1, np.abs(right.astype(complex)))
    with np.errstate(invalid="ignore"):
        near = np.abs(left.astype(complex) - right.astype(complex)) <= allowed
        near &= np.isfinite(right)  # infinity is within reach of nothing but itself
    return bool((near | (left == right) | (_nan(left) & _nan(right))).all())


def _nan(values: np.ndarray) -> np.ndarray:
    return np.isnan(values) if values.dtype.kind in "fc" else np.zeros(values.shape, bool)


def size(value: object) -> int:
    """Count the numbers and letters in a value, to find the smallest example."""
    if isinstance(value, Mapping):
        return sum(size(item) for item in value.values())
    if isinstance(value, list | tuple | Set):
        return 1 + sum(size(item) for item in value)
    if isinstance(value, torch.Tensor | np.ndarray):
        return int(np.prod(value.shape))
    return len(value) if hasattr(value, "__len__") else 1


def show_value(value: object) -> str:
    """Show a value in a line: all of a small tensor, shape, type and ends of a large one."""
    if isinstance(value, torch.Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        array = as_array(value)
        listed = np.array2string(array, precision=4, separator=", ", threshold=SHOWN, edgeitems=2, suppress_small=True)
        listed = " ".join(listed.split())
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{kind}({listed})" if array.size <= SHOWN else f"{kind} {list(value.shape)} {dtype}: {listed}"
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, Mapping):
        return _cut("{" + ", ".join(f"{k!r}: {show_value(v)}" for k, v in value.items()) + "}")
    if isinstance(value, list | tuple):
        left, right = "[]" if isinstance(value, list) else "()"
        return _cut(left + ", ".join(show_value(item) for item in value) + right)
    return _cut(repr(value))


def _cut(text: str, longest: int = 300) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
