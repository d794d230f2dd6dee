"""The labs of notebook 01: what the rules say and the detectors flag is right; test_labs.py moves the controls."""

import pytest
import torch

from tlcourse.data.cleaning import NEAR, find_blank, find_near_duplicates
from tlcourse.data.defects import plant_defects
from tlcourse.data.mixing import soft_labels
from tlcourse.data.normalisation import denormalise, scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb01_preprocessing import augmented, detectors, lab
from tlcourse.lessons.nb01_preprocessing import label_rules as rules
from tlcourse.lessons.nb01_preprocessing.inspection import inspect, measure
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator

NAMES = list(rules.AUGMENTATIONS)


@pytest.fixture(scope="module")
def digits():
    return load("handwritten-photo", split="test", count=30)


@pytest.fixture(scope="module")
def reader():
    return pretrained("tiny_resnet", "digits")


@pytest.fixture(scope="module")
def truth_and_found():
    clean = load("handwritten-photo", count=250)
    dirty, truth = plant_defects(clean, generator("dirt", 0), exact=6, near=24, blank=9, wrong=20)
    return truth, inspect(dirty, pretrained())


@pytest.fixture(scope="module")
def found(truth_and_found):
    truth, inspected = truth_and_found
    return detectors.compute_detectors(inspected, truth)


@pytest.mark.parametrize(
    ("name", "label", "measured", "words"),
    [
        ("flip", 2, 1, "mirrored"),
        ("flip", 2, 0, ""),
        ("flip", 8, 1, ""),
        ("rotation", 6, 180, "now a 9"),
        ("rotation", 9, -170, "now a 6"),
        ("rotation", 6, -30, ""),
        ("rotation", 8, 90, "lying"),
        ("rotation", 8, 175, ""),
        ("rotation", 0, 90, ""),
        ("rotation", 4, 179, "inverted"),
        ("crop", 4, 8, ""),
        ("crop", 4, 9, "cut off"),
        ("colour", 4, 50, ""),
        ("colour", 4, 3, "too faint"),
        ("cut-out", 4, 0.4, ""),
        ("cut-out", 4, 0.6, "hidden"),
    ],
)
def test_which_labels_hold(name, label, measured, words):
    assert rules.AUGMENTATIONS[name].rule(label, measured) == words


def test_a_mixed_label_names_both_shares():
    six, three = soft_labels(torch.tensor([6, 3]), 10)
    assert rules.shared(six * 0.62 + three * 0.38) == "62% a 6\n+ 38% a 3"
    assert rules.shared(six) == ""


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_changes_nothing_and_full_strength_costs_labels(digits, reader, name):
    untouched = augmented.compute_augmented(digits, reader, name, 0.0)
    assert torch.equal(untouched.images, digits.images)
    assert untouched.holds == 100
    assert torch.equal(untouched.answers, predict(reader, digits).argmax(1))
    seen = augmented.compute_augmented(digits, reader, name, 1.0)
    assert (seen.images != digits.images).flatten(1).any(1).float().mean() > 0.8
    assert seen.holds < 100
    other = augmented.compute_augmented(digits, reader, name, 1.0, draw=1)
    assert name == "flip" or not torch.equal(seen.images, other.images)


def test_labels_are_judged_by_the_very_draws_that_were_used(digits, reader):
    seen = augmented.compute_augmented(digits, reader, "flip", 0.5, draw=3)
    mirrored = (seen.images == digits.images.flip(3)).flatten(1).all(1).tolist()
    assert 5 < sum(mirrored) < 25
    expected = [
        m and label not in rules.SAME_IN_A_MIRROR for m, label in zip(mirrored, digits.labels.tolist(), strict=True)
    ]
    assert [bool(words) for words in seen.became] == expected


def test_what_a_crop_and_a_cut_out_did_is_measured_in_the_images(digits):
    before = digits.images
    crop = rules.AUGMENTATIONS["crop"].at(1.0)
    moved = rules.measure_change(crop, 2, before)
    after = denormalise(crop(scale(before), generator("lab", 2)))
    right, down = crop.draw(len(before), generator("lab", 2)).tolist()
    for i, (a, b) in enumerate(zip(right, down, strict=True)):
        assert moved[i] == max(abs(a), abs(b))
        ours = after[i, :, max(b, 0) : 32 + min(b, 0), max(a, 0) : 32 + min(a, 0)]
        assert torch.equal(ours, before[i, :, max(-b, 0) : 32 + min(-b, 0), max(-a, 0) : 32 + min(-a, 0)])
    cut_out = rules.AUGMENTATIONS["cut-out"].at(0.6)
    grey = (cut_out(scale(before), generator("lab", 2)) == 0).all(1)
    hidden = grey[:, 8:24, 8:24].float().mean((1, 2))
    assert torch.allclose(rules.measure_change(cut_out, 2, before), hidden)
    assert hidden.min() < 0.5 < hidden.max()


def test_a_mixed_image_counts_by_its_larger_part(ax, digits, reader):
    seen = augmented.compute_augmented(digits, reader, "MixUp", 1.0, draw=1)
    shared = [(words, t) for words, t in zip(seen.became, seen.targets.tolist(), strict=True) if words]
    assert len(shared) > 10
    assert all(words.split("\n")[0].endswith(f"a {target}") for words, target in shared)
    assert "shared label" in augmented.describe_augmented(seen, 1.0)
    augmented.draw_augmented(ax, seen)
    assert sum(text.get_text().startswith("◐") for text in ax.texts) == sum(map(bool, seen.became[: augmented.SHOWN]))


