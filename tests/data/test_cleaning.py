import numpy as np
import pytest
import torch

from tlcourse.data.cleaning import (
    CleaningReport,
    Finding,
    confident_classes,
    duplicate_groups,
    find_blank,
    find_exact_duplicates,
    find_near_duplicates,
    find_wrong_labels,
    precision_recall,
    thumbnail_distances,
    thumbnails,
)


@pytest.fixture
def images():
    """Twelve images of smooth random colours, all different."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(12, 3, 4, 4, generator=draws) * 255
    return torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear").to(torch.uint8)


def which(findings):
    return [finding.which for finding in findings]


def test_exact_duplicates_are_all_but_the_first(images):
    twice = torch.cat([images, images[[3, 3, 5]]])
    findings = find_exact_duplicates(twice)
    assert [(f.which, f.partner) for f in findings] == [(12, 3), (13, 3), (14, 5)]
    assert all(f.confidence == 1 and f.kind == "exact duplicate" for f in findings)
    assert findings[0].why == "every pixel as in image 3"
    other = images.clone()
    other[4, 1, 7, 7] ^= 1  # one pixel makes a difference
    assert which(find_exact_duplicates(other, images)) == [i for i in range(12) if i != 4]
    assert find_exact_duplicates(images) == find_exact_duplicates(images[:0]) == find_blank(images[:0]) == []
    across = find_exact_duplicates(images[[7, 0, 7]], images[5:])
    assert [(f.which, f.partner) for f in across] == [(0, 2), (2, 2)]
    assert across[0].why.endswith("of the other set")


def test_thumbnails_are_standardised_means_over_blocks_and_distances_one_minus_correlation(images):
    grey = images.numpy().astype(np.float64).mean(1)
    for i, thumbnail in enumerate(thumbnails(images).numpy()):
        small = np.array([[grey[i, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4].mean() for c in range(8)] for r in range(8)])
        small = small.ravel() - small.mean()
        assert thumbnail == pytest.approx(small / np.linalg.norm(small), abs=1e-5)
    correlation = np.corrcoef(thumbnails(images).numpy())
    assert thumbnail_distances(images, images).numpy() == pytest.approx(1 - correlation, abs=1e-5)
    within = thumbnail_distances(images)  # only earlier images count
    assert torch.isfinite(within[5, :5]).all()
    assert torch.isinf(within.triu()[within.triu() != 0]).all()


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 60), (0.9, 0), (1, 20)])
def test_brightness_and_contrast_do_not_matter_and_mirroring_does(images, gain, offset):
    changed = (images.float() * gain + offset).clamp(0, 255).round().to(torch.uint8)
    chosen = (images.float() * gain + offset).amax((1, 2, 3)) <= 255
    findings = find_near_duplicates(changed[chosen], images, threshold=0.01)
    assert [f.partner for f in findings] == chosen.nonzero()[:, 0].tolist()
    assert find_near_duplicates(images.flip(3), images, threshold=0.05) == []
    assert find_near_duplicates(images[:0]) == find_near_duplicates(images, images[:0]) == []


def test_groups_join_duplicates_of_duplicates():
    pairs = [(3, 1), (5, 3), (6, 4)]
    findings = [Finding("near duplicate", a, "", 1, b) for a, b in pairs] + [Finding("blank", 0, "", 1)]
    assert duplicate_groups(7, findings).tolist() == [0, 1, 2, 1, 4, 1, 4]
    assert duplicate_groups(7, findings[::-1]).tolist() == [0, 1, 2, 1, 4, 1, 4]


def test_blank_images_are_found(images):
    images[3] = 90
    images[8] = images[8] // 32 + 100
    findings = find_blank(images, threshold=8)
    assert which(findings) == [3, 8]
    assert findings[0].confidence == 1 > findings[1].confidence > 0
    assert "contrast 0.0" in findings[0].why


def naive_confident(probabilities, labels):
    """Confident learning, image by image and class by class."""
    classes = probabilities.shape[1]
    usual = [probabilities[labels == c, c].mean() if (labels == c).any() else np.inf for c in range(classes)]
    answers = []
    for row in probabilities:
        reached = [c for c in range(classes) if row[c] >= usual[c] - 1e-6]
        answers.append(max(reached, key=lambda c: row[c]) if reached else -1)
    return answers


@pytest.mark.parametrize("seed", range(5))
def test_confident_classes_against_a_naive_computation(seed):
    draws = np.random.default_rng(seed)
    probabilities, labels = draws.dirichlet(np.ones(5) / 2, 80), draws.integers(0, 4, 80)  # no label 4
    answers = confident_classes(torch.from_numpy(probabilities).float(), torch.from_numpy(labels))
    assert answers.tolist() == naive_confident(probabilities.astype(np.float32), labels)
    assert 4 not in answers
    assert -1 in answers


def test_wrong_labels_are_those_that_are_confidently_another_class():
    right = torch.full((20, 2), 0.2)
    labels = torch.arange(20) % 2
    right[torch.arange(20), labels] = 0.8
    falsified = labels.clone()
    falsified[7] = 1 - falsified[7]
    (finding,) = find_wrong_labels(right, falsified)
    assert finding.which == 7
    assert finding.confidence == pytest.approx(0.6)
    assert "labelled 0 (20% likely), looks like 1 (80%)" in finding.why
    assert find_wrong_labels(right, labels) == []


def test_a_report_counts_and_lists_and_changes_nothing():
    findings = (
        Finding("blank", 4, "", 1),
        Finding("near duplicate", 2, "", 1, 1),
        Finding("near duplicate", 4, "", 1, 0),
    )
    report = CleaningReport(findings, 6)
    assert report.which() == [2, 4]
    assert report.which("blank") == [4]
    assert report.kept().tolist() == [0, 1, 3, 5]
    assert report.kept(without=["near duplicate"]).tolist() == [0, 1, 3, 5]
    assert report.kept(without=["exact duplicate"]).tolist() == list(range(6))
    assert str(report).splitlines() == ["6 checked, 3 findings", "near duplicate      2", "blank               1"]
    with pytest.raises(ValueError, match="'blurred' is not a kind of finding"):
        report.which("blurred")


@pytest.mark.parametrize(
    ("found", "planted", "expected"),
    [
        ([1, 2, 3, 4], [3, 4, 5], (1 / 2, 2 / 3)),
        ([], [1], (1, 0)),
        ([1], [], (0, 1)),
        ([], [], (1, 1)),
        ([(1, 2)], [(1, 2)], (1, 1)),
    ],
)
def test_precision_and_recall(found, planted, expected):
    assert precision_recall(found, planted) == pytest.approx(expected)
