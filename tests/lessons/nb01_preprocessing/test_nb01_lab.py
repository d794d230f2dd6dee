"""The labs of notebook 01: what the rules say and the detectors flag is right; test_labs.py moves the controls."""

import pytest
import torch

from tlcourse.data.cleaning import NEAR, find_blank, find_exact_duplicates, find_near_duplicates, precision_recall
from tlcourse.data.defects import plant_defects
from tlcourse.data.mixing import soft_labels
from tlcourse.data.normalisation import denormalise, scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb01_preprocessing import augmented, detectors, lab
from tlcourse.lessons.nb01_preprocessing import label_rules as rules
from tlcourse.lessons.nb01_preprocessing.inspection import inspect, measure, out_of_sample
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook import display
from tlcourse.repro import generator

NAMES = list(rules.AUGMENTATIONS)
CHANGING = [name for name in NAMES if name not in rules.MIXING]


@pytest.fixture(scope="module")
def digits():
    return load("handwritten-photo", split="test", count=30)


@pytest.fixture(scope="module")
def reader():
    return pretrained("tiny_resnet", "digits")


@pytest.fixture(scope="module")
def dirty():
    clean = load("handwritten-photo", count=250)
    return plant_defects(clean, generator("dirt", 0), exact=6, near=24, blank=9, wrong=20)


@pytest.fixture(scope="module")
def probabilities(dirty):
    return out_of_sample(dirty[0], pretrained())


@pytest.fixture(scope="module")
def found(dirty, probabilities):
    return detectors.compute_detectors(*dirty, probabilities)


@pytest.fixture(scope="module")
def cleaner(dirty, probabilities):
    return lab.CleaningLab(*dirty, probabilities)


@pytest.fixture(scope="module")
def augmenter(digits, reader):
    return lab.AugmentationLab(digits, reader)


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
    verdict = rules.RULES[name](label, measured)
    assert verdict.words == words
    assert verdict.holds is (not words)
    assert verdict.sign == ("✗" if words else "✓")


def test_a_mixed_label_names_both_shares():
    verdict = rules.check_mixed(
        soft_labels(torch.tensor([6]), 10)[0] * 0.62 + soft_labels(torch.tensor([3]), 10)[0] * 0.38
    )
    assert (verdict.sign, verdict.words) == ("◐", "62% a 6\n+ 38% a 3")
    assert not verdict.holds
    assert rules.check_mixed(soft_labels(torch.tensor([6]), 10)[0]).holds


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_shows_the_digits_as_they_are(digits, reader, name):
    seen = augmented.compute_augmented(digits, reader, name, 0.0)
    assert torch.equal(seen.images, digits.images)
    assert seen.holds.all()
    assert torch.equal(seen.answers, predict(reader, digits).argmax(1))


@pytest.mark.parametrize("name", NAMES)
def test_full_strength_changes_most_of_them_and_costs_labels(digits, reader, name):
    seen = augmented.compute_augmented(digits, reader, name, 1.0)
    assert (seen.images != digits.images).any(1).any(1).any(1).float().mean() > 0.8
    assert 0 < (~seen.holds).sum() <= len(digits)


def test_labels_are_judged_by_the_very_draws_that_were_used(digits, reader):
    seen = augmented.compute_augmented(digits, reader, "flip", 0.5, draw=3)
    mirrored = (seen.images == digits.images.flip(3)).flatten(1).all(1).tolist()
    assert 5 < sum(mirrored) < 25
    pairs = zip(mirrored, digits.labels.tolist(), strict=True)
    assert seen.holds.tolist() == [not m or label in rules.SAME_IN_A_MIRROR for m, label in pairs]


def test_what_a_crop_and_a_cut_out_did_is_measured_in_the_images(digits, reader):
    before = digits.images
    crop = rules.AUGMENTATIONS["crop"].at(1.0)
    moved = rules.measure_change(crop, 2, before)
    after = denormalise(crop(scale(before), generator("darkroom", 2)))
    right, down = crop.draw(len(before), generator("darkroom", 2)).tolist()
    for i, (a, b) in enumerate(zip(right, down, strict=True)):
        assert moved[i] == max(abs(a), abs(b))
        ours = after[i, :, max(b, 0) : 32 + min(b, 0), max(a, 0) : 32 + min(a, 0)]
        assert torch.equal(ours, before[i, :, max(-b, 0) : 32 + min(-b, 0), max(-a, 0) : 32 + min(-a, 0)])
    cut_out = rules.AUGMENTATIONS["cut-out"].at(0.6)
    grey = (cut_out(scale(before), generator("darkroom", 2)) == 0).all(1)
    hidden = grey[:, 8:24, 8:24].float().mean((1, 2))
    assert torch.allclose(rules.measure_change(cut_out, 2, before), hidden)
    assert hidden.min() < 0.5 < hidden.max()


