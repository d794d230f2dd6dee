"""What the checks of notebook 01 draw, compare and score."""

import numpy as np
import pytest
import torch

from tlcourse.data.cleaning import find_exact_duplicates, find_near_duplicates, precision_recall
from tlcourse.data.worlds import load
from tlcourse.exercises.runner.encoding import decode, encode
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


@pytest.mark.parametrize("kind", [list, set, frozenset, tuple, torch.tensor, np.array])
def test_pairs_may_come_in_any_container(kind):
    assert ex.as_pairs(kind([(3, 7), (5, 2), (7, 3)])) == {(7, 3), (5, 2)}


def test_unordered_pairs_leave_the_sandbox_and_count():
    planted = list(ex.with_copies(0)[1])
    answer = decode(encode({frozenset(pair) for pair in planted}))
    assert ex.as_pairs(answer) == set(planted)
    assert ex.f1(answer, 0) == 100


@pytest.mark.parametrize("report", [None, 3, "pairs", [1, 2], [(1, 2, 3)], {1: 2}, torch.zeros(4), [("a", "b")]])
def test_what_is_no_list_of_pairs_is_refused(report):
    with pytest.raises((TypeError, ValueError)):
        ex.as_pairs(report)


@pytest.mark.parametrize("empty", [[], (), set(), torch.zeros(0, 2), np.zeros((0, 2))])
def test_nothing_found_is_no_error(empty):
    assert ex.as_pairs(empty) == set()


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


def test_columns_count_in_any_order_and_each_once():
    right = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    deviation_over_n = right * 2**0.5  # here 2, and not over N - 1
    for got in (right.flip(1), right.tolist(), deviation_over_n):
        assert ex.same_columns(got, right)
    for got in (right * 1.2, right[:, [0, 0]], right[:, :1], right.flip(0), None):
        assert not ex.same_columns(got, right)


@pytest.mark.parametrize("got", [[2, 0], {0, 2}, (0, 2), torch.tensor([0, 2]), np.array([2, 0]), [torch.tensor(0), 2]])
def test_numbers_count_in_any_order_and_container(got):
    assert ex.same_numbers(got, [0, 2])


@pytest.mark.parametrize("got", [[0], [0, 2, 2], [0, 1], [], None, 2, [[0, 2]], torch.tensor([True, False, True])])
def test_other_numbers_are_not_the_same(got):
    assert not ex.same_numbers(got, [0, 2])


@pytest.mark.parametrize("empty", [[], set(), torch.tensor([]), torch.tensor([]).long()])
def test_no_numbers_are_the_same_as_none(empty):
    assert ex.same_numbers(empty, [])
