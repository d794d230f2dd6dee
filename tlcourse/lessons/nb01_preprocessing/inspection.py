"""A cleaner with all detectors, and how good each of them is at finding what was planted."""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.cleaning import (
    CleaningReport,
    Finding,
    find_blank,
    find_corrupt,
    find_exact_duplicates,
    find_near_duplicates,
    find_wrong_labels,
    precision_recall,
)
from tlcourse.data.defects import CHANGES, DAMAGE, Planted, plant_defects
from tlcourse.data.imageset import ImageSet
from tlcourse.data.splits import stratified_folds
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import extract_features
from tlcourse.lessons.nb01_preprocessing.leaks import linear_probe
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator


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


def inspect(images: ImageSet, probabilities: torch.Tensor) -> CleaningReport:
    """Run every detector over an image set, and change nothing; the probabilities are those of `out_of_sample`."""
    findings = find_exact_duplicates(images.images) + find_near_duplicates(images.images)
    findings += find_blank(images.images) + find_wrong_labels(probabilities, images.labels)
    return CleaningReport(tuple(findings), len(images))


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
        chosen = [finding for finding in report.findings if finding.kind == kind]
        found = {(f.which, f.partner) if "duplicate" in kind else f.which for f in chosen}
        for name, share in zip(("precision", "recall"), precision_recall(found, there), strict=True):
            rows.append({"kind": kind, "measure": name, "percent": 100 * share})
    return rows


def detection_trial(seed: int) -> list[dict[str, Any]]:
    """Plant defects in the training half of the handwriting, inspect it, and measure."""
    dirty, truth = plant_defects(load("handwritten-photo"), generator("dirt", seed))
    return measure(inspect(dirty, out_of_sample(dirty, pretrained(), seed)), truth)


def recall_by_change(report: CleaningReport, truth: Planted) -> pd.DataFrame:
    """Count for every way to change a copy how many were planted, and how many of them were found."""
    found = {(f.which, f.partner) for f in report.findings if f.kind == "near duplicate"}
    rows = []
    for change in CHANGES:
        pairs = truth.pairs({copy: truth.near[copy] for copy, way in truth.changed.items() if way == change})
        rows.append({"change": change, "found": len(pairs & found), "planted": len(pairs)})
    return pd.DataFrame(rows)


def recall_by_damage(files: dict[str, bytes], damage: dict[str, str]) -> pd.DataFrame:
    """Decode every file to the last pixel, and count for every kind of damage how many were planted and found."""
    broken = {finding.which for finding in find_corrupt(files)}
    rows = []
    for kind in DAMAGE:
        there = {name for name, how in damage.items() if how == kind}
        rows.append({"damage": kind, "found": len(there & broken), "planted": len(there)})
    return pd.DataFrame(rows)


def pairs_found(findings: Sequence[Finding], planted: Collection[tuple[int, int]]) -> tuple[float, float]:
    """Return precision and recall, from 0 to 1, of duplicates; the right partner must be found."""
    return precision_recall({(f.which, f.partner) for f in findings}, planted)


def surest(report: CleaningReport, kind: str) -> list[Finding]:
    """Return the findings of one kind, the surest first."""
    return sorted((f for f in report.findings if f.kind == kind), key=lambda f: f.confidence, reverse=True)


def finding_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row for every finding."""
    return pd.DataFrame(
        {"kind": f.kind, "image": str(f.which), "why": f.why, "how sure": f"{f.confidence:.2f}"} for f in findings
    )
