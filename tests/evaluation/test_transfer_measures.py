import math

import pytest

from tlcourse.evaluation.transfer_measures import (
    LabelCount,
    forgetting,
    gain_over_scratch,
    labels_needed,
    labels_saved,
    time_to_accuracy,
)

SCRATCH = {1: 25.0, 10: 70.0, 100: 90.0}
TRANSFER = {1: 60.0, 10: 90.0, 50: 97.0}


def test_gain_is_taken_at_equal_labels_only():
    assert gain_over_scratch(TRANSFER, SCRATCH) == {1: 35.0, 10: 20.0}
    assert gain_over_scratch(SCRATCH, SCRATCH) == {1: 0, 10: 0, 100: 0}
    assert gain_over_scratch({1: 20.0}, SCRATCH) == {1: -5.0}  # transfer that hurts


def test_gain_needs_equal_labels():
    with pytest.raises(ValueError, match=r"at \[2\] labels, scratch at \[1, 10, 100\]"):
        gain_over_scratch({2: 50.0}, SCRATCH)


@pytest.mark.parametrize("labels", [1, 10, 100])
def test_measured_points_are_read_back(labels):
    assert labels_needed(SCRATCH, SCRATCH[labels]).value == pytest.approx(labels)
    assert labels_needed(SCRATCH, SCRATCH[labels]).bound == "about"


def test_half_way_on_the_logarithm():
    assert labels_needed(SCRATCH, 80.0).value == pytest.approx(math.sqrt(10 * 100))
    assert labels_needed(SCRATCH, 47.5).value == pytest.approx(math.sqrt(10))


def test_beyond_the_ends_there_is_only_a_bound():
    assert labels_needed(SCRATCH, 90.1) == LabelCount(100, "more than")
    assert labels_needed(SCRATCH, 10.0) == LabelCount(1, "at most")


def test_a_curve_that_falls_is_read_where_it_first_gets_there():
    assert labels_needed({1: 20.0, 10: 80.0, 20: 60.0, 40: 90.0}, 80.0).value == pytest.approx(10)


def test_labels_saved():
    saved = labels_saved(TRANSFER, SCRATCH, 10)
    assert (saved.value, saved.bound) == (pytest.approx(10), "about")
    assert labels_saved(TRANSFER, SCRATCH, 50) == LabelCount(2, "more than")
    assert labels_saved(SCRATCH, SCRATCH, 10).value == pytest.approx(1)


def test_label_counts_read_well():
    assert str(LabelCount(46.6)) == "about 47"
    assert str(LabelCount(50, "more than")) == "more than 50"
    assert str(LabelCount(2.34)) == "about 2.3"


@pytest.mark.parametrize(("curve", "goal"), [({1: 5.0}, 50), (SCRATCH, 101), ({0: 1.0, 2: 2.0}, 1)])
def test_labels_needed_refuses(curve, goal):
    with pytest.raises(ValueError, match="Expected at least two numbers of labels from 1 up"):
        labels_needed(curve, goal)


def test_labels_saved_needs_a_measured_point():
    with pytest.raises(ValueError, match="not at 7"):
        labels_saved(TRANSFER, SCRATCH, 7)


def test_time_to_accuracy_is_the_first_time():
    assert time_to_accuracy([40, 70, 60, 80], 8.0, 70) == 4.0
    assert time_to_accuracy([40, 70, 60, 80], 8.0, 71) == 8.0
    assert time_to_accuracy([40, 70], 8.0, 10) == 4.0
    assert time_to_accuracy([40, 70], 8.0, 90) is None


@pytest.mark.parametrize(("curve", "seconds", "goal"), [([], 1, 50), ([50], -1, 50), ([50], 1, 150)])
def test_time_to_accuracy_refuses(curve, seconds, goal):
    with pytest.raises(ValueError, match="Expected at least one measured epoch"):
        time_to_accuracy(curve, seconds, goal)


def test_forgetting_has_a_sign():
    assert forgetting(97.0, 34.0) == 63.0
    assert forgetting(50.0, 50.0) == 0
    assert forgetting(50.0, 60.0) == -10
    with pytest.raises(ValueError, match=r"got 0\.97 and 134"):
        forgetting(0.97, 134)
