"""What the lab of notebook 04 computes: the images behind a cell, a duel of two networks, and the same duel often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.evaluation.significance import mcnemar
from tlcourse.repro import generator

LEVEL = 0.95
EXPERIMENTS = 300
Hits = Mapping[str, torch.Tensor]  # whether each network of each seed reads each test image, bool [seeds, N], by name


@dataclass(frozen=True)
class Duel:
    """What a small experiment with A and B found.

    Attributes:
        names: A and B.
        accuracy: mean accuracy of A and of B, in percent.
        differences: A minus B, one a seed, in points.
        clear: for every seed, whether McNemar's test calls its two networks different at 5 %.
        over_seeds: t interval of the difference, were other trainings drawn, in points.
        over_images: the same, were other test images drawn.
    """

    names: tuple[str, str]
    accuracy: tuple[float, float]
    differences: tuple[float, ...]
    clear: tuple[bool, ...]
    over_seeds: Interval
    over_images: Interval

    @property
    def verdict(self) -> str:
        """Which is better, if both intervals allow it, or which luck leaves it open."""
        return give_verdict(self.names, self.over_seeds, self.over_images)


@dataclass(frozen=True)
class Repeats:
    """What many experiments of one size found; a fixed world was drawn from, with replacement.

    Attributes:
        mean: what each found, in points, float `[experiments]`.
        by_seeds: how far its t interval over the seeds reaches to either side, in points, float `[experiments]`.
        by_images: the same over the images.
    """

    mean: torch.Tensor
    by_seeds: torch.Tensor
    by_images: torch.Tensor

    def widths(self) -> tuple[float, float]:
        """Return the mean reach over the seeds and over the images, in points."""
        return self.by_seeds.mean().item(), self.by_images.mean().item()

    def verdicts(self) -> tuple[float, float, float]:
        """Return the share of experiments that say A, that cannot tell, and that say B, in percent."""
        clear = self.mean.abs() > torch.maximum(self.by_seeds, self.by_images)
        a, b = (100 * (clear & side).double().mean().item() for side in (self.mean > 0, self.mean < 0))
        return a, 100 - a - b, b


def compute_cell(scores: torch.Tensor, data: ImageSet, row: int, column: int) -> torch.Tensor:
    """Return which images stand behind a cell of the confusion matrix, the surest answer first.

    Args:
        scores: before the softmax, float `[N, classes]`.
        data: the images that were asked about.
        row: right class.
        column: answer.

    Returns:
        Indices, int64 `[M]`.
    """
    confidence, answers = scores.softmax(1).max(1)
    behind = ((data.labels == row) & (answers == column)).nonzero()[:, 0]
    return behind[confidence[behind].argsort(descending=True, stable=True)]


def rank_mistakes(confusion: torch.Tensor) -> list[tuple[int, int]]:
    """Return all cells off the diagonal that are not empty, the most frequent first."""
    mistakes = confusion.clone().fill_diagonal_(0).flatten()
    order = mistakes.argsort(descending=True, stable=True)[: int((mistakes > 0).sum())]
    return [divmod(cell, len(confusion)) for cell in order.tolist()]


def compute_duel(hits: Hits, names: tuple[str, str], seeds: int, images: int, draw: int) -> Duel:
    """Compare A and B with so many seeds and test images, drawn from the shipped answers.

    Args:
        hits: whether each network reads each image.
        names: A and B.
        seeds: how many seeds, from 2 to as many as there are.
        images: how many test images, from 2 to N.
        draw: which draw of seeds and images.

    Returns:
        What was found.
    """
    order = generator("duel", draw)
    total, every = hits[names[0]].shape
    chosen = torch.randperm(total, generator=order)[:seeds]
    tested = torch.randperm(every, generator=order)[:images]
    a, b = (hits[name][chosen][:, tested] for name in names)
    points = 100 * (a.double() - b.double())  # [seeds, images]
    differences = tuple(points.mean(1).tolist())
    clear = tuple(mcnemar(one, other).p_value < 1 - LEVEL for one, other in zip(a.numpy(), b.numpy(), strict=True))
    accuracy = (100 * a.double().mean().item(), 100 * b.double().mean().item())
    return Duel(names, accuracy, differences, clear, t_interval(differences), t_interval(points.mean(0).tolist()))


def give_verdict(names: tuple[str, str], over_seeds: Interval, over_images: Interval) -> str:
    """Say which is better, if both intervals of the difference allow it, or which luck leaves it open.

    Args:
        names: A and B.
        over_seeds: interval of A minus B, were other trainings drawn.
        over_images: the same, were other test images drawn.

    Returns:
        Such as `"letters is better"`.
    """
    if names[0] == names[1]:
        return "A and B are the same, so there is nothing to tell apart"
    lucks = {"seeds": over_seeds, "images": over_images}
    open_to = " and ".join(luck for luck, i in lucks.items() if i.low <= 0 <= i.high)
    if open_to:
        return f"cannot tell: other {open_to} could turn it"
    return f"{names[0] if over_seeds.low > 0 else names[1]} is better"


def compute_grid(
    values: torch.Tensor, seeds: Sequence[int], images: Sequence[int], experiments: int = EXPERIMENTS
) -> dict[tuple[int, int], Repeats]:
    """Take what was measured as the whole world, and draw experiments of every size from it, with replacement.

    Args:
        values: one number a seed and image, such as the hits of A minus those of B, float32 `[S, N]`.
        seeds: numbers of seeds, each at least 2.
        images: numbers of images, each at least 2.
        experiments: how many of each size.

    Returns:
        What they found, in points, by number of seeds and of images.
    """
    draws = generator("duels")
    total, every = values.shape
    picks = {n: torch.randint(total, (experiments, n), generator=draws) for n in seeds}
    per_image = {n: _shares(pick, total) @ values for n, pick in picks.items()}  # [experiments, N]
    squares = {n: means.square() for n, means in per_image.items()}
    grid = {}
    for m in images:
        tested = _shares(torch.randint(every, (experiments, m), generator=draws), every)
        per_seed = tested @ values.T  # [experiments, S]
        for n, pick in picks.items():
            grid[n, m] = _repeats(per_seed.gather(1, pick), torch.linalg.vecdot(tested, squares[n]), m)
    return grid


def _shares(drawn: torch.Tensor, every: int) -> torch.Tensor:
    """Turn numbers drawn with replacement, int64 `[experiments, k]`, into weights, float `[experiments, every]`."""
    experiments, k = drawn.shape
    return torch.zeros(experiments, every).scatter_add_(1, drawn, torch.full(drawn.shape, 1 / k))


def _repeats(chosen: torch.Tensor, square: torch.Tensor, images: int) -> Repeats:
    """Make both t intervals of many experiments at once.

    Args:
        chosen: value of each seed drawn, mean over the images drawn, float `[experiments, seeds]`.
        square: mean over the images drawn of the squared mean over the seeds drawn, float `[experiments]`.
        images: how many images were drawn.
    """
    mean, seeds = chosen.mean(1), chosen.shape[1]
    spread = ((square - mean.square()).clamp(min=0) * images / (images - 1)).sqrt()
    reach = {k: float(stdtrit(k - 1, (1 + LEVEL) / 2)) / k**0.5 for k in (seeds, images)}
    return Repeats(100 * mean, 100 * reach[seeds] * chosen.std(1), 100 * reach[images] * spread)
