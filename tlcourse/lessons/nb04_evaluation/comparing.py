"""What the lab of notebook 04 computes: images behind a cell, a comparison of two networks, and the same done often."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.evaluation.significance import mcnemar
from tlcourse.repro import generator

LEVEL = 0.95
REPEATS = 300
SEEDS, IMAGES = (2, 3, 4, 5, 7, 10, 15, 20), (25, 50, 100, 200, 400)
NOTHING = "nothing"  # what is subtracted from an accuracy that is looked at alone
Hits = Mapping[str, torch.Tensor]  # whether each network of each seed reads each test image, bool [seeds, N], by name


def compute_cell(logits: torch.Tensor, data: ImageSet, row: int, column: int) -> torch.Tensor:
    """Return which images of a class (the row) got an answer (the column), int64 `[M]`, the surest first."""
    confidence, answers = logits.softmax(1).max(1)
    behind = ((data.labels == row) & (answers == column)).nonzero()[:, 0]
    return behind[confidence[behind].argsort(descending=True, stable=True)]


def rank_mistakes(confusion: torch.Tensor) -> list[tuple[int, int]]:
    """Return all cells off the diagonal that are not empty, the most frequent first."""
    mistakes = confusion.clone().fill_diagonal_(0).flatten()
    order = mistakes.argsort(descending=True, stable=True)[: int((mistakes > 0).sum())]
    return [divmod(cell, len(confusion)) for cell in order.tolist()]


@dataclass(frozen=True)
class Comparison:
    """What a small experiment with A and B found; accuracies in percent, differences A minus B in points."""

    names: tuple[str, str]
    accuracy: tuple[float, float]  # means
    differences: tuple[float, ...]  # one a seed
    clear: tuple[bool, ...]  # for every seed, whether McNemar's test calls its two networks different at 5 %
    over_seeds: Interval  # t interval of the difference, were other trainings drawn
    over_images: Interval  # the same, were other test images drawn

    @property
    def verdict(self) -> str:
        """Which is better, if both intervals allow it, or what leaves it open."""
        return give_verdict(self.names, self.over_seeds, self.over_images)


def compute_comparison(hits: Hits, names: tuple[str, str], seeds: int, images: int, draw: int) -> Comparison:
    """Compare A and B with so many seeds and test images, from 2 to all there are; `draw` says which."""
    order = generator("duel", draw)
    total, every = hits[names[0]].shape
    chosen = torch.randperm(total, generator=order)[:seeds]
    tested = torch.randperm(every, generator=order)[:images]
    a, b = (hits[name][chosen][:, tested] for name in names)
    points = 100 * (a.double() - b.double())  # [seeds, images]
    differences = tuple(points.mean(1).tolist())
    clear = tuple(mcnemar(one, other).p_value < 1 - LEVEL for one, other in zip(a.numpy(), b.numpy(), strict=True))
    accuracy = (100 * a.double().mean().item(), 100 * b.double().mean().item())
    return Comparison(names, accuracy, differences, clear, t_interval(differences), t_interval(points.mean(0).tolist()))


def give_verdict(names: tuple[str, str], over_seeds: Interval, over_images: Interval) -> str:
    """Say which is better, if both intervals of A minus B allow it, or whether other seeds or images could turn it."""
    if names[0] == names[1]:
        return "A and B are the same, so there is nothing to tell apart"
    chances = {"seeds": over_seeds, "images": over_images}
    open_to = " and ".join(chance for chance, i in chances.items() if i.low <= 0 <= i.high)
    if open_to:
        return f"cannot tell: other {open_to} could turn it"
    return f"{names[0] if over_seeds.low > 0 else names[1]} is better"


@dataclass(frozen=True)
class Repeats:
    """What many experiments of one size found, in points, float `[experiments]`."""

    mean: torch.Tensor
    by_seeds: torch.Tensor  # how far its t interval over the seeds reaches to either side
    by_images: torch.Tensor  # the same over the images

    def widths(self) -> tuple[float, float]:
        """Return the mean reach over the seeds and over the images, in points."""
        return self.by_seeds.mean().item(), self.by_images.mean().item()

    def verdicts(self) -> tuple[float, float, float]:
        """Return the share of experiments that say A, that cannot tell, and that say B, in percent."""
        clear = self.mean.abs() > torch.maximum(self.by_seeds, self.by_images)
        a, b = (100 * (clear & side).double().mean().item() for side in (self.mean > 0, self.mean < 0))
        return a, 100 - a - b, b


class Experiments:
    """Experiments of every size with what was measured; `seeds` and `images` are the sizes, the last all there is."""

    def __init__(self, hits: Hits) -> None:
        self.hits = hits
        total, every = next(iter(hits.values())).shape
        self.seeds, self.images = (
            [n for n in SEEDS if n < total] + [total],
            [n for n in IMAGES if n < every] + [every],
        )
        self.repeats = functools.cache(self._repeats)  # a pair is computed once

    def _repeats(self, a: str, b: str) -> dict[tuple[int, int], Repeats]:
        """Repeat the measurement of A minus B, or of A alone, by number of seeds and of images."""
        values = self.hits[a].float() - (0 if b == NOTHING else self.hits[b].float())
        return compute_repeats(values, self.seeds, self.images)


def compute_repeats(
    values: torch.Tensor, seeds: Sequence[int], images: Sequence[int], experiments: int = REPEATS
) -> dict[tuple[int, int], Repeats]:
    """Take what was measured as the whole world, and draw experiments of every size from it, with replacement.

    There is one value a seed and image, such as the hits of A minus those of B, float32 `[S, N]`. Numbers of seeds and
    of images are at least 2; by these is what many experiments found.
    """
    draws = generator("duels")
    total, every = values.shape
    picks = {n: torch.randint(total, (experiments, n), generator=draws) for n in seeds}
    per_image = {n: _shares(pick, total) @ values for n, pick in picks.items()}  # [experiments, N]
    squares = {n: means.square() for n, means in per_image.items()}
    found = {}
    for m in images:
        tested = _shares(torch.randint(every, (experiments, m), generator=draws), every)
        per_seed = tested @ values.T  # [experiments, S]
        for n, pick in picks.items():
            found[n, m] = both_intervals(per_seed.gather(1, pick), torch.linalg.vecdot(tested, squares[n]), m)
    return found


def _shares(drawn: torch.Tensor, every: int) -> torch.Tensor:
    """Turn numbers drawn with replacement, int64 `[experiments, k]`, into weights, float `[experiments, every]`."""
    experiments, k = drawn.shape
    return torch.zeros(experiments, every).scatter_add_(1, drawn, torch.full(drawn.shape, 1 / k))


def both_intervals(chosen: torch.Tensor, square: torch.Tensor, images: int) -> Repeats:
    """Make the t intervals over seeds and over images of many experiments at once.

    `chosen` is the mean over the images drawn for each seed drawn, float `[experiments, seeds]`; `square` the mean over
    the images drawn of the squared mean over the seeds drawn, float `[experiments]`.
    """
    mean, seeds = chosen.mean(1), chosen.shape[1]
    spread = ((square - mean.square()).clamp(min=0) * images / (images - 1)).sqrt()
    reach = {k: float(stdtrit(k - 1, (1 + LEVEL) / 2)) / k**0.5 for k in (seeds, images)}
    return Repeats(100 * mean, 100 * reach[seeds] * chosen.std(1), 100 * reach[images] * spread)