def test_an_augmented_batch_in_words_and_for_one_digit(digits, reader):
    seen = augmented.compute_augmented(digits, reader, "flip", 1.0)
    broken = sum(label not in rules.SAME_IN_A_MIRROR for label in digits.labels.tolist())
    text = augmented.describe_augmented(seen, 1.0)
    assert text.startswith("flip (100 % of the images mirrored)")
    assert f"{broken} of 30 labels no longer hold ({broken} mirrored)" in text
    assert f"of {int((digits.labels == 6).sum())} labels" in augmented.describe_augmented(seen.only(6), 1.0)
    assert seen.only(8).holds == 100
    assert seen.holds == pytest.approx(100 * (1 - broken / 30))
    assert seen.read == pytest.approx(100 * (seen.answers == digits.labels).float().mean().item())


def test_label_and_reader_have_signs_of_their_own(ax, digits, reader):
    """A label that holds and is misread is not shown as right: the caption has no colour, the frame is the label's."""
    seen = augmented.compute_augmented(digits, reader, "flip", 1.0)
    augmented.draw_augmented(ax, seen)
    captions = [text for text in ax.texts if text.get_text()]
    assert len(captions) == augmented.SHOWN
    for text, words, answer in zip(captions, seen.became, seen.answers.tolist(), strict=False):
        assert text.get_text().startswith("✗ mirrored" if words else "✓ holds")
        assert text.get_text().endswith(f"read as {answer}")
        assert text.get_color() == "black"
    assert len(ax.patches) == sum(map(bool, seen.became[: augmented.SHOWN]))


def test_the_augmentation_lab_says_how_strong_and_draws_again(digits, reader):
    augmenter = lab.AugmentationLab(digits, reader)
    for name in NAMES:
        augmenter.augmentation = name
        assert f">{name} ({augmenter.amount})" in augmenter.sentence.value
    augmenter.augmentation = "crop"
    assert augmenter.strength == 8, "another augmentation begins with a moderate strength"
    for position in (0, lab.STEPS // 2, lab.STEPS):
        augmenter.strength = position
        assert f"moved by up to {round(16 * position / lab.STEPS)} pixels" in augmenter.sentence.value
    pictures = {augmenter.picture.value}
    for _ in range(2):
        augmenter.again()
        pictures.add(augmenter.picture.value)
    assert len(pictures) == 3


def flagged_at(detector, threshold):
    """What the lab flags."""
    (outcome,) = [one for one in detectors.compute_outcomes(detector) if one.threshold == threshold]
    return set(outcome.views["last flagged"])


def test_the_lab_flags_what_the_detectors_flag(truth_and_found, found):
    images = truth_and_found[1].images.images
    for threshold in (0.02, 0.05, 0.2):
        near = {f.which: f.partner for f in find_near_duplicates(images, threshold=threshold)}
        assert flagged_at(found["near duplicates"], threshold) == set(near)
        assert near.items() <= found["near duplicates"].partners.items()
    for threshold in (5, 15, 50):
        assert flagged_at(found["blank"], threshold) == {f.which for f in find_blank(images, threshold)}


def test_at_the_usual_thresholds_the_scores_are_those_of_the_notebook(truth_and_found, found):
    truth, inspected = truth_and_found
    assert found["near duplicates"].usual == NEAR
    percent = []
    for one in found.values():
        outcome = detectors.compute_outcomes(one)[one.position(one.usual)]
        percent += [outcome.precision, outcome.recall]
    assert percent == pytest.approx([row["percent"] for row in measure(inspected, truth)][2:])


def test_flagged_right_wrong_and_missed_fit_together_and_recall_rises(found):
    for detector in found.values():
        outcomes = detectors.compute_outcomes(detector)
        for outcome in outcomes:
            flagged, alarms, missed = (set(outcome.views[view]) for view in detectors.VIEWS)
            assert (flagged - alarms) | missed == set(detector.planted)
            assert f"{len(flagged)} of" in detectors.describe_outcome(outcome, detector, "x")
        recall = [outcome.recall for outcome in outcomes]
        assert recall == sorted(recall)
        assert recall[-1] > recall[0]
    nothing = detectors.compute_outcomes(found["blank"])[0]
    assert (nothing.precision, nothing.views["false alarms"]) == (100, ())


@pytest.mark.parametrize("view", detectors.VIEWS)
def test_evidence_says_what_each_image_is(ax, truth_and_found, found, view):
    detector = found["near duplicates"]
    outcome = detectors.compute_outcomes(detector)[9]
    detectors.draw_evidence(ax, truth_and_found[1].images.images, detector, outcome, view)
    captions = [text.get_text().split("\n")[0] for text in ax.texts if text.get_text()]
    signs = {True: "✓ planted", False: "✗ false"}
    expected = [signs[detector.is_right(i)] if view != "missed" else "○ missed" for i in outcome.views[view]]
    assert captions == expected[:9]
    assert ax.get_title() == f"{view}: {len(captions)} of {len(expected)}"


def test_both_labs_are_behind_tabs_and_say_their_threshold(digits, reader, truth_and_found):
    truth, inspected = truth_and_found
    both = lab.preprocessing_lab(digits.subset(torch.arange(10)), reader, inspected, truth)
    assert both.lab("augment").digits.labels.shape == (10,)
    cleaner = both.lab("clean")
    assert ">near duplicates, threshold 0.05:" in cleaner.sentence.value
    cleaner.threshold = 19
    cleaner.detector = "blank"
    assert ">blank, threshold 15:" in cleaner.sentence.value
    assert both.close()
