"""Which backbone for these photographs? Each is judged by the same ones, frozen, in cross-validation.

Two numbers are computed from one pass of the photographs. The linear probe is the one that `finetune` begins with, and
decides, for its folds give an interval. LogME stands beside it, as it asks something else of the same features: how
likely the labels are under a linear model. Why not k-NN: on the sixteen candidates of notebook 05, the order of LogME
was never the worse one (weighted tau 3.8 [0.2, 7.4] points higher with 5 labels per class, 1.0 [-0.2, 2.2] with 20;
after Holm's correction it is open which of them is better), and its memory grows with the photographs, not with their
square.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tlcourse.data.splits import stratified_group_folds
from tlcourse.evaluation.intervals import Interval, paired_difference, t_interval
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import about_weights, photo_network, weights_in
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.pipeline import Tell
from tlcourse.photos.probe import CachedFeatures, answers_of, cache_features, fitted, solve_photo_probe
from tlcourse.photos.splits import check_enough
from tlcourse.repro import generator, pick_device
from tlcourse.training.parallel import side_by_side
from tlcourse.transfer.transferability import logme

FOLDS = 5  # so many different photographs a class needs


@dataclass(frozen=True)
class Judged:
    """What one backbone is worth on the photographs, and what it costs."""

    name: str
    origin: str  # of its weights
    licence: str
    score: float  # LogME, in nats an image and class
    folds: tuple[float, ...]  # share of each fold that its probe answers rightly, in percent
    parameters: int  # with a head for the classes
    megabytes: float  # of the saved network
    seconds: float  # to read the photographs, send them through once, and find score and probes

    @property
    def accuracy(self) -> Interval:
        """Mean over the folds in percent with its t interval, which is cut where no share can be."""
        found = t_interval(self.folds)
        return Interval(found.mean, max(0.0, found.low), min(100.0, found.high))


@dataclass(frozen=True)
class Choice:
    """Backbones side by side, the highest accuracy first, and which of them to take."""

    photos: PhotoSet  # by which they were judged
    judged: tuple[Judged, ...]

    @property
    def best(self) -> Judged:
        """The one with the highest accuracy."""
        return self.judged[0]

    def behind(self, one: Judged) -> Interval:
        """Return by how many points one is above the best, fold by fold: a mean of at most 0, with its t interval."""
        return paired_difference(one.folds, self.best.folds)

    @property
    def not_worse(self) -> tuple[Judged, ...]:
        """The best, and all that these photographs do not tell from it: their difference is open."""
        return tuple(one for one in self.judged if one is self.best or self.behind(one).high >= 0)

    @property
    def advised(self) -> Judged:
        """The smallest of those that are not seen to be worse than the best."""
        return min(self.not_worse, key=lambda one: one.megabytes)

    def reasons(self) -> list[str]:
        """Say in sentences which to take, why, and what speaks against it."""
        right = f"Its probe is right on {self.advised.accuracy} % of photographs that it did not see."
        said = [self._advice(), right, self._lost(), self._score(), self._chance()]
        return [sentence for sentence in said if sentence]

    def _advice(self) -> str:
        name = self.advised.name
        if len(self.judged) == 1:
            return f"Only {name} was named: there is nothing to compare."
        if len(self.not_worse) == 1:
            return f"Take {name}: every other is seen to be below it."
        return f"Take {name}, the smallest of {len(self.not_worse)} that these photographs do not tell apart."

    def _lost(self) -> str:
        """Say what is open between those that were not told apart."""
        others = ", ".join(one.name for one in self.not_worse if one is not self.advised)
        if not others:
            return ""
        if self.advised is self.best:
            return f"That it is better than {others} is open."
        off, best = self.behind(self.advised), self.best
        return (
            f"{best.name} is right more often, but the difference is open ({off} points): up to {-off.low:.1f} points "
            f"may be lost, for {self.advised.megabytes:.1f} MB in place of {best.megabytes:.1f}."
        )

    def _score(self) -> str:
        first = max(self.judged, key=lambda one: one.score)
        if len(self.judged) == 1:
            return ""
        if first is self.best:
            return f"LogME puts {first.name} first, as the probe does."
        return f"LogME puts {first.name} first; it comes without an interval, so the probe decides."

    def _chance(self) -> str:
        counts = self.photos.counts()
        largest = max(counts, key=counts.get)
        share = 100 * counts[largest] / len(self.photos)
        if self.advised.accuracy.low > share:
            return ""
        return (
            f"But it is not seen to be better than always answering {largest!r}, which is right on {share:.1f} %: add "
            "photographs, or try other backbones."
        )


def compare_backbones(
    photos: PhotoSet,
    names: Sequence[str],
    weights_dir: Path | str | None = None,
    *,
    tell: Tell = lambda words: None,
    **options: object,
) -> Choice:
    """Judge backbones one after the other by the same photographs, of which none of the test should be one.

    Their weights are files of a folder, or the default ones; `tell` is given a line before each, and `options` are
    those of `judge`. Every class needs `FOLDS` different photographs, else ValueError.
    """
    check_enough(photos, FOLDS, "one for every fold, beside those kept for the test")
    judged = []
    for number, name in enumerate(names, 1):
        weights = weights_in(weights_dir, name)
        tell(f"Judging {name} ({number} of {len(names)}), weights: {about_weights(name, weights)[0]}.")
        judged.append(judge(photos, name, weights, **options))
    return ranked(photos, judged)


def ranked(photos: PhotoSet, judged: Sequence[Judged]) -> Choice:
    """Put backbones that were judged by the same photographs in order."""
    return Choice(photos, tuple(sorted(judged, key=lambda one: (-one.accuracy.mean, one.megabytes))))


def judge(
    photos: PhotoSet,
    name: str,
    weights: str | Path = "DEFAULT",
    *,
    side: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> Judged:
    """Send photographs once through a frozen backbone, and find what its features are worth.

    Raises what `photo_network`, `open_photos` and `solve_probe` do.
    """
    classes = len(photos.classes)
    model, preprocessing = photo_network(name, classes, weights, seed=seed, side=side, progress=progress)
    model.to(pick_device(device))
    began = time.perf_counter()
    known = cache_features(model, open_photos(photos, preprocessing, most_bytes=0), progress)
    score, folds = logme(*known), probe_folds(known, photos.groups, classes, seed)
    seconds = time.perf_counter() - began
    size = sum(tensor.nbytes for tensor in model.state_dict().values()) / 2**20
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Judged(name, *about_weights(name, weights), score, tuple(folds), parameters, size, seconds)


def probe_folds(known: CachedFeatures, groups: torch.Tensor, classes: int, seed: int = 0) -> list[float]:
    """Cross-validate the probe of `finetune`: the share of each fold that it answers rightly, in percent.

    The next fold chooses its penalty, and then it is fitted to all but the fold that is asked, which has no part in
    either. Near duplicates (`groups`, int64 `[N]`) share a fold.
    """
    deals = stratified_group_folds(known.labels, groups, FOLDS, generator("choose", seed))

    def ask(fold: int) -> float:
        (rest, held_out), chooses = deals[fold], deals[(fold + 1) % FOLDS][1]
        learned, asked = known.subset(rest[~torch.isin(rest, chooses)]), known.subset(held_out)
        penalty = solve_photo_probe(learned, known.subset(chooses), classes).penalty
        answers = answers_of(fitted(known.subset(rest), classes, penalty), asked.features).argmax(1)
        return 100 * (answers == asked.labels).double().mean().item()

    return side_by_side(ask, [(fold,) for fold in range(FOLDS)], progress=False)
