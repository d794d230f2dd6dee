"""What is right about an answer that is wrong, so that nobody throws away the half that was good."""

import itertools
from collections.abc import Mapping, Sequence, Set

import numpy as np

from tlcourse.exercises.compare import as_array, in_order, same
from tlcourse.exercises.runner.encoding import listed

FEW = 6  # parts of an answer that are named one by one
ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}


def right_parts(got: object, expected: object, tolerance: float = 1e-4) -> str:
    """Say which parts of a wrong value are right, such as "the 1st and the 3rd of 3"; empty if none are.

    Parts are what stands below the keys of a dict or in the places of a list; of a table the rows, else the columns.
    """
    got = listed(got)
    if isinstance(expected, Mapping):
        there = got if isinstance(got, Mapping) else {}
        right = [repr(key) for key in expected if key in there and same(there[key], expected[key], tolerance)]
        return _told(right, len(expected))
    mine, theirs = _parts(in_order(got)), _parts(in_order(expected))
    if not mine or not theirs:
        return ""
    if len(mine) != len(theirs) or isinstance(expected, Set):
        inside = sum(any(same(part, other, tolerance) for other in theirs) for part in mine)
        return f"{inside} of your {len(mine)} belong there" if inside else ""
    rows = _told(_right_places(mine, theirs, tolerance), len(theirs))
    return rows or _right_columns(as_array(mine), as_array(theirs), tolerance)


def near_miss(got: object, expected: object, tolerance: float = 1e-4) -> str:
    """Say what alone is wrong with numbers: unit, sign, order, or order of the dimensions; empty if more is."""
    mine, theirs = as_array(in_order(listed(got))), as_array(expected)
    if mine is None or theirs is None or mine.size != theirs.size or not theirs.any():
        return ""
    orders = itertools.permutations(range(mine.ndim)) if 1 < mine.ndim == theirs.ndim <= 4 else ()
    if any(same(mine.transpose(order), theirs, tolerance) for order in orders):
        return "the numbers are right, but the dimensions stand in another order."
    if mine.shape != theirs.shape:
        return ""
    mended = {
        "it is 100 times too large: percent in place of a share?": mine / 100,
        "it is 100 times too small: a share in place of percent?": mine * 100,
        "the numbers are right, but their sign is not.": -1 * mine,
    }
    if theirs.ndim == 1:
        mended["the numbers are right, but stand in another order."] = np.sort(mine)[theirs.argsort().argsort()]
    return next((said for said, numbers in mended.items() if same(numbers, theirs, tolerance)), "")


def _parts(value: object) -> Sequence | None:
    array = as_array(value)
    if array is not None:
        return list(array) if array.ndim else None
    return value if isinstance(value, list | tuple) else None


def _right_places(mine: Sequence, theirs: Sequence, tolerance: float) -> list[str]:
    pairs = enumerate(zip(mine, theirs, strict=True), 1)
    return [ORDINALS.get(place, f"{place}th") for place, (part, other) in pairs if same(part, other, tolerance)]


def _right_columns(mine: np.ndarray | None, theirs: np.ndarray | None, tolerance: float) -> str:
    if mine is None or theirs is None or theirs.ndim != 2 or mine.shape != theirs.shape:
        return ""
    right = _told(_right_places(list(mine.T), list(theirs.T), tolerance), theirs.shape[1])
    return f"in every row {right}" if right else ""


def _told(right: Sequence[str], count: int) -> str:
    if not right or len(right) == count:
        return ""
    if count > FEW:
        return f"{len(right)} of {count}"
    the = "the " if right[0][0].isdigit() else ""
    return f"{' and '.join(the + part for part in right)} of {count}"
