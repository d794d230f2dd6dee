"""What the checks of notebook 01 draw, compare and score."""

import pytest
import torch

from tlcourse.data.cleaning import find_exact_duplicates, find_near_duplicates, precision_recall
from tlcourse.data.worlds import load
from tlcourse.lessons.nb01_preprocessing import checks as ex


def test_copies_are_made_as_they_say_of_images_that_the_notebook_does_not_hold():
    images, kinds = ex.with_copies(0)
    assert len(images) == 467
    assert sorted(list(kinds.values()).count(how) for how in ex.MADE) == [ex.EACH] * len(ex.MADE)
    for (copy, original), how in kinds.items():
        assert original < copy
        assert torch.equal(images[copy], images[original]) == (how == "exact")
    for split in ("train", "test"):
        assert not find_exact_duplicates(images, load("handwritten-photo", split=split).images)
    assert kinds.keys() != ex.with_copies(1)[1].keys()


def test_the_score_is_the_f1_of_the_pairs():
    planted = list(ex.with_copies(0)[1])
    found = [*planted[:35], *[(466, i) for i in range(45)]]
    precision, recall = precision_recall(ex.as_pairs(found), planted)
    assert ex.f1(found, 0) == pytest.approx(100 * 2 * precision * recall / (precision + recall))
    assert ex.f1([pair[::-1] for pair in planted], 0) == 100
    assert ex.f1([], 0) == 0


def test_the_card_says_what_was_found_of_every_kind():
    planted = ex.with_copies(0)[1]
    details = dict(ex.what_was_found([pair for pair, how in planted.items() if how != "mirrored"], 0))
    assert details["precision"] == "100% of 60 pairs"
    assert details["recall"] == "86% of 70 copies"
    assert "mirrored     0 of 10" in details["found"]
    assert "noisy       10 of 10" in details["found"]
    assert dict(ex.what_was_found([], 0))["precision"] == "no pair was found"


def test_the_courses_detectors_reach_about_74_percent():
    images = ex.with_copies(1)[0]
    findings = find_exact_duplicates(images) + find_near_duplicates(images)
    assert ex.f1([(f.which, f.partner) for f in findings], 1) == pytest.approx(74, abs=4)