def test_a_mixed_image_counts_by_its_larger_part(digits, reader):
    seen = augmented.compute_augmented(digits, reader, "MixUp", 1.0, draw=1)
    shared = [(v, t) for v, t in zip(seen.verdicts, seen.targets.tolist(), strict=True) if not v.holds]
    assert len(shared) > 10
    assert all(verdict.words.split("\n")[0].endswith(f"a {target}") for verdict, target in shared)
    assert seen.larger.min() < 0.6


def test_an_image_that_became_its_partner_is_named_after_it(ax, digits, reader):
    seen = augmented.compute_augmented(digits, reader, "MixUp", 0.2)
    whole = [i for i in range(augmented.SHOWN) if seen.verdicts[i].holds]
    assert any(seen.targets[i] != seen.labels[i] for i in whole)
    augmented.draw_augmented(ax, seen)
    assert all(f"holds\n{int(seen.targets[i])}, read" in ax.texts[i].get_text() for i in whole)


def test_another_draw_is_another_picture(digits, reader):
    a, b = (augmented.compute_augmented(digits, reader, "rotation", 0.5, draw).images for draw in (0, 1))
    assert not torch.equal(a, b)


def test_an_augmented_batch_in_words(digits, reader):
    seen = augmented.compute_augmented(digits, reader, "flip", 1.0)
    broken = sum(label not in rules.SAME_IN_A_MIRROR for label in digits.labels.tolist())
    text = augmented.describe_augmented(seen, "flip", 1.0)
    assert text.startswith("flip (100 % of the images mirrored)")
    assert f"{broken} of 30 labels no longer hold ({broken} mirrored)" in text
    sixes = augmented.describe_augmented(seen.only(6), "flip", 1.0)
    assert f"of {int((digits.labels == 6).sum())} labels" in sixes
    mixed = augmented.compute_augmented(digits, reader, "CutMix", 1.0)
    assert "shared label" in augmented.describe_augmented(mixed, "CutMix", 1.0)


def test_curves_count_what_the_batches_say(digits, reader):
    strong = augmented.compute_augmented(digits, reader, "flip", 1.0)
    curves = augmented.compute_curves([strong] * len(augmented.MEASURED), 8)
    assert set(curves.holds) == {100.0}
    whole = augmented.compute_curves([strong])
    assert whole.holds[0] == pytest.approx(100 * strong.holds.float().mean().item())
    assert whole.read[0] == pytest.approx(100 * strong.read.float().mean().item())


def test_labels_that_no_longer_hold_are_marked_in_words_by_a_sign_and_by_a_frame(ax, digits, reader):
    seen = augmented.compute_augmented(digits, reader, "flip", 1.0)
    augmented.draw_augmented(ax, seen)
    captions = [text.get_text() for text in ax.texts if text.get_text()]
    shown = zip(captions, seen.holds.tolist(), strict=False)
    assert len(captions) == augmented.SHOWN
    assert all(caption.startswith("✓ holds" if holds else "✗ mirrored") for caption, holds in shown)
    assert len(ax.patches) == int((~seen.holds[: augmented.SHOWN]).sum())


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    """Small pictures: the labs draw the same figures, in less time."""
    monkeypatch.setattr(display, "QUICK_PIXELS_PER_INCH", 30)


