"""Statistics computed before the split: one that hardly matters, and one that makes a score out of nothing."""

from typing import Any

import torch

from tlcourse.data.normalisation import channel_statistics
from tlcourse.data.splits import stratified_folds, stratified_split
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb01_preprocessing.experiment import normalised
from tlcourse.lessons.nb01_preprocessing.leaks import linear_probe, percent_right
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator

BEFORE, AFTER = "before the split", "after the split"
CHANNELS, PIXELS = "mean and deviation of 3 channels", "20 of 3,072 pixels, chosen by labels"


def most_telling(x: torch.Tensor, labels: torch.Tensor, count: int = 20) -> torch.Tensor:
    """Choose the features whose means differ most between two classes, measured in standard deviations.

    `x` is float `[N, F]`, the labels are 0 or 1; the numbers of the features come in ascending order, int64 `[count]`.
    """
    gap = x[labels == 1].mean(0) - x[labels == 0].mean(0)
    return (gap.abs() / (x.std(0) + 1e-6)).topk(count).indices.sort().values


def nearest_mean(x: torch.Tensor, labels: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Give each asked row the class, 0 or 1, whose mean over `x` is nearer: float `[M, F]` to int64 `[M]`."""
    means = torch.stack([x[labels == c].mean(0) for c in (0, 1)])
    return torch.cdist(asked, means).argmin(1)


def coin_flips(seed: int, count: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    """Return real images as rows of pixels, float `[count, 3072]` from 0 to 1, and labels that mean nothing.

    Half of the labels are 0 and half are 1, in random order, so no method can do better than 50 % on new images.
    """
    images = load("printed-photo", "letters", count=1000).images
    rows = torch.randperm(len(images), generator=generator("coin rows", seed))[:count]
    labels = torch.arange(count)[torch.randperm(count, generator=generator("coin labels", seed))] % 2
    return images[rows].flatten(1).float() / 255, labels


def peek(seed: int) -> list[dict[str, Any]]:
    """Measure what two statistics gain when they are computed before the split: of channels, and of coin flips."""
    return [*_peek_at_channels(seed), *_peek_at_pixels(seed)]


def _peek_at_pixels(seed: int) -> list[dict[str, Any]]:
    """Choose 20 telling pixels for labels that mean nothing, and cross-validate; the truth is 50 %.

    Source: Ambroise and McLachlan, "Selection bias in gene extraction on the basis of microarray gene-expression data",
    2002, Proceedings of the National Academy of Sciences.
    """
    x, labels = coin_flips(seed)
    answers = {BEFORE: torch.empty_like(labels), AFTER: torch.empty_like(labels)}
    for train, held_out in stratified_folds(labels, 5, generator("coin folds", seed)):
        pixels = {
            BEFORE: most_telling(x, labels),  # from all rows, held-out ones too
            AFTER: most_telling(x[train], labels[train]),
        }
        for when, chosen in pixels.items():
            answers[when][held_out] = nearest_mean(x[train][:, chosen], labels[train], x[held_out][:, chosen])
    scores = {when: 100 * (said == labels).float().mean().item() for when, said in answers.items()}
    return [{"statistic": PIXELS, "computed": when, "accuracy": score} for when, score in scores.items()]


def _peek_at_channels(seed: int) -> list[dict[str, Any]]:
    """Normalise 200 digits by statistics of all, or of the 50 that a linear probe trains on; test it on the rest."""
    digits, backbone = load("handwritten-photo").few(20, seed), pretrained()
    train, held_out = stratified_split(digits.labels, 0.25, generator("split", seed))
    rows = []
    for when, known in ((BEFORE, torch.arange(len(digits))), (AFTER, train)):
        features = extract_features(backbone, normalised(digits, channel_statistics(digits.images[known])))
        probe = linear_probe(features[train], digits.labels[train], len(digits.classes))
        score = percent_right(probe(features[held_out]), digits.labels[held_out])
        rows.append({"statistic": CHANNELS, "computed": when, "accuracy": score})
    return rows
