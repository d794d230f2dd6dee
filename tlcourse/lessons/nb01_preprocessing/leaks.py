"""Scores that leak: cross-validation with copies, or sheets of handwriting, on both sides, against new images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from tlcourse.data.cleaning import duplicate_groups, find_exact_duplicates, find_near_duplicates
from tlcourse.data.defects import plant_defects
from tlcourse.data.imageset import ImageSet
from tlcourse.data.splits import few_per_class, grouped_folds, stratified_folds
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator
from tlcourse.transfer.linear_probe import solve_probe

Folds = Sequence[tuple[torch.Tensor, torch.Tensor]]  # indices to train on, and held out
Classifier = Callable[[torch.Tensor], torch.Tensor]  # from features [M, F] to probabilities [M, classes]
CORRECT = "read correctly (%)"
SPLITS = ("random folds", "folds by what was found", "folds by the truth")


def nearest_neighbour(features: torch.Tensor, labels: torch.Tensor, classes: int) -> Classifier:
    """Give every image the label of the training image nearest to it, with probability 1; features float `[N, F]`."""
    return lambda asked: F.one_hot(labels[torch.cdist(asked, features).argmin(1)], classes).float()


def linear_probe(features: torch.Tensor, labels: torch.Tensor, classes: int) -> Classifier:
    """Find the course's converged linear head for features, float `[N, F]`."""
    probe = solve_probe(features, labels, classes)
    return lambda asked: (asked.double() @ probe.weight.T + probe.bias).softmax(1).float()


METHODS = {"nearest neighbour": nearest_neighbour, "linear probe": linear_probe}


def percent_right(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of rows whose largest probability is that of the label, in percent."""
    return 100 * (probabilities.argmax(1) == labels).float().mean().item()


def leak_by_copies(seed: int, per_class: int = 20, exact: int = 50, near: int = 150) -> list[dict[str, Any]]:
    """Plant copies among labelled digits, and cross-validate with folds that tear them apart or keep them together.

    Scores count originals only, since some changed copies are harder to read than new images are. New images are those
    of the training pool that were not chosen. Rows are those of `compare_folds`, for each of `SPLITS`.
    """
    digits = load("handwritten-photo")
    chosen = few_per_class(digits.labels, per_class, generator("few", seed))
    fresh = torch.ones(len(digits), dtype=torch.bool).index_fill(0, chosen, False)
    dirty, truth = plant_defects(
        digits.subset(chosen), generator("leak", seed), exact=exact, near=near, blank=0, wrong=0
    )
    copies = {**truth.exact, **truth.near}
    groups = torch.tensor([copies.get(i, i) for i in range(len(dirty))])
    found = find_exact_duplicates(dirty.images) + find_near_duplicates(dirty.images)
    draws = generator("folds", seed)
    folds = (
        stratified_folds(dirty.labels, 5, draws),
        grouped_folds(duplicate_groups(len(dirty), found), 5, draws),
        grouped_folds(groups, 5, draws),
    )
    originals = groups == torch.arange(len(dirty))
    return compare_folds(dict(zip(SPLITS, folds, strict=True)), dirty, digits.subset(fresh), originals)


def leak_by_sheets(sheet: int) -> list[dict[str, Any]]:
    """Keep one of the seven sheets as new; cross-validate on the six others, digits at random or sheets as a whole."""
    digits = load("handwritten-photo")
    is_new = digits.attributes["sheet"] == sheet
    known, draws = digits.subset(~is_new), generator("folds", sheet)
    folds = {
        "random folds": stratified_folds(known.labels, 6, draws),
        "folds by sheet": grouped_folds(known.attributes["sheet"], 6, draws),
    }
    return compare_folds(folds, known, digits.subset(is_new), torch.ones_like(known.labels).bool())


def compare_folds(
    folds: Mapping[str, Folds], images: ImageSet, new: ImageSet, counted: torch.Tensor
) -> list[dict[str, Any]]:
    """Cross-validate both methods with every set of folds, and ask the classifier of every fold about new images too.

    `counted` says which images count in the cross-validated score, bool `[N]`. Each method and split gets two rows, one
    for each of `asked`: `"cross-validation"`, and `"new images"`, the mean over the classifiers of all folds.
    """
    backbone, classes = pretrained(), len(images.classes)
    features, of_new = extract_features(backbone, images), extract_features(backbone, new)
    rows = []
    for method, make in METHODS.items():
        for split, parts in folds.items():
            answers, scores = torch.zeros(len(images), classes), []
            for learn, held_out in parts:
                classify = make(features[learn], images.labels[learn], classes)
                answers[held_out] = classify(features[held_out])
                scores.append(percent_right(classify(of_new), new.labels))
            row = {"method": method, "split": split, "what": f"{method}\n{split}"}
            validated = percent_right(answers[counted], images.labels[counted])
            rows.append({**row, "asked": "cross-validation", CORRECT: validated})
            rows.append({**row, "asked": "new images", CORRECT: sum(scores) / len(scores)})
    return rows