def test_the_augmentations_say_how_strong_they_are(augmenter):
    for name in NAMES[::-1]:
        augmenter.augmentation = name
        assert f">{name} ({augmenter.amount})" in augmenter.sentence.value
    augmenter.augmentation = "crop"
    for position in (0, lab.STEPS // 2, lab.STEPS):
        augmenter.strength = position
        assert f"moved by up to {round(16 * position / lab.STEPS)} pixels" in augmenter.sentence.value


def test_drawing_again_is_another_picture(augmenter):
    pictures = {augmenter.picture.value}
    for _ in range(2):
        augmenter.again()
        pictures.add(augmenter.picture.value)
    assert len(pictures) == 3


def test_the_slider_stands_again_where_it_stood(augmenter, monkeypatch):
    augmenter.augmentation, augmenter.strength = "flip", 3
    augmenter.augmentation, augmenter.strength = "colour", 17
    drawn = []
    monkeypatch.setattr(lab, "draw_augmented", lambda ax, seen: drawn.append(ax))
    augmenter.forget()
    augmenter.augmentation = "flip"
    assert augmenter.strength == 3
    assert len(drawn) == 1, "one move of a control is one picture"


def test_the_reader_stumbles_over_what_it_never_saw(digits, reader):
    def right(strength):
        return augmented.compute_augmented(digits, reader, "rotation", strength).read.float().mean()

    assert right(0.0) > right(1.0) + 0.2


def flagged_at(detector, threshold, partners=False):
    """What the lab flags, and as what."""
    flagged = detectors.compute_outcome(detector, threshold).flagged
    return {(i, int(detector.partners[i])) if partners else i for i in flagged}


def test_the_lab_flags_what_the_detectors_flag(dirty, found):
    images = dirty[0].images
    exact = {(f.which, f.partner) for f in find_exact_duplicates(images)}
    assert flagged_at(found["exact duplicates"], 0.0, partners=True) == exact
    for threshold in (0.02, 0.05, 0.2):
        near = {(f.which, f.partner) for f in find_near_duplicates(images, threshold=threshold)}
        assert flagged_at(found["near duplicates"], threshold, partners=True) == near
    for threshold in (5, 15, 50):
        assert flagged_at(found["blank"], threshold) == {f.which for f in find_blank(images, threshold)}


def test_at_the_usual_thresholds_the_scores_are_those_of_the_notebook(dirty, probabilities, found):
    rows = measure(inspect(dirty[0], probabilities), dirty[1])
    assert found["near duplicates"].thresholds[found["near duplicates"].usual] == NEAR
    outcomes = [detectors.compute_outcome(one, one.thresholds[one.usual]) for one in found.values()]
    percent = [100 * share for outcome in outcomes for share in (outcome.precision, outcome.recall)]
    assert percent == pytest.approx([row["percent"] for row in rows])


def test_flagged_right_wrong_and_missed_fit_together(dirty, found):
    for detector in found.values():
        for threshold in detector.thresholds:
            outcome = detectors.compute_outcome(detector, threshold)
            hits = set(outcome.flagged) - set(outcome.alarms)
            assert hits | set(outcome.missed) == set(detector.planted)
            if detector.partners is None:
                share = precision_recall(outcome.flagged, detector.planted)
                assert (outcome.precision, outcome.recall) == pytest.approx(share)


def test_recall_rises_with_the_threshold(found):
    for name in ("near duplicates", "blank", "wrong labels"):
        outcomes = [detectors.compute_outcome(found[name], at) for at in found[name].thresholds]
        recall = [outcome.recall for outcome in outcomes]
        assert recall == sorted(recall)
        assert recall[-1] > recall[0]
        assert outcomes[0].precision > outcomes[-1].precision


def test_nothing_flagged_is_no_false_alarm(found):
    outcome = detectors.compute_outcome(found["blank"], 0.1)
    assert (outcome.flagged, outcome.precision, outcome.recall) == ((), 1.0, 0.0)


@pytest.mark.parametrize("view", detectors.VIEWS)
def test_evidence_says_what_each_image_is(ax, dirty, found, view):
    detector = found["near duplicates"]
    outcome = detectors.compute_outcome(detector, 0.1)
    detectors.draw_evidence(ax, dirty[0].images, detector, outcome, view)
    captions = [text.get_text().split("\n")[0] for text in ax.texts if text.get_text()]
    signs = {True: "✓ planted", False: "✗ false"}
    expected = [signs[bool(detector.right[i])] if view != "missed" else "○ missed" for i in outcome.view(view)]
    assert captions == expected[:9]
    assert ax.get_title() == f"{view}: {len(captions)} of {len(expected)}"


def test_every_image_in_range_is_a_mark(ax, found):
    detector = found["blank"]
    detectors.draw_values(ax, detector, 15)
    marks = sum(len(collection.get_offsets()) for collection in ax.collections)
    assert marks == int((detector.values <= 1.04 * 50).sum())


@pytest.mark.parametrize("name", ["exact duplicates", "near duplicates", "blank", "wrong labels"])
def test_the_cleaner_says_its_threshold(cleaner, name):
    cleaner.detector = name
    thresholds = cleaner.detectors[name].thresholds
    assert cleaner.controls["threshold"].disabled is (len(thresholds) == 1)
    for position in (0, 19, 10) if len(thresholds) > 1 else ():
        cleaner.threshold = position
        assert f">{name}, threshold {thresholds[position]:g}:" in cleaner.sentence.value
    pictures = set()
    for view in cleaner.controls["show"].options:
        cleaner.show = view[1]
        pictures.add(cleaner.picture.value)
    assert len(pictures) == 3


def test_both_labs_are_behind_tabs(digits, reader, dirty, probabilities):
    both = lab.preprocessing_lab(digits.subset(torch.arange(10)), reader, *dirty, probabilities)
    assert both.lab("augment").digits.labels.shape == (10,)
    assert "near duplicates" in both.lab("clean").sentence.value
    assert both.close()
