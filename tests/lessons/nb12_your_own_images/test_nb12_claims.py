"""What notebook 12 says about its own numbers, measured over several seeds; nothing was chosen on the test half.

Numbers in its prose come from here or from the tables that ship with the course, held against fresh runs below.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from tlcourse.data.worlds import load
from tlcourse.evaluation import intervals
from tlcourse.lessons.nb12_your_own_images.experiment import METHODS, REAL_DATA, SETTINGS, real_data, trial
from tlcourse.models.torchvision_backbones import imagenet_classes
from tlcourse.notebook.results import results

# The table holds three seeds on two sets of real photographs, which do not come with the course.


@pytest.fixture(scope="module")
def photo_rows():
    return results("photo_transfer")


def accuracies(rows, data, method):
    chosen = rows[(rows["data"] == data) & (rows["method"] == method)]
    return chosen.sort_values("seed")["accuracy"].tolist()


def mean_accuracy(rows, data, method):
    return np.mean(accuracies(rows, data, method))


def test_the_table_of_photographs_is_complete(photo_rows):
    measured = set(photo_rows[["data", "method", "seed"]].itertuples(index=False, name=None))
    assert measured == {(data, method, seed) for data in SETTINGS for method in METHODS for seed in range(3)}
    for row in photo_rows.itertuples():
        assert row.side == SETTINGS[row.data].side
        assert row.epochs == (1 if row.method == "linear probe" else SETTINGS[row.data].recipe.epochs)
        assert row.low < row.accuracy < row.high
    groceries, signs = (photo_rows[photo_rows["data"] == data] for data in SETTINGS)
    assert (groceries["test"] == 250).all()
    assert (signs["train"] + signs["validation"] == 200).all()


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


def test_the_practice_folder_is_written_by_seven_hands_that_all_parts_share():
    sheets = load("handwritten-photo").attributes["sheet"]
    assert len(sheets) == 906
    assert len(sheets.unique()) == 7
    assert not set(sheets.tolist()) & set(load("handwritten-photo", split="test").attributes["sheet"].tolist())


def test_what_fifty_test_photographs_can_tell():
    assert intervals.wilson_interval(45, 50).low < 80
    assert intervals.wilson_interval(50, 50).low == pytest.approx(92.9, abs=0.05)


def test_six_of_the_ten_groceries_are_classes_of_imagenet():
    known = set(imagenet_classes())
    assert {"banana", "lemon", "mushroom", "orange", "pineapple", "zucchini"} <= known
    assert not known & {"avocado", "carrot", "kiwi", "mango"}


@pytest.mark.skipif(not os.environ.get(REAL_DATA), reason=f"{REAL_DATA} names no folder of real photographs")
@pytest.mark.parametrize("data", SETTINGS)
def test_a_fresh_probe_on_real_photographs_agrees_with_the_shipped_table(photo_rows, data):
    (fresh,) = trial(data, 0, METHODS[:1])
    chosen = (photo_rows["data"] == data) & (photo_rows["method"] == METHODS[0]) & (photo_rows["seed"] == 0)
    (kept,) = photo_rows[chosen].to_dict("records")
    assert list(fresh) == list(kept)
    assert fresh["accuracy"] == pytest.approx(kept["accuracy"], abs=3)
    assert [fresh[part] for part in ("train", "validation", "test")] == [
        kept["train"],
        kept["validation"],
        kept["test"],
    ]


def test_without_real_photographs_the_error_says_what_is_expected(monkeypatch):
    monkeypatch.delenv(REAL_DATA, raising=False)
    with pytest.raises(ValueError, match="do not come with the course"):
        real_data()
