"""What notebook 12 says about its own numbers, measured over several seeds; nothing was chosen on the test half.

Numbers in its prose come from here or from the tables that ship with the course, held against fresh runs below.
"""

from pathlib import Path

import numpy as np
import pytest

from tlcourse.data.worlds import load
from tlcourse.evaluation import intervals as stats
from tlcourse.lessons.nb12_your_own_images.experiment import METHODS, SETTINGS, accuracies, read_photo_transfer
from tlcourse.models.torchvision_backbones import imagenet_classes

# The table holds three seeds on two sets of real photographs, which do not come with the course.


@pytest.fixture(scope="module")
def photo_rows():
    return read_photo_transfer()


def mean_accuracy(rows, data, method):
    return np.mean(accuracies(rows, data, method))


def test_the_table_of_photographs_is_complete(photo_rows):
    assert {(r.data, r.method, r.seed) for r in photo_rows} == {
        (data, method, seed) for data in SETTINGS for method in METHODS for seed in range(3)
    }
    for row in photo_rows:
        assert row.side == SETTINGS[row.data].side
        assert row.epochs == (1 if row.method == "linear probe" else SETTINGS[row.data].recipe.epochs)
        assert row.low < row.accuracy < row.high
    assert {r.test for r in photo_rows if r.data == "groceries"} == {250}
    assert {r.train + r.validation for r in photo_rows if r.data == "sign_digits"} == {200}


def test_groceries_are_near_to_imagenet_so_that_a_probe_is_nearly_enough(photo_rows):
    probe, tuned = (mean_accuracy(photo_rows, "groceries", method) for method in ("linear probe", "fine-tuned"))
    assert probe > 92
    assert tuned > 93
    assert 0 < tuned - probe < 4
    assert max(accuracies(photo_rows, "groceries", "fine-tuned")) > 95


def test_what_transfer_is_worth_over_scratch_at_equal_budget(photo_rows):
    tuned, scratch = (accuracies(photo_rows, "groceries", method) for method in ("fine-tuned", "scratch"))
    gains = [t - s for t, s in zip(tuned, scratch, strict=True)]
    assert min(gains) > 30
    assert np.mean(gains) > 38


@pytest.mark.parametrize("data", SETTINGS)
def test_the_readme_repeats_the_table_of_photographs(photo_rows, data):
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    means = " | ".join(f"{mean_accuracy(photo_rows, data, method):.1f} %" for method in METHODS)
    assert f"| {means} |" in readme


def test_hands_are_far_from_imagenet_so_that_features_must_move(photo_rows):
    probe, tuned, scratch = (mean_accuracy(photo_rows, "sign_digits", method) for method in METHODS)
    assert tuned >= 85
    assert tuned > probe
    assert tuned - scratch >= 40
    assert probe < mean_accuracy(photo_rows, "groceries", "linear probe")


def test_the_practice_folder_is_written_by_seven_hands_that_all_piles_share():
    sheets = load("handwritten-photo").attributes["sheet"]
    assert len(sheets) == 906
    assert len(sheets.unique()) == 7
    assert not set(sheets.tolist()) & set(load("handwritten-photo", split="test").attributes["sheet"].tolist())


def test_what_fifty_test_photographs_can_tell():
    assert stats.wilson_interval(45, 50).low < 80
    assert stats.wilson_interval(50, 50).low == pytest.approx(92.9, abs=0.05)


def test_six_of_the_ten_groceries_are_classes_of_imagenet():
    known = set(imagenet_classes())
    assert {"banana", "lemon", "mushroom", "orange", "pineapple", "zucchini"} <= known
    assert not known & {"avocado", "carrot", "kiwi", "mango"}
