import pytest

from tlcourse.evaluation.transfer_measures import (
    LabelCount,
    forgetting,
    labels_needed,
)

SCRATCH = {1: 25.0, 10: 70.0, 100: 90.0}


@pytest.mark.parametrize(
    ("curve", "accuracy", "labels"),
    [
        (SCRATCH, 25.0, 1),  # measured points are read back
        (SCRATCH, 70.0, 10),
        (SCRATCH, 90.0, 100),
        (SCRATCH, 80.0, 1000**0.5),  # half way on the logarithm
        (SCRATCH, 47.5, 10**0.5),
        ({1: 20.0, 10: 80.0, 20: 60.0, 40: 90.0}, 80.0, 10),  # a curve that falls is read where it first gets there
    ],
)
def test_labels_needed_are_read_off_the_curve(curve, accuracy, labels):
    needed = labels_needed(curve, accuracy)
    assert (needed.value, needed.bound) == (pytest.approx(labels), "about")


def test_beyond_the_ends_there_is_only_a_bound():
    assert labels_needed(SCRATCH, 90.1) == LabelCount(100, "more than")
    assert labels_needed(SCRATCH, 10.0) == LabelCount(1, "at most")


def test_label_counts_read_well():
    assert str(LabelCount(46.6)) == "about 47"
    assert str(LabelCount(50, "more than")) == "more than 50"
    assert str(LabelCount(2.34)) == "about 2.3"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (labels_needed, ({1: 5.0}, 50), "Expected at least two numbers of labels from 1 up"),
        (labels_needed, (SCRATCH, 101), "a goal from 0 to 100"),
        (labels_needed, ({0: 1.0, 2: 2.0}, 1), "Expected at least two numbers of labels from 1 up"),
        (forgetting, (0.97, 134), r"got 0\.97 and 134"),
    ],
)
def test_what_cannot_be_read_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
