"""Choosing the best, and what its score is then worth: the trap of notebook 04, and two ways around it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
import torch.nn.functional as F

from tlcourse.data.imageset import ImageSet
from tlcourse.data.splits import few_per_class, stratified_folds
from tlcourse.evaluation.predict import cross_validate, extract_features, nested_selection
from tlcourse.lessons.nb04_evaluation.experiment import train_validation_test
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.repro import generator


@dataclass(frozen=True)
class Choices:
    """The scores of many winners in percent, float64 `[experiments]`."""

    shown: torch.Tensor  # on the images that they were chosen with
    untouched: torch.Tensor  # on images that had no part in the choice

    @property
    def optimism(self) -> float:
        """By how many points the winner's shown score is too high, on average."""
        return (self.shown - self.untouched).mean().item()


def choose_often(
    hits: torch.Tensor, images: int, candidates: int | None = None, experiments: int = 500, seed: int = 0
) -> Choices:
    """Choose the best of several trained networks on some images, and score it on all others; again and again.

    `hits` say whether each network reads each image, bool `[networks, N]`. Images, from 1 to N - 1, and candidates, by
    default all, are drawn anew for every choice. Raises ValueError when more are asked for than there are.
    """
    networks, total = hits.shape
    candidates = networks if candidates is None else candidates
    if not 1 <= images < total or not 1 <= candidates <= networks:
        raise ValueError(
            f"got {images} images and {candidates} candidates of {networks} networks on {total} images. Expected from "
            f"1 to {total - 1} images, so that some stay untouched, and from 1 to {networks} candidates."
        )
    draws, right, shown, untouched = generator("choose", seed), 100 * hits.double(), [], []
    for _ in range(experiments):
        order = torch.randperm(total, generator=draws)
        drawn = torch.randperm(networks, generator=draws)[:candidates]
        with_these, rest = (right[drawn][:, part].mean(1) for part in (order[:images], order[images:]))
        winner = with_these.argmax()
        shown.append(with_these[winner])
        untouched.append(rest[winner])
    return Choices(torch.stack(shown), torch.stack(untouched))


def half_features(candidates: int, features: int, seed: int = 0) -> list[torch.Tensor]:
    """Draw candidates about as good as each other: each may use another random half of the features."""
    draws = generator("half features", seed)
    return [torch.randperm(features, generator=draws)[: features // 2] for _ in range(candidates)]


def probe_accuracy(
    features: torch.Tensor, labels: torch.Tensor, columns: torch.Tensor, learn: torch.Tensor, new: torch.Tensor
) -> float:
    """Fit a linear probe in one step, by ridge regression on the right answers, and return its accuracy in percent.

    Of the features `[N, D]` it uses some columns; it learns from the images of the first indices, and is asked about
    those of the second.
    """
    x = features[:, columns]
    mean, spread = x[learn].mean(0), x[learn].std(0) + 1e-6  # of the images to fit only: the others are not known yet
    seen, unseen = (x[learn] - mean) / spread, (x[new] - mean) / spread  # [n, d], [m, d]
    targets = F.one_hot(labels[learn], int(labels.max()) + 1).float()
    inner = seen @ seen.T + len(columns) * torch.eye(len(learn))  # [n, n]: fewer images than features
    answers = unseen @ (seen.T @ torch.linalg.solve(inner, targets - targets.mean(0)))
    return 100 * (answers.argmax(1) == labels[new]).float().mean().item()


def letters_features(images: ImageSet) -> torch.Tensor:
    """Return what the letters network finds in images, float32 `[N, 128]`."""
    return extract_features(pretrained("tiny_resnet", "letters"), images)


def cross_validate_probe(labelled: ImageSet, deals: int, folds: int = 5) -> list[list[float]]:
    """Cross-validate a linear probe on the features of the letters network, once a dealing: percent by fold."""
    features = letters_features(labelled)
    score = functools.partial(probe_accuracy, features, labelled.labels, torch.arange(features.shape[1]))
    return [cross_validate(score, labelled.labels, folds, seed) for seed in range(deals)]


def selection_trial(
    seed: int, features: torch.Tensor, labels: torch.Tensor, per_class: int = 5, candidates: int = 30
) -> dict[str, float]:
    """Label a few images, choose the best of many equally good probes, and compare three scores of it, in percent.

    `promised` is the winner's score in plain cross-validation, which it was chosen for; `nested` the mean over the
    outer folds of nested selection; `truth` the winner's score on all images without a label. The seed is that of the
    labelled images and of all folds.
    """
    labelled = few_per_class(labels, per_class, generator("few", seed))
    rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, labelled, False).nonzero()[:, 0]
    probes = half_features(candidates, features.shape[1])
    score = functools.partial(probe_accuracy, features, labels)

    def on_labelled(columns: torch.Tensor, learn: torch.Tensor, new: torch.Tensor) -> float:
        return score(columns, labelled[learn], labelled[new])

    deals = stratified_folds(labels[labelled], 5, generator("folds", seed))
    means = [sum(on_labelled(columns, *deal) for deal in deals) / len(deals) for columns in probes]
    best = max(range(candidates), key=means.__getitem__)
    nested = nested_selection(on_labelled, probes, labels[labelled], seed=seed)
    return {
        "promised": means[best],
        "nested": sum(nested.outer_accuracy) / len(nested.outer_accuracy),
        "truth": score(probes[best], labelled, rest),
    }


def selection_trials(seeds: Sequence[int], progress: bool = True) -> pd.DataFrame:
    """Run `selection_trial` with every seed on the features that the letters network finds in the pool images."""
    pool, _, _ = train_validation_test()
    features = letters_features(pool)
    trial = functools.partial(selection_trial, features=features, labels=pool.labels)
    return grid(trial, progress=progress, seed=seeds)
