"""Choosing the best, and what its score is then worth: the trap of notebook 04, and nested selection."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from tlcourse.data.splits import few_per_class
from tlcourse.evaluation.predict import cross_validate, extract_features, nested_selection
from tlcourse.evaluation.significance import selection_optimism
from tlcourse.lessons.nb04_evaluation.experiment import PER_CLASS, train_validation_test
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.transfer.linear_probe import solve_probe

CANDIDATES = 20
SIZE = "images used to choose"


@dataclass(frozen=True)
class Choices:
    """The scores of many winners in percent, float64 `[experiments]`."""

    shown: torch.Tensor  # on the images that they were chosen with
    untouched: torch.Tensor  # on images that had no part in the choice

    @property
    def optimism(self) -> float:
        """By how many points the winner's shown score is too high, on average."""
        return (self.shown - self.untouched).mean().item()


def choose_often(hits: torch.Tensor, images: int, experiments: int = 300) -> Choices:
    """Choose the best of several trained networks on some images, and score it on all others; again and again.

    `hits` say whether each network reads each image, bool `[networks, N]`; the images, from 1 to N - 1, are drawn anew
    for every choice. Raises ValueError when none would stay untouched.
    """
    total = hits.shape[1]
    if not 1 <= images < total:
        raise ValueError(f"got {images} images. Expected 1 to {total - 1}, so that some of {total} stay untouched.")
    draws, right, shown, untouched = generator("choose", 0), 100 * hits.double(), [], []
    for _ in range(experiments):
        order = torch.randperm(total, generator=draws)
        with_these, rest = (right[:, part].mean(1) for part in (order[:images], order[images:]))
        winner = with_these.argmax()
        shown.append(with_these[winner])
        untouched.append(rest[winner])
    return Choices(torch.stack(shown), torch.stack(untouched))


def count_optimism(hits: torch.Tensor, sizes: Sequence[int]) -> pd.DataFrame:
    """Measure by how much the winner's score is too high, for our networks and for as many invented, equal ones.

    A row a `winner` and number of `images used to choose`: `score minus truth (points)`.
    """
    level, rows = 100 * hits.double().mean().item(), []
    for n in sizes:
        shown, new = selection_optimism(len(hits), n, level)
        found = {"equal networks, invented": shown, "our networks": choose_often(hits, n).optimism}
        found["invented, on untouched images"] = new
        rows += [{"winner": who, SIZE: n, "score minus truth (points)": off} for who, off in found.items()]
    return pd.DataFrame(rows)


def half_features(candidates: int, features: int) -> list[torch.Tensor]:
    """Draw candidates about as good as each other: each may use another random half of the features."""
    draws = generator("half features", 0)
    return [torch.randperm(features, generator=draws)[: features // 2] for _ in range(candidates)]


def probe_accuracy(
    features: torch.Tensor, labels: torch.Tensor, columns: torch.Tensor, learn: torch.Tensor, new: torch.Tensor
) -> float:
    """Solve a linear probe on some columns and some images, and return its accuracy on others in percent."""
    probe = solve_probe(features[learn][:, columns], labels[learn], int(labels.max()) + 1)
    answers = (features[new][:, columns].double() @ probe.weight.T + probe.bias).argmax(1)
    return 100 * (answers == labels[new]).double().mean().item()


def selection_trial(
    seed: int, features: torch.Tensor, labels: torch.Tensor, candidates: int = CANDIDATES
) -> dict[str, float]:
    """Label five images of each class, choose the best of many equally good probes, and score it in three ways.

    `promised` is the winner's accuracy in plain cross-validation, which it was chosen for; `nested` the mean over the
    outer folds of nested selection; `truth` the winner's accuracy on all images without a label. The seed is that of
    the labelled images and of all folds.
    """
    labelled = few_per_class(labels, PER_CLASS, generator("few", seed))
    rest = torch.ones(len(labels), dtype=torch.bool).index_fill(0, labelled, False).nonzero()[:, 0]
    probes, score = half_features(candidates, features.shape[1]), functools.partial(probe_accuracy, features, labels)

    def on_labelled(columns: torch.Tensor, learn: torch.Tensor, new: torch.Tensor) -> float:
        return score(columns, labelled[learn], labelled[new])

    folds = [cross_validate(functools.partial(on_labelled, c), labels[labelled], seed=seed) for c in probes]
    means = [sum(scores) / len(scores) for scores in folds]
    best = max(range(candidates), key=means.__getitem__)
    nested = nested_selection(on_labelled, probes, labels[labelled], seed=seed).outer_accuracy
    truth = score(probes[best], labelled, rest)
    return {"promised": means[best], "nested": sum(nested) / len(nested), "truth": truth}


def selection_trials(seeds: Sequence[int]) -> pd.DataFrame:
    """Run `selection_trial` with every seed on the features that the letters network finds in the practice images."""
    practice = train_validation_test()[0]
    features = extract_features(pretrained("tiny_resnet", "letters"), practice)
    trial = functools.partial(selection_trial, features=features, labels=practice.labels)
    return grid(trial, seed=seeds)
