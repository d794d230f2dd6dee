"""Pseudo-labels on cached features: a head labels photographs by its own surest answers, and is solved again.

No pass through the network and no learning rate, so this takes seconds, and can be cross-validated. What a head gets
wrong it then learns, too: whether that harms is what `cross_validated` finds out.
"""

import torch

from tlcourse.adaptation.self_training import SHARES, surest_of_each_class
from tlcourse.photos.probe import CachedFeatures, ChosenProbe, answers_of, fitted
from tlcourse.transfer.linear_probe import Probe


def self_trained(
    known: CachedFeatures, unknown: torch.Tensor, probe: Probe, classes: int, penalty: float
) -> tuple[Probe, torch.Tensor]:
    """Solve a probe again with its own surest answers for features `[M, F]`, class by class, more of them each round.

    Returns the last head, and the class that it learned for each of them, int64 `[M]`, -1 where it learned none.

    Source: Lee, "Pseudo-label: The simple and efficient semi-supervised learning method for deep neural networks",
    2013, ICML workshop on challenges in representation learning.
    """
    for share in SHARES:
        logits = answers_of(probe, unknown)
        sure, learned = surest_of_each_class(logits, share), torch.full((len(unknown),), -1)
        learned[sure] = logits.argmax(1)[sure]
        answered = CachedFeatures(unknown[sure].to(known.features), learned[sure])
        probe = fitted(known.joined(answered), classes, penalty)
    return probe, learned


def cross_validated(chosen: ChosenProbe, unknown: torch.Tensor, classes: int) -> torch.Tensor:
    """Return logits like those of a cross-validated probe, by heads that learned from pseudo-labels too.

    They are for the same photographs, of the same folds, float64 `[N, classes]`.
    """
    logits = []
    for rest, held_out in chosen.folds:
        learned = chosen.known.subset(rest)
        probe = fitted(learned, classes, chosen.penalty)
        probe, _ = self_trained(learned, unknown, probe, classes, chosen.penalty)
        logits.append(answers_of(probe, chosen.known.features[held_out]))
    return torch.cat(logits)
