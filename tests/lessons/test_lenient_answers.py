"""Answers of exercises count in any container and order that says the same, and what says something else does not."""

import numpy as np
import pytest
import torch

from tlcourse.exercises.runner.encoding import decode, encode
from tlcourse.lessons.nb01_preprocessing import checks as nb01
from tlcourse.lessons.nb02_weight_transfer import checks as nb02
from tlcourse.lessons.nb04_evaluation.archives import read_ends
from tlcourse.lessons.nb12_your_own_images.referrals import NEW, read_choices

PAIRS = [(3, 7), (5, 2), (7, 3)]
PARTS = {"head": 2, "stem": 3, "block1": 0, "block2": 9, "block3": 18, "block4": 18}
COLUMNS = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
ENDS = np.stack([np.arange(2000.0), np.arange(2000.0) + 1], axis=1)
CHOICES = torch.arange(NEW) % 10
AS_ARRAY = decode(encode(np.array(["a"])))  # of texts, as it leaves the sandbox


@pytest.mark.parametrize(
    ("read", "expected", "answers"),
    [
        (
            nb01.as_pairs,
            {(7, 3), (5, 2)},
            [kind(PAIRS) for kind in (list, set, frozenset, tuple, torch.tensor, np.array)],
        ),
        (nb01.as_pairs, {(7, 3)}, [decode(encode({frozenset((3, 7))}))]),
        (nb01.as_pairs, set(), [[], (), set(), torch.zeros(0, 2), np.zeros((0, 2))]),
        (nb02._six, [3, 0, 9, 18, 18, 2], [PARTS]),
        (read_ends, ENDS, [ENDS, torch.as_tensor(ENDS), ENDS.tolist(), tuple(ENDS.T)]),
        (read_choices, CHOICES, [CHOICES, CHOICES.tolist(), CHOICES.numpy(), CHOICES.float()]),
    ],
)
def test_what_says_the_same_is_read_the_same(read, expected, answers):
    assert all(np.array_equal(read(answer), expected) for answer in answers)


def spoilt(*row):
    ends = ENDS.copy()
    ends[7] = row
    return ends


@pytest.mark.parametrize(
    ("read", "message", "answers"),
    [
        (nb01.as_pairs, None, [None, 3, "pairs", [1, 2], [(1, 2, 3)], {1: 2}, torch.zeros(4), [("a", "b")]]),
        (read_ends, r"\[2000, 2\] was expected", [None, 3.0, [1.0, 2.0], np.zeros((2000, 3)), ENDS[1:], {"low": 1}]),
        (read_ends, "not finite, or lies on the wrong side", [spoilt(2, 1), spoilt(np.nan, 1), spoilt(0, np.inf)]),
        (read_choices, "expected", [None, [1, 2], torch.zeros(NEW, 10), CHOICES / 2, CHOICES + 1]),
    ],
)
def test_what_cannot_be_read_is_refused(read, message, answers):
    for answer in answers:
        with pytest.raises((TypeError, ValueError), match=message):
            read(answer)


@pytest.mark.parametrize(
    ("same", "expected", "right", "wrong"),
    [
        (
            nb01.same_columns,
            COLUMNS,
            [COLUMNS.flip(1), COLUMNS.tolist(), COLUMNS * 2**0.5],  # a deviation over 2, and not over 1
            [COLUMNS * 1.2, COLUMNS[:, [0, 0]], COLUMNS[:, :1], COLUMNS.flip(0), None],
        ),
        (
            nb01.same_numbers,
            [0, 2],
            [[2, 0], {0, 2}, (0, 2), torch.tensor([0, 2]), np.array([2, 0]), [torch.tensor(0), 2]],
            [[0], [0, 2, 2], [0, 1], [], None, 2, [[0, 2]], torch.tensor([True, False, True])],
        ),
        (nb01.same_numbers, [], [[], set(), torch.tensor([]), torch.tensor([]).long()], [[0], None]),
        (nb02._same_names, ["a"], [{"a": True, "b": False}, {"a": 0.5}, AS_ARRAY], [{"a": True, "b": True}]),
    ],
)
def test_what_is_the_same_counts_and_nothing_else(same, expected, right, wrong):
    assert all(same(answer, expected) for answer in right)
    assert not any(same(answer, expected) for answer in wrong)
