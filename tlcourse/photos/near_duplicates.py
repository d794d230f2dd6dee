"""Which photographs look alike at a glance: the same shot saved again, smaller, brighter or a moment later."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

SIDE = 16  # height and width of a thumbnail in pixels
NEAR = 0.02  # largest distance of near duplicates: 1 minus the correlation of their thumbnails
PARTNERS = 8  # pairs of one picture that are reported: frames of a film all look alike
ROWS = 1024  # thumbnails that are compared with all others at a time


def thumbnail(picture: Image.Image) -> np.ndarray:
    """Return what a picture looks like at a glance, in grey, uint8 `[P]`."""
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)).reshape(-1)


def near_pairs(thumbnails: np.ndarray, threshold: float = NEAR) -> Iterator[tuple[int, int, float]]:
    """Find pairs of thumbnails (uint8 `[N, P]`) that hardly differ, whatever their brightness and contrast.

    Yields a number, a smaller number, and their distance, 1 minus the correlation; for every first number the nearest
    comes first.
    """
    small = _unit(thumbnails)
    for start in range(0, len(small), ROWS):
        distances = 1 - small[start : start + ROWS] @ small[: start + ROWS].T
        for row in (distances <= threshold).any(1).nonzero()[0]:
            before = distances[row, : start + row]
            near = (before <= threshold).nonzero()[0]
            for b in near[before[near].argsort(kind="stable")][:PARTNERS]:
                yield start + int(row), int(b), max(float(before[b]), 0.0)


def nearest(thumbnails: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each thumbnail, uint8 `[N, P]`, to the nearest of others, `[M, P]`: float32 `[N]`.

    It is 1 minus the correlation, and below 0 (-1) where two are equal in every pixel.
    """
    unit, same = _unit(others).T, {row.tobytes() for row in others}
    rows = [1 - (_unit(part) @ unit).max(1) for part in np.split(thumbnails, range(ROWS, len(thumbnails), ROWS))]
    equal = np.array([row.tobytes() in same for row in thumbnails], dtype=bool)
    return np.where(equal, -1, np.concatenate(rows))


def _unit(thumbnails: np.ndarray) -> np.ndarray:
    """Free thumbnails of brightness and contrast, so that their products are correlations."""
    small = thumbnails.astype(np.float32)
    small -= small.mean(1, keepdims=True)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-3)
    return small


def joined(count: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Give `count` pictures groups, so that every pair is in one, and what hangs on either, too."""
    if not pairs:
        return list(range(count))
    from scipy.sparse import coo_matrix  # takes a while to import
    from scipy.sparse.csgraph import connected_components

    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return connected_components(coo_matrix((np.ones(len(a)), (a, b)), (count, count)), directed=False)[1].tolist()
