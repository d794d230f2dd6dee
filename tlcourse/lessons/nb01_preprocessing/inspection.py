"""A cleaner with all detectors, and how good each of them is at finding what was planted."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
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
from tlcourse.lessons.nb01_preprocessing.leaks import linear_probe
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator

IN_SAMPLE = "wrong label,\njudged in sample"


@dataclass(frozen=True)
class Inspected(CleaningReport):
    """A report with the images it is about, and what a linear probe makes of those that it was not trained on."""

    images: ImageSet
    probabilities: torch.Tensor  # out of sample, float32 [N, classes]

    def surest(self, kind: str) -> list[Finding]:
        """Return the findings of one kind, the surest first."""
        return sorted((f for f in self.findings if f.kind == kind), key=lambda f: f.confidence, reverse=True)


def out_of_sample(images: ImageSet, backbone: nn.Module, seed: int = 0) -> torch.Tensor:
    """Return for every image what a linear probe makes of it that was trained on the other four of five folds.

    Probabilities, float32 `[N, classes]`; the seed is that of the folds.
    """
    features, classes = extract_features(backbone, images), len(images.classes)
    probabilities = torch.zeros(len(images), classes)
    for learn, held_out in stratified_folds(images.labels, 5, generator("judge", seed)):
        probe = linear_probe(features[learn], images.labels[learn], classes)
        probabilities[held_out] = probe(features[held_out])
    return probabilities


def in_sample(images: ImageSet, backbone: nn.Module) -> torch.Tensor:
    """Return the same by a probe that was trained on all of these images, which is a mistake."""
    features = extract_features(backbone, images)
    return linear_probe(features, images.labels, len(images.classes))(features)


def inspect(images: ImageSet, backbone: nn.Module, seed: int = 0) -> Inspected:
    """Run every detector over an image set, and change nothing."""
    probabilities = out_of_sample(images, backbone, seed)
    findings = find_exact_duplicates(images.images) + find_near_duplicates(images.images)
    findings += find_blank(images.images) + find_wrong_labels(probabilities, images.labels)
    return Inspected(tuple(findings), len(images), images, probabilities)


def detection_trial(seed: int) -> list[dict[str, Any]]:
    """Plant defects in the training pool of the handwriting, and measure every detector.

    Returns rows with `kind`, `measure` (precision or recall) and `percent`; the last kind is that of wrong labels,
    judged by a probe that was trained on them.
    """
    backbone = pretrained()
    dirty, truth = plant_defects(load("handwritten-photo"), generator("dirt", seed))
    trained_on = find_wrong_labels(in_sample(dirty, backbone), dirty.labels)
    return measure(inspect(dirty, backbone, seed), truth) + _shares(IN_SAMPLE, trained_on, set(truth.wrong))


def measure(report: CleaningReport, truth: Planted) -> list[dict[str, Any]]:
    """Return precision and recall of every detector, in percent; of duplicates, the right partner must be found."""
    planted = {
        "exact duplicate": truth.pairs(truth.exact),
        "near duplicate": truth.pairs(truth.near),
        "blank": set(truth.blank),
        "wrong label": set(truth.wrong),
    }
    rows = []
    for kind, there in planted.items():
        rows += _shares(kind, [finding for finding in report.findings if finding.kind == kind], there)
    return rows


def _shares(kind: str, findings: list[Finding], planted: set) -> list[dict[str, Any]]:
    found = {(f.which, f.partner) if "duplicate" in kind else f.which for f in findings}
    shares = zip(("precision", "recall"), precision_recall(found, planted), strict=True)
    return [{"kind": kind, "measure": name, "percent": 100 * share} for name, share in shares]


def recall_by_change(report: CleaningReport, truth: Planted) -> pd.DataFrame:
    """Count for every way to change a copy how many were planted, and how many of them were found."""
    found = {(f.which, f.partner) for f in report.findings if f.kind == "near duplicate"}
    rows = []
    for change in CHANGES:
        pairs = truth.pairs({copy: truth.near[copy] for copy, way in truth.changed.items() if way == change})
        rows.append({"change": change, "found": len(pairs & found), "planted": len(pairs)})
    return pd.DataFrame(rows)
