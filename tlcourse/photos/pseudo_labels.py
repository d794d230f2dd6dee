"""Pseudo-labels on cached features: a head labels photographs by its own surest answers, and is solved again.

No pass through the network and no learning rate, so this takes seconds, and can be cross-validated. What a head gets
wrong it then learns, too: whether that harms is what `cross_validated` finds out.
"""

import torch

from tlcourse.adaptation.self_training import SHARES, surest_of_each_class
from tlcourse.data.splits import stratified_group_folds
from tlcourse.photos.finetuning import CachedFeatures
from tlcourse.repro import generator
from tlcourse.transfer.linear_probe import Probe, solve_probe

FOLDS = 5  # or as many as the rarest class has different photographs


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
        features = torch.cat([known.features, unknown[sure].to(known.features)])
        labels = torch.cat([known.labels, learned[sure]])
        probe = solve_probe(features, labels, classes, penalty, balanced=True, unit_size=True)
    return probe, learned


def answers_of(probe: Probe, features: torch.Tensor) -> torch.Tensor:
    """Return a head's logits for features `[N, F]`, float64 `[N, classes]`."""
    return features.double() @ probe.weight.T + probe.bias


def cross_validated(
    known: CachedFeatures, groups: torch.Tensor, unknown: torch.Tensor, classes: int, penalty: float, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits for labelled photographs without and with pseudo-labels, by heads that did not learn from them.

    Both are float64 `[N, classes]`. Near duplicates (`groups`, int64 `[N]`) share a fold. Every class needs two groups,
    else ValueError.
    """
    fewest = min(len(groups[known.labels == c].unique()) for c in range(classes))
    without, beside = (torch.zeros(len(groups), classes, dtype=torch.float64) for _ in range(2))
    for rest, held_out in stratified_group_folds(
        known.labels, groups, min(FOLDS, fewest), generator("pseudo-labels", seed)
    ):
        learned, asked = known.subset(rest), known.features[held_out]
        probe = solve_probe(*learned, classes, penalty, balanced=True, unit_size=True)
        without[held_out] = answers_of(probe, asked)
        beside[held_out] = answers_of(self_trained(learned, unknown, probe, classes, penalty)[0], asked)
    return without, beside
