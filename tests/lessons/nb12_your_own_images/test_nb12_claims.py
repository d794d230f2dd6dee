"""What notebook 12 says about its own numbers; nothing was chosen on the test photographs.

Numbers in its prose come from here or from the table that ships with the course, held against fresh runs below.
"""

import copy
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch.optim.swa_utils import update_bn
from torchvision.models import MobileNet_V2_Weights

from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.evaluation.intervals import wilson_interval
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb12_your_own_images.experiment import (
    METHODS,
    NETWORK,
    PREPARED_AS,
    REAL_DATA,
    SETTINGS,
    compared,
    from_scratch,
    real_data,
    real_parts,
    trial,
)
from tlcourse.lessons.nb12_your_own_images.practice import practice_folder
from tlcourse.lessons.nb12_your_own_images.relabelling import relabelling
from tlcourse.notebook.results import paired, results
from tlcourse.photos.evaluation import evaluate_photos
from tlcourse.photos.finetuning import fine_tune_or_keep
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import photo_network, resized
from tlcourse.photos.pipeline import probe_photos
from tlcourse.photos.recipe import ENOUGH_MISTAKES, choose_recipe
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import from_another_day, train_validation_test
from tlcourse.photos.views import RandomView

ROOT = Path(__file__).parents[3]
SEEDS = range(6)  # trainings on two sets of real photographs, which do not come with the course


@pytest.fixture(scope="module")
def rows():
    return results("photo_transfer")


