"""A cleaner with all detectors, and how good each of them is at finding what was planted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.cleaning import (
    CleaningReport,
    Finding,
    find_blank,
    find_exact_duplicates,
    find_near_duplicates,
    find_wrong_labels,
    precision_recall,
)
from tlcourse.data.defects import CHANGES, Planted, plant_defects
from tlcourse.data.imageset import ImageSet
from tlcourse.data.splits import stratified_folds
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb01_preprocessing.experiment import linear_probe, out_of_sample
from tlcourse.repro import generator

FINDING_HEADER = ("kind", "image", "why", "how sure")


@dataclass(frozen=True)
class Detection:
    """How good one detector was once.

    Attributes:
        kind: what it looks for.
        seed: seed of the defects.
        precision: share of its findings that are right, in percent.
        recall: share of what was planted that it found, in percent.
    """

    kind: str
    seed: int
    precision: float
    recall: float


def judge_labels(images: ImageSet, backbone: nn.Module, seed: int = 0) -> torch.Tensor:
    """Return for every image what a linear probe makes of it that was trained on other images.

    Args:
        images: the set, whose labels may be wrong in part.
        backbone: a pretrained network.
        seed: seed of the five folds.

    Returns:
        Probabilities, float32 `[N, classes]`.
    """
    folds = stratified_folds(images.labels, 5, generator("judge", seed))
    return out_of_sample(extract_features(backbone, images), images.labels, len(images.classes), folds)


def judge_labels_in_sample(images: ImageSet, backbone: nn.Module) -> torch.Tensor:
    """Return the same by a probe that was trained on all of these images, which is a mistake."""
    features = extract_features(backbone, images)
    return linear_probe(features, images.labels, len(images.classes))(features)


def inspect(images: ImageSet, probabilities: torch.Tensor) -> CleaningReport:
    """Run every detector over an image set, and change nothing.

    Args:
        images: the set.
        probabilities: out of sample, as `judge_labels` gives them.

    Returns:
        The report.
    """
    findings = find_exact_duplicates(images.images) + find_near_duplicates(images.images)
    findings += find_blank(images.images) + find_wrong_labels(probabilities, images.labels)
    return CleaningReport(tuple(findings), len(images))


def measure(report: CleaningReport, truth: Planted, seed: int = 0) -> list[Detection]:
    """Compare a report on one set with what was planted in it.

    Args:
        report: what was found.
        truth: what was planted.
        seed: what to write into the rows.

    Returns:
        One row a detector. Duplicates count as pairs: the right partner must have been found.
    """
    planted = {
        "exact duplicate": truth.pairs(truth.exact),
        "near duplicate": truth.pairs(truth.near),
        "blank": set(truth.blank),
        "wrong label": set(truth.wrong),
    }
    rows = []
    for kind, there in planted.items():
        chosen = [finding for finding in report.findings if finding.kind == kind]
        found = {(f.which, f.partner) if "duplicate" in kind else f.which for f in chosen}
        rows.append(Detection(kind, seed, *(100 * share for share in precision_recall(found, there))))
    return rows


def recall_by_change(report: CleaningReport, truth: Planted) -> list[list[str]]:
    """Return a row of text for every way to change a copy: how many of how many were found."""
    found = {(f.which, f.partner) for f in report.findings if f.kind == "near duplicate"}
    rows = []
    for change in CHANGES:
        pairs = truth.pairs({copy: truth.near[copy] for copy, way in truth.changed.items() if way == change})
        rows.append([change, str(len(pairs & found)), str(len(pairs))])
    return rows


def cleaning_trials(seeds: Sequence[int], backbone: nn.Module) -> list[Detection]:
    """Plant defects in the training half of the handwriting, inspect it, and measure, once a seed."""
    clean, rows = load("handwritten-photo"), []
    for seed in seeds:
        dirty, truth = plant_defects(clean, generator("dirt", seed))
        rows += measure(inspect(dirty, judge_labels(dirty, backbone, seed)), truth, seed)
    return rows


def surest(report: CleaningReport, kind: str) -> list[Finding]:
    """Return the findings of one kind, the surest first."""
    return sorted((f for f in report.findings if f.kind == kind), key=lambda f: f.confidence, reverse=True)


def finding_table(findings: Sequence[Finding]) -> list[list[str]]:
    """Return a row of text for every finding, to be shown under `FINDING_HEADER`."""
    return [[f.kind, str(f.which), f.why, f"{f.confidence:.2f}"] for f in findings]
