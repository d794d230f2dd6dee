"""Choosing the best, and what its score is then worth: the trap of notebook 04, and two ways around it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from tlcourse.data.splits import few_per_class, stratified_folds
from tlcourse.evaluation.predict import extract_features, nested_selection
from tlcourse.lessons.nb04_evaluation.experiment import three_piles
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.repro import generator
from tlcourse.training.parallel import side_by_side

SHIPPED_PROMISES = shipped_table("promises")


@dataclass(frozen=True)
class Choices:
    """Many choices of the best network by its score on a few images.

    Attributes:
        shown: score of each winner on the images it was chosen with, in percent, float64 `[experiments]`.
        untouched: its score on images that had no part in the choice, in percent, float64 `[experiments]`.
    """

    shown: torch.Tensor
    untouched: torch.Tensor

    @property
    def optimism(self) -> float:
        """By how many points the winner's shown score is too high, on average."""
        return (self.shown - self.untouched).mean().item()


def choose_often(
    hits: torch.Tensor, images: int, candidates: int | None = None, experiments: int = 500, seed: int = 0
) -> Choices:
    """Choose the best of several trained networks on some images, and score it on all others; again and again.

    Args:
        hits: whether each network reads each image, bool `[networks, N]`.
        images: how many images to choose with, from 1 to N - 1, drawn anew for every choice.
        candidates: how many networks to choose among, drawn anew for every choice; None means all.
        experiments: how many choices.
        seed: seed of the drawing.

    Returns:
        Both scores of every winner.

    Raises:
        ValueError: more images or candidates than there are.
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


@dataclass(frozen=True)
class Promise:
    """One choice among probes with few labels: what cross-validation promised, and what came of it.

    Attributes:
        seed: seed of the labelled images and of all folds.
        promised: the winner's score in plain cross-validation, the score it was chosen for, in percent.
        nested: mean score on the outer folds of nested selection, in percent.
        truth: the winner, trained on all labelled images, on all the others, in percent.
    """

    seed: int
    promised: float
    nested: float
    truth: float


def half_features(candidates: int, features: int, seed: int = 0) -> list[torch.Tensor]:
    """Draw candidates that are as good as each other to speak of: each may use another random half of the features.

    Args:
        candidates: how many.
        features: how many features there are.
        seed: seed of the drawing.

    Returns:
        Column numbers of each, int64 `[features // 2]`.
    """
    draws = generator("half features", seed)
    return [torch.randperm(features, generator=draws)[: features // 2] for _ in range(candidates)]


def probe_accuracy(
    features: torch.Tensor, labels: torch.Tensor, columns: torch.Tensor, learn: torch.Tensor, new: torch.Tensor
) -> float:
    """Fit a linear probe in one step, by ridge regression on the right answers, and measure it.

    Args:
        features: float32 `[N, D]`.
        labels: int64 `[N]`.
        columns: which features to use, int64 `[d]`.
        learn: indices of the images to fit, int64 `[n]`.
        new: indices of the images to measure on.

    Returns:
        Accuracy on the latter, in percent.
    """
    x = features[:, columns]
    mean, spread = x[learn].mean(0), x[learn].std(0) + 1e-6  # of the images to fit only: the others are not known yet
    seen, unseen = (x[learn] - mean) / spread, (x[new] - mean) / spread  # [n, d], [m, d]
    targets = F.one_hot(labels[learn], int(labels.max()) + 1).float()
    inner = seen @ seen.T + len(columns) * torch.eye(len(learn))  # [n, n]: fewer images than features
    answers = unseen @ (seen.T @ torch.linalg.solve(inner, targets - targets.mean(0)))
    return 100 * (answers.argmax(1) == labels[new]).float().mean().item()


def promise(
    features: torch.Tensor, labels: torch.Tensor, seed: int, per_class: int = 5, candidates: int = 30
) -> Promise:
    """Label a few images, choose the best of many equally good probes, and compare three scores of it.

    Args:
        features: float32 `[N, D]` of images with known labels.
        labels: int64 `[N]`.
        seed: seed of the labelled images and of all folds.
        per_class: labelled images per class; the others tell the truth afterwards.
        candidates: how many probes to choose among.

    Returns:
        What plain cross-validation promised, what nested selection expected, and the truth.
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
    return Promise(
        seed, means[best], sum(nested.outer_accuracy) / len(nested.outer_accuracy), score(probes[best], labelled, rest)
    )


def run_promises(seeds: Sequence[int], progress: bool = True) -> list[Promise]:
    """Run `promise` with every seed on the features that the letters network finds in the practice images.

    Args:
        seeds: seeds.
        progress: show a progress bar.

    Returns:
        One promise a seed.
    """
    practice, _, _ = three_piles()
    features = extract_features(pretrained("tiny_resnet", "letters"), practice)
    return side_by_side(promise, [(features, practice.labels, seed) for seed in seeds], progress)


def read_promises(path: Path | str = SHIPPED_PROMISES) -> list[Promise]:
    """Read promises from a file; by default those that came with the course."""
    return read_rows(path, Promise)
