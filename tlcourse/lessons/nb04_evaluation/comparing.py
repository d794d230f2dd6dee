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
Hits = Mapping[str, torch.Tensor]  # whether each network of each seed reads each test image, bool [seeds, N], by name
Verdicts = tuple[float, float, float]  # percent of experiments that say A, that cannot tell, and that say B


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
        """Which is better, if both intervals of A minus B allow it, or what leaves it open."""
        if self.names[0] == self.names[1]:
            return "A and B are the same, so there is nothing to tell apart"
        chances = {"seeds": self.over_seeds, "images": self.over_images}
        open_to = " and ".join(chance for chance, i in chances.items() if i.low <= 0 <= i.high)
        if open_to:
            return f"open: other {open_to} could turn it"
        return f"{self.names[0] if self.over_seeds.low > 0 else self.names[1]} is better"

    @property
    def would_help(self) -> str:
        """What there should be more of, seeds or images: that whose interval is the wider."""
        seeds, images = (i.high - i.low for i in (self.over_seeds, self.over_images))
        return "seeds" if seeds > images else "images"


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


class Experiments:
    """Experiments of every size with what was measured; `seeds` and `images` are the sizes, the last all there is."""

    def __init__(self, hits: Hits) -> None:
        self.hits = hits
        total, every = next(iter(hits.values())).shape
        self.seeds = [n for n in SEEDS if n < total] + [total]
        self.images = [n for n in IMAGES if n < every] + [every]
        self.verdicts = functools.cache(self._verdicts)  # a pair is computed once

    def _verdicts(self, a: str, b: str, images: int) -> dict[int, Verdicts]:
        """Say what many comparisons of A and B on so many images would find, by number of seeds."""
        return compute_verdicts(self.hits[a].float() - self.hits[b].float(), self.seeds, images)


def compute_verdicts(
    values: torch.Tensor, seeds: Sequence[int], images: int, experiments: int = REPEATS
) -> dict[int, Verdicts]:
    """Take what was measured as all there is, draw many experiments from it with replacement, and count verdicts.

    There is one value a seed and image, the hit of A minus that of B, float32 `[S, N]`. An experiment says A or B where
    the t intervals over its seeds and over its images both leave out 0.
    """
    draws = generator("duels")
    total, every = values.shape
    tested = _shares(torch.randint(every, (experiments, images), generator=draws), every)
    per_seed = tested @ values.T  # [experiments, S]
    found = {}
    for n in seeds:
        pick = torch.randint(total, (experiments, n), generator=draws)
        chosen, per_image = per_seed.gather(1, pick), _shares(pick, total) @ values  # [experiments, n], [.., N]
        mean = chosen.mean(1)
        square = torch.linalg.vecdot(tested, per_image.square()) - mean.square()  # variance over the images
        over_images = _reach(images) * (square.clamp(min=0) * images / (images - 1)).sqrt()
        clear = mean.abs() > torch.maximum(_reach(n) * chosen.std(1), over_images)
        a, b = (100 * (clear & side).double().mean().item() for side in (mean > 0, mean < 0))
        found[n] = (a, 100 - a - b, b)
    return found


def _shares(drawn: torch.Tensor, every: int) -> torch.Tensor:
    """Turn numbers drawn with replacement, int64 `[experiments, k]`, into weights, float `[experiments, every]`."""
    experiments, k = drawn.shape
    return torch.zeros(experiments, every).scatter_add_(1, drawn, torch.full(drawn.shape, 1 / k))


def _reach(count: int) -> float:
    """How many standard deviations of one value the t interval of the mean of `count` reaches to either side."""
    return float(stdtrit(count - 1, (1 + LEVEL) / 2)) / count**0.5
