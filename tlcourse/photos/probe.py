"""The linear probe of photographs: each goes once through the frozen network, then a head and its penalty are found.

How strongly the weights are held back is chosen in cross-validation, in which near duplicates share a fold, and then
the head learns from all photographs. Where a fine-tuning will be compared with the probe, some photographs have to stay
unseen by both: they choose in its place.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.allocator import large_blocks_go_back
from tlcourse.data.splits import stratified_group_folds
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.one_pass import one_pass
from tlcourse.repro import generator
from tlcourse.transfer.linear_probe import Probe, solve_probe

PENALTIES = (0.1, 1.0, 10.0, 100.0)  # among which is chosen; for features of about unit size
FOLDS = 5  # or as many as the rarest class has different photographs
ENOUGH = 2_000  # held-out answers; with more, the choice would hardly change, and takes long

Fold = tuple[torch.Tensor, torch.Tensor]  # numbers of what is learned from, and of what is held out


class CachedFeatures(NamedTuple):
    """What a frozen backbone made of photographs, once: float32 `[N, F]`, and their labels, int64 `[N]`."""

    features: torch.Tensor
    labels: torch.Tensor

    def subset(self, rows: torch.Tensor) -> "CachedFeatures":
        """Return those of some photographs, by their numbers."""
        return CachedFeatures(self.features[rows], self.labels[rows])

    def joined(self, others: "CachedFeatures") -> "CachedFeatures":
        """Return these and then others."""
        return CachedFeatures(*(torch.cat(pair) for pair in zip(self, others, strict=True)))


@dataclass(frozen=True)
class ChosenProbe:
    """A linear head for cached features, the penalty that was chosen for it, and the answers that chose."""

    probe: Probe
    penalty: float
    known: CachedFeatures  # what the head learned from
    asked: CachedFeatures  # what chose
    logits: torch.Tensor  # for `asked`, by heads that had not learned from them, float64 [N, classes]
    folds: tuple[Fold, ...] = ()  # of `known` that were asked one after the other; none where others were

    @property
    def validation_loss(self) -> float:
        """Mean cross-entropy of held-out answers, in nats."""
        return F.cross_entropy(self.logits, self.asked.labels).item()

    @property
    def mistakes(self) -> int:
        """How many held-out photographs are taken for another class."""
        return int((self.logits.argmax(1) != self.asked.labels).sum())

    @property
    def validation_accuracy(self) -> float:
        """Share of right held-out answers, in percent."""
        return 100 * (1 - self.mistakes / len(self.logits))

    def __str__(self) -> str:
        where = "in cross-validation" if self.folds else "on validation"
        return f"{self.validation_accuracy:.1f} % right {where}, {self.mistakes} mistakes of {len(self.logits):,}."

    def in_words(self) -> dict[str, str]:
        """Say for a model card what was kept, where it is the probe."""
        how = "chosen on validation"
        if self.folds:
            how = (
                f"chosen in cross-validation by {len(self.asked.labels):,} photographs for training and validation; "
                "then fitted to all of them"
            )
        return {
            "what was kept": "the linear probe on the frozen network",
            "penalty of the probe": f"{self.penalty:g}, {how}",
        }


def cache_features(model: nn.Module, photos: PhotoSource, progress: bool = False) -> CachedFeatures:
    """Send photographs through the frozen backbone once; a head on what comes out before its own trains in a second."""
    asked, shown = (photos.prepared, len(photos), photos.preprocessing.crop), "features" if progress else None
    return CachedFeatures(one_pass(model, *asked, features=True, progress=shown), photos.labels)


def fitted(known: CachedFeatures, classes: int, penalty: float) -> Probe:
    """Return the best head of a penalty; every class counts the same, however few photographs it has."""
    return solve_probe(*known, classes, penalty, balanced=True, size=_size(known.features))


def answers_of(probe: Probe, features: torch.Tensor) -> torch.Tensor:
    """Return a head's logits for features `[N, F]`, float64 `[N, classes]`."""
    return features.double() @ probe.weight.T + probe.bias


def solve_photo_probe(
    train: CachedFeatures, validation: CachedFeatures, classes: int, penalties: Sequence[float] = PENALTIES
) -> ChosenProbe:
    """Find the best linear head for features of training photographs; others choose its penalty.

    Raises ValueError where shapes do not agree, or no penalty is given.
    """
    tried = []
    for penalty in _checked(penalties):
        probe = fitted(train, classes, penalty)
        tried.append(ChosenProbe(probe, penalty, train, validation, answers_of(probe, validation.features)))
    return min(tried, key=lambda one: one.validation_loss)


@large_blocks_go_back()
def cross_validated_probe(
    known: CachedFeatures,
    groups: torch.Tensor,
    classes: int,
    seed: int = 0,
    penalties: Sequence[float] = PENALTIES,
) -> ChosenProbe:
    """Find the best linear head for all photographs, with the penalty that answers held-out folds best.

    `groups` and the folds are those of `photo_folds`. Raises ValueError where a class has fewer than two groups, or no
    penalty is given.

    Source: Stone, "Cross-validatory choice and assessment of statistical predictions", 1974, Journal of the Royal
    Statistical Society B.
    """
    folds = photo_folds(known.labels, groups, seed)
    asked = known.subset(torch.cat([held_out for _, held_out in folds]))
    short, size, answers = _in_few_numbers(known), _size(known.features), []
    for rest, held_out in folds:
        learned, shown = short.subset(rest), short.features[held_out]
        probes = [solve_probe(*learned, classes, penalty, balanced=True, size=size) for penalty in _checked(penalties)]
        answers.append([answers_of(probe, shown) for probe in probes])
    tried = [(penalty, torch.cat(said)) for penalty, said in zip(penalties, zip(*answers, strict=True), strict=True)]
    penalty, logits = min(tried, key=lambda one: F.cross_entropy(one[1], asked.labels).item())
    return ChosenProbe(fitted(known, classes, penalty), penalty, known, asked, logits, folds)


def _size(features: torch.Tensor) -> float:
    """Return the standard deviation of all numbers, or 1 where they are all alike."""
    return features.std().item() or 1.0


def _in_few_numbers(known: CachedFeatures) -> CachedFeatures:
    """Return features of few photographs turned so that N need at most N numbers each, in float64.

    The weights of a penalised head are a sum of the features that it learned from, so turning all of them changes no
    answer, and heads are found several times sooner. Many stay as they are: copies would be most of the memory.
    """
    x = known.features
    if len(x) >= x.shape[1]:
        return known
    x = (x - x.mean(0)).double()
    return known._replace(features=torch.linalg.qr(x.T).R.T.contiguous())


def photo_folds(labels: torch.Tensor, groups: torch.Tensor, seed: int = 0) -> tuple[Fold, ...]:
    """Deal photographs out to `FOLDS` folds, or as many as the rarest class has groups; near duplicates share one.

    `groups` are int64 `[N]`. Of many photographs only the first folds are returned, which hold `ENOUGH` out.
    """
    fewest = min(len(groups[labels == c].unique()) for c in labels.unique())
    folds = stratified_group_folds(labels, groups, min(FOLDS, fewest), generator("folds of photographs", seed))
    sums = itertools.accumulate(len(held_out) for _, held_out in folds)
    return tuple(folds[: 1 + sum(count < ENOUGH for count in sums)])


def _checked(penalties: Sequence[float]) -> Sequence[float]:
    if not penalties:
        raise ValueError("no penalty was given, but at least one was expected, such as (1.0,).")
    return penalties
