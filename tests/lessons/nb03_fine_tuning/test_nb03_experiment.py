"""The comparison of strategies measures what it says, and its tables say what the rows say."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb03_fine_tuning import batchnorm, experiment, strategy_settings
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
from tlcourse.repro import generator
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.linear_probe import linear_probe


def test_source_accuracy_of_an_untouched_backbone_is_the_sources_own():
    letters = load("printed-photo", "letters", "test", count=60)
    model = STRATEGIES["fine-tuned"].start(0)
    assert experiment.source_accuracy(model, "tiny_resnet", letters) == pytest.approx(
        accuracy(pretrained("tiny_resnet", "letters"), letters)
    )


def test_drift_in_numpy():
    draws = generator("drift")
    before, after = torch.randn(9, 4, generator=draws), torch.randn(9, 4, generator=draws)
    moved = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before.numpy(), after.numpy(), strict=True)]
    assert experiment.feature_drift(before, after) == pytest.approx(100 * np.mean(moved), rel=1e-5)
    assert experiment.feature_drift(before, before) == 0
    with pytest.raises(ValueError, match=r"shapes \[9, 4\] and \[8, 4\]"):
        experiment.feature_drift(before, after[1:])


def test_a_row_is_what_the_network_says():
    (row,) = experiment.run_strategies(["linear probe"], [1], [3], progress=False).to_dict("records")
    target, shifted, letters = experiment.evaluation_sets()
    model = STRATEGIES["linear probe"].start(3)
    linear_probe(model, load("handwritten-photo").few(1, 3), STRATEGIES["linear probe"].setting)
    assert (row["strategy"], row["per_class"], row["seed"]) == ("linear probe", 1, 3)
    assert row["target"] == pytest.approx(accuracy(model, target))
    assert row["shifted"] == pytest.approx(accuracy(model, shifted))
    assert row["source"] == pytest.approx(accuracy(pretrained("tiny_resnet", "letters"), letters))
    assert (row["drift"], row["trained"], row["updates"]) == (0, 1290, 0)
    assert torch.equal(target.labels, shifted.labels)


def test_every_row_names_its_budget():
    budget = {"updates": 100, "batch": 50, "lr": 0.003, "augmented": True}
    assert experiment.budget("fine-tuned", 5, Recipe()) == budget
    assert experiment.budget("fine-tuned", 5, experiment.LONGER)["updates"] == 300
    ready_made = experiment.budget("ready-made, scratch", 5, Recipe())
    assert (ready_made["batch"], ready_made["augmented"]) == (50, False)


def test_a_strategy_that_needs_more_labels_has_no_row():
    assert experiment.run_strategies(["early stopping"], [1], [0], progress=False).empty


def rows(strategy, source, *targets, updates=100):
    row = {"strategy": strategy, "per_class": 5, "source": source, "drift": 100.0, "trained": 309_114}
    return [
        {**row, "seed": seed, "target": target, "shifted": target - 10, "seconds": 1.0 + seed, "updates": updates}
        for seed, target in enumerate(targets)
    ]


def test_tables():
    some = pd.DataFrame(rows("fine-tuned", 50.0, 80.0, 82.0, 84.0) + rows("scratch", math.nan, 50.0, 50.0, 50.0))
    first, second = experiment.strategy_table(some).values.tolist()
    assert first == ["fine-tuned", "82.0 [77.0, 87.0]", "72.0 [67.0, 77.0]", "50", "100", "1.00", "309,114"]
    assert second[3] == "–"
    (line,) = experiment.compare(some, "fine-tuned", "scratch").values.tolist()
    assert line == [5, "32.0 [27.0, 37.0]", "32.0 [27.0, 37.0]", "–"]
    assert experiment.measured(some)["fine-tuned, shifted"].mean == 72
    longer = pd.DataFrame(rows("fine-tuned", 50.0, 81.0, 82.0, 84.0, updates=300))
    (line,) = experiment.longer_table(some, longer).values.tolist()
    assert line == ["fine-tuned", 5, "82.0 [77.0, 87.0]", "82.3 [78.5, 86.1]", "0.3 [-1.1, 1.8] (open)"]


def test_differences_from_fine_tuning_are_taken_seed_by_seed():
    some = pd.DataFrame(rows("fine-tuned", 50.0, 80.0, 82.0) + rows("LP-FT", 50.0, 81.0, 85.0)).sample(frac=1)
    points = experiment.above_fine_tuned(some)
    assert set(points.strategy) == {"LP-FT"}
    for _, of_one in points.groupby("measure"):
        assert of_one.sort_values("seed").points.tolist() == [1, 3]


def test_labelled_images_and_all_the_others():
    pool = load("handwritten-photo")
    labelled, rest = experiment.split_labelled(pool, 5, 1)
    assert torch.equal(labelled.images, pool.few(5, 1).images)
    assert len(rest) == len(pool) - 50
    assert rest.shared_with(labelled) == 0


def test_settings_are_chosen_on_sheets_that_gave_no_label(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        strategy_settings, "accuracy", lambda _, images: seen.setdefault("sheets", images.attributes["sheet"]) is None
    )
    strategy_settings.try_setting("linear probe", "1", 0)
    assert set(seen["sheets"].tolist()) == {5, 6}


def test_every_setting_is_the_best_of_those_tried():
    tried = results("strategy_settings")
    means = tried.groupby(["strategy", "setting"]).accuracy.mean().unstack("strategy")
    assert {name: float(means[name].idxmax()) for name in means} == {n: STRATEGIES[n].setting for n in means}


def trained_in_groups(size, keep):
    model = STRATEGIES["fine-tuned"].start(0)
    recipe = Recipe(epochs=1, steps=2, batch=8)
    batchnorm.train_in_groups(model, load("handwritten-photo").few(1), size, 0, keep=keep, recipe=recipe)
    return torch.cat([p.detach().flatten() for p in model.parameters()]), model.stem[1].running_mean.clone()


def test_the_size_of_groups_matters_to_batch_normalisation_alone():
    start = STRATEGIES["fine-tuned"].start(0).stem[1].running_mean
    (small, kept), (large, _) = trained_in_groups(2, True), trained_in_groups(8, True)
    assert torch.allclose(small, large, atol=2e-3)  # Adam makes rounding of tiny gradients visible
    assert torch.equal(kept, start)
    (small, small_mean), (large, _) = trained_in_groups(2, False), trained_in_groups(8, False)
    assert not torch.allclose(small, large, atol=2e-3)
    assert not torch.equal(small_mean, start)


def test_groups_are_named_and_only_the_largest_are_tried_with_kept_statistics(monkeypatch):
    monkeypatch.setattr(batchnorm, "SIZES", (4, 8))
    rows = batchnorm.batchnorm_trial(8, 0, per_class=1, recipe=Recipe(epochs=1, steps=1, batch=8))
    assert [row["statistics"] for row in rows] == ["groups of 8", batchnorm.KEPT]
    assert {row["updates"] for row in rows} == {1}
