"""The pieces of notebook 09: scores, comparisons, and directions; and that nothing is chosen on the test pool."""

import math

import pandas as pd
import pytest
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb09_many_tasks import sharing, ways
from tlcourse.lessons.nb09_many_tasks.directions import (
    MGDA,
    PCGRAD,
    SUM,
    UPGRAD,
    directions,
    gains,
    in_words,
    two_gradients,
)
from tlcourse.lessons.nb09_many_tasks.lab import ANGLES, LENGTHS


def five_answers():
    attributes = {name: torch.tensor([0, 0, 0, 1]) for name in ("weight", "slant", "serif")}
    attributes["angle"] = torch.tensor([-10.0, 0.0, 0.0, 10.0])
    return ImageSet(torch.zeros(4, 3, 32, 32).byte(), torch.tensor([0, 1, 1, 2]), ("a", "b", "c"), attributes)


def test_guessing_by_hand():
    assert ways.guessing(five_answers()) == {"class": 50, "weight": 25, "slant": 25, "serif": 25, "angle": 5}


def test_the_score_is_the_mean_share_of_guessing():
    rows = pd.DataFrame([ways.guessing(five_answers()), dict.fromkeys(ways.TASKS, 0.0)])
    rows.loc[2] = {"class": 0, "weight": 25, "slant": 0, "serif": 0, "angle": 0}
    assert ways.normalised(rows, five_answers())["normalised"].tolist() == pytest.approx([100, 0, 20])


def test_a_change_is_of_the_same_seed_number_of_answers_and_main_task():
    keys = ["main", "beside", "labels", "seed", "error"]
    alone = [("class", 50, 0, 10.0), ("class", 50, 1, 20.0), ("class", 200, 0, 99.0), ("slant", 50, 0, 4.0)]
    few = pd.DataFrame([(main, sharing.ALONE, *rest) for main, *rest in alone], columns=keys)
    shared = [("class", 50, 1, 15.0), ("class", 50, 0, 12.0), ("slant", 50, 0, 1.0)]
    beside = pd.DataFrame([(main, "serif", *rest) for main, *rest in shared], columns=keys)
    guess = ways.guessing(ways.test_images())
    expected = [-500 / guess["class"], 200 / guess["class"], -300 / guess["slant"]]
    assert sharing.changes(few, beside)["change"].tolist() == pytest.approx(expected)


def test_every_way_has_as_many_settings_and_uses_one_of_them():
    for name, way in ways.WAYS.items():
        assert way.best in way.settings
        assert len(way.settings) == (2 if name == ways.SEPARATE else 4)
        assert len({ways.named(setting) for setting in way.settings}) == len(way.settings)


def test_images_to_learn_from_to_choose_and_to_test_are_others():
    train, held, test = ways.training_images(0), ways.validation_images(), ways.test_images()
    assert [len(data) for data in (train, held, test)] == [2000, 1000, 2000]
    assert held.shared_with(train) == held.shared_with(test) == train.shared_with(test) == 0
    assert ways.training_images(50).shared_with(train) == 0


def test_two_gradients_have_their_angle_and_length():
    for angle in ANGLES:
        one, two = two_gradients(angle, 4.0)
        assert one.norm().item() == pytest.approx(1)
        assert two.norm().item() == pytest.approx(4)
        assert (one @ two).item() / 4 == pytest.approx(math.cos(math.radians(angle)), abs=1e-9)


@pytest.mark.parametrize("length", LENGTHS)
def test_what_the_lab_asks(length):
    for angle in ANGLES:
        rows = two_gradients(angle, length)
        found = directions(rows)
        assert all(min(gains(rows, found[rule])) > -1e-6 for rule in (PCGRAD, MGDA, UPGRAD)), "they harm nobody"
        if length == 1:
            assert min(gains(rows, found[SUM])) > -1e-6, "nor does the sum of equally long ones"
        torch.testing.assert_close(found[PCGRAD], 2 * found[UPGRAD], atol=1e-6, rtol=1e-6)
        if angle <= 90:
            torch.testing.assert_close(found[PCGRAD], found[SUM], atol=1e-6, rtol=1e-6)
    opposite = directions(two_gradients(180, length))
    assert all(opposite[rule].norm() < 1e-6 for rule in (PCGRAD, MGDA, UPGRAD))


def test_weights_that_harm_nobody_at_120_degrees_and_length_4():
    rows = two_gradients(120, 4.0)
    harmed = {second: min(gains(rows, directions(rows, (1.0, second))[SUM])) < -1e-6 for second in (0.1, 0.25, 0.5, 1)}
    assert harmed == {0.1: True, 0.25: False, 0.5: False, 1: True}


def test_the_sentence_says_what_each_direction_does():
    rows = two_gradients(120, 4.0)
    assert "sum -0.28 and 3.88; PCGrad 0.19" in in_words(rows, directions(rows))