@pytest.fixture(scope="module")
def prose():
    cells = nbformat.read(ROOT / "notebooks" / "12_your_own_images.ipynb", 4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def mean(rows, data, method):
    return rows[(rows["data"] == data) & (rows["method"] == method)]["accuracy"].mean()


def verdict(rows, data, other):
    of_one = rows[rows["data"] == data]
    return paired(of_one, "accuracy", "method", "fine-tuned", other)["verdict"].item()


def test_the_table_of_photographs_is_complete(rows):
    measured = set(rows[["data", "method", "seed"]].itertuples(index=False, name=None))
    assert measured == {(data, method, seed) for data in SETTINGS for method in METHODS for seed in SEEDS}
    assert (rows["low"] < rows["accuracy"]).all()
    assert (rows["accuracy"] < rows["high"]).all()
    groceries, signs = (rows[rows["data"] == data] for data in SETTINGS)
    assert (groceries["test"] == 250).all()
    assert (signs["train"] + signs["chosen_on"] == 200).all()
    trained = rows[rows["method"] != "linear probe"]
    assert set(trained[trained["data"] == "groceries"]["updates"]) == {8 * 17}
    assert set(trained[trained["data"] == "sign_digits"]["updates"]) == {12 * 5}


def test_the_probe_chose_the_recipes(rows, prose):
    tuned = rows[rows["method"] == "fine-tuned"].set_index("data")
    assert ((tuned["mistakes"] < ENOUGH_MISTAKES) == (tuned["recipe"] == "gentle")).all()
    assert (tuned.loc["groceries", "recipe"] == "gentle").all()
    gently = tuned.loc["sign_digits", "recipe"] == "gentle"
    assert gently.sum() == 1
    assert "made only two mistakes on its 40 validation photographs" in prose
    hands = tuned.loc["sign_digits"]
    assert hands[gently][["mistakes", "chosen_on", "accuracy"]].to_numpy().tolist() == [[2, 40, 88]]
    assert hands[~gently]["accuracy"].round().between(96, 98).all()
    assert "88.0 % instead of the 96 to 98 of the others" in prose


def test_what_is_open_is_called_open(rows, prose):
    assert verdict(rows, "groceries", "linear probe") == "open"
    assert "what fine-tuning adds to the probe is open" in prose
    for data, other in (("groceries", "scratch"), ("sign_digits", "linear probe"), ("sign_digits", "scratch")):
        assert verdict(rows, data, other) == "higher"


def test_the_numbers_of_the_prose_are_those_of_the_table(rows, prose):
    for number, data, method in (
        (r"the probe is right on ([\d.]+) %", "groceries", "linear probe"),
        (r"from ([\d.]+) % to [\d.]+ % of the hands", "sign_digits", "linear probe"),
        (r"from [\d.]+ % to ([\d.]+) % of the hands", "sign_digits", "fine-tuned"),
    ):
        assert float(re.search(number, prose)[1]) == round(mean(rows, data, method), 1)


@pytest.mark.parametrize("data", SETTINGS)
def test_the_readme_repeats_the_table_of_photographs(rows, data):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    means = " | ".join(f"{mean(rows, data, method):.1f} %" for method in METHODS)
    assert f"| {means} |" in readme


def test_ways_are_compared_in_pairs_of_a_seed(rows):
    table = compared(rows, "method", "linear probe", by=["data"]).set_index(["data", "method"])
    assert table.loc[("groceries", "linear probe"), "minus linear probe"] == ""
    assert table.loc[("groceries", "fine-tuned"), "minus linear probe"].endswith("(open)")
    gain = mean(rows, "sign_digits", "fine-tuned") - mean(rows, "sign_digits", "linear probe")
    assert table.loc[("sign_digits", "fine-tuned"), "minus linear probe"].startswith(f"{gain:.1f} [")


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    """The practice folder as the notebook reads it: a network, its preprocessing, the photographs and their parts."""
    photos = inspect(scan(practice_folder(tmp_path_factory.mktemp("practice") / "digits")), progress=False).photos
    model, p = photo_network("tiny_resnet", 10)
    parts = train_validation_test(photos)
    sources = [open_photos(part, p, progress=False) for part in (parts.train, parts.validation, parts.test)]
    return model, p, photos, sources


@pytest.fixture(scope="module")
def tuned(practice):
    """Fine-tuned as the notebook does it, and without label smoothing: a network by how much is smoothed."""
    given, _, _, (train, validation, _) = practice
    model = copy.deepcopy(given)
    probe = probe_photos(model, train, validation)
    recipe = choose_recipe("auto", probe.mistakes, view=RandomView(0.7, mirror=False))
    networks = {smoothing: copy.deepcopy(model) for smoothing in (0.0, recipe.smoothing)}
    for smoothing, network in networks.items():
        fine_tune_or_keep(network, train, validation, replace(recipe, smoothing=smoothing), probe, progress=False)
    return networks


def test_label_smoothing_makes_the_network_too_modest_and_new_sheets_are_open(practice, tuned, tmp_path, prose):
    _, p, photos, (_, validation, test) = practice
    assert "smooths the labels (0.1," in prose
    temperature = {name: evaluate_photos(network, validation).fitted_temperature() for name, network in tuned.items()}
    assert temperature[0.1] < 1 < temperature[0.0]
    network = tuned[0.1]
    sheets = inspect(scan(practice_folder(tmp_path / "others", split="test", trouble=False)), progress=False).photos
    others = open_photos(from_another_day(sheets, photos), p, progress=False)
    here, there = (evaluate_photos(network, part).accuracy for part in (test, others))
    assert abs(here.mean - there.mean) < math.hypot(here.mean - here.low, there.high - there.mean)  # Newcombe 1998
    assert "it is open whether the new sheets are harder" in prose


def test_without_normalisation_the_score_gives_nothing_away(practice, tuned):
    _, p, _, (_, validation, _) = practice
    x = validation.prepared(torch.arange(len(validation)))
    mean, std = (torch.tensor(values)[:, None, None] for values in (p.mean, p.std))
    right, plain = (accuracy(tuned[0.1], [(images, validation.labels)]) for images in (x, x * std + mean))
    assert right == pytest.approx(plain, abs=5)


def test_what_looking_at_the_top_losses_is_worth(practice, prose):
    model, _, _, (train, _, test) = practice
    rows = relabelling(model, train, test)
    found = rows.groupby("labels")["found"].mean()
    assert found["random looked at"] == pytest.approx(6, abs=1.5)
    assert found["top losses looked at"] / found["random looked at"] == pytest.approx(8, abs=1.5)
    ways = ("random looked at", "top losses looked at", "all right")
    gains = [paired(rows, "accuracy", "labels", way, "as found") for way in ways]
    assert [gain["verdict"].item() for gain in gains] == ["open", "higher", "higher"]
    assert "for the random look the difference is open" in prose
    assert [gain["mean"].item() for gain in gains[1:]] == pytest.approx([3, 4], abs=1)


def test_the_practice_folder_is_written_on_seven_sheets_that_all_parts_share():
    sheets = load("handwritten-photo").attributes["sheet"]
    assert len(sheets) == 906
    assert len(sheets.unique()) == 7
    assert not set(sheets.tolist()) & set(load("handwritten-photo", split="test").attributes["sheet"].tolist())


def test_what_fifty_test_photographs_can_tell():
    assert wilson_interval(45, 50).low < 80
    assert wilson_interval(50, 50).low == pytest.approx(92.9, abs=0.05)


def test_six_of_the_ten_groceries_are_classes_of_imagenet():
    known = set(MobileNet_V2_Weights.DEFAULT.meta["categories"])
    assert {"banana", "lemon", "mushroom", "orange", "pineapple", "zucchini"} <= known
    assert not known & {"avocado", "carrot", "kiwi", "mango"}


@pytest.mark.skipif(not os.environ.get(REAL_DATA), reason=f"{REAL_DATA} names no folder of real photographs")
@pytest.mark.parametrize("data", SETTINGS)
def test_fresh_probes_on_real_photographs_agree_with_the_shipped_table(rows, data):
    fresh = [trial(data, seed, METHODS[:1])[0] for seed in SEEDS]
    kept = rows[(rows["data"] == data) & (rows["method"] == METHODS[0])]
    assert list(fresh[0]) == list(kept.columns)
    assert np.mean([row["accuracy"] for row in fresh]) == pytest.approx(kept["accuracy"].mean(), abs=1)
    assert [row["recipe"] for row in fresh] == kept["recipe"].tolist()


@pytest.mark.skipif(not os.environ.get(REAL_DATA), reason=f"{REAL_DATA} names no folder of real photographs")
def test_on_the_hands_the_running_averages_of_scratch_lag_behind_its_weights():
    setting, model = SETTINGS["sign_digits"], photo_network(NETWORK, 10, None).model
    parts = real_parts(setting, seed=0)
    p = resized(model, Preprocessing.for_weights(NETWORK, PREPARED_AS), setting.side)
    train, validation, test = (open_photos(of, p, progress=False) for of in (parts.train, parts.validation, parts.test))
    recipe = choose_recipe("full", ENOUGH_MISTAKES, **setting.changes)
    scratch = from_scratch(NETWORK, train, validation, recipe)
    lagging = evaluate_photos(scratch, test).accuracy.mean
    update_bn(train.for_training(recipe.batch, recipe.view, seed=1), scratch)
    assert lagging < 20
    assert evaluate_photos(scratch, test).accuracy.mean > lagging + 15


def test_without_real_photographs_the_error_says_what_is_expected(monkeypatch):
    monkeypatch.delenv(REAL_DATA, raising=False)
    with pytest.raises(ValueError, match="do not come with the course"):
        real_data()
