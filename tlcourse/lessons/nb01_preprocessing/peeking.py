"""Statistics computed before the split: one that hardly matters, and one that makes a score out of nothing."""

from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.normalisation import channel_statistics
from tlcourse.data.splits import stratified_folds, stratified_split
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb01_preprocessing.experiment import linear_probe, normalised, percent_right
from tlcourse.repro import generator


@dataclass(frozen=True)
class Peek:
    """The same score with a statistic of all rows, and with one of the training rows alone.

    Attributes:
        what: which statistic.
        seed: seed of everything random.
        before: score when it was computed before the split, in percent.
        after: score when it was computed after the split, in percent.
    """

    what: str
    seed: int
    before: float
    after: float


def most_telling(x: torch.Tensor, labels: torch.Tensor, count: int = 20) -> torch.Tensor:
    """Choose the features whose means differ most between two classes, measured in standard deviations.

    Args:
        x: float `[N, F]`.
        labels: 0 or 1, int64 `[N]`.
        count: how many features to choose.

    Returns:
        Their numbers, int64 `[count]`, ascending.
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


def peek_at_pixels(seed: int, count: int = 100, pixels: int = 20) -> Peek:
    """Choose the most telling pixels for labels that mean nothing, before and after the split, and cross-validate.

    Args:
        seed: seed of images, labels and folds.
        count: images.
        pixels: how many pixels to choose of the 3,072.

    Returns:
        Both scores; the truth is 50 %.

    Source: Ambroise and McLachlan, "Selection bias in gene extraction on the basis of microarray gene-expression data",
    2002, Proceedings of the National Academy of Sciences.
    """
    x, labels = coin_flips(seed, count)
    before, after = torch.empty_like(labels), torch.empty_like(labels)
    for train, held_out in stratified_folds(labels, 5, generator("coin folds", seed)):
        for answers, chosen in (
            (before, most_telling(x, labels, pixels)),  # from all rows, held-out ones too
            (after, most_telling(x[train], labels[train], pixels)),
        ):
            answers[held_out] = nearest_mean(x[train][:, chosen], labels[train], x[held_out][:, chosen])
    right = [100 * (answers == labels).float().mean().item() for answers in (before, after)]
    return Peek("most telling pixels", seed, *right)


def peek_at_channels(seed: int, backbone: nn.Module) -> Peek:
    """Normalise digits by channel statistics of all of them, or of the training part alone, and train a linear probe.

    Args:
        seed: seed of the choice of 200 digits and of their split, 50 to train on and 150 held out.
        backbone: a pretrained network; the probe is trained on its features.

    Returns:
        Both scores on the held-out digits.
    """
    digits = load("handwritten-photo").few(20, seed)
    train, held_out = stratified_split(digits.labels, 0.25, generator("split", seed))
    scores = []
    for rows in (torch.arange(len(digits)), train):
        statistics = channel_statistics(digits.images[rows])
        features = extract_features(backbone, normalised(digits, statistics))
        judge = linear_probe(features[train], digits.labels[train], len(digits.classes))
        scores.append(percent_right(judge(features[held_out]), digits.labels[held_out]))
    return Peek("mean and deviation of the channels", seed, *scores)
