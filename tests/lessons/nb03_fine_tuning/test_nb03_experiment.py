"""The comparison of strategies measures what it says, and its tables say what the rows say."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb03_fine_tuning import experiment, strategy_settings
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, STRATEGIES
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
from tlcourse.repro import generator
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
    assert experiment.feature_drift(before, -before) == pytest.approx(200)
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
    assert row["drift"] == 0
    assert row["trained"] == 1290
    assert torch.equal(target.labels, shifted.labels)


def test_a_strategy_that_needs_more_labels_is_left_out():
    assert experiment.run_strategies(["early stopping"], [1], [0], progress=False).empty
    with pytest.raises(ValueError, match="early stopping needs at least 2 labels per class, but 1"):
        experiment.run_strategy("early stopping", 1, 0)


def test_a_strategy_that_does_not_exist():
    with pytest.raises(ValueError, match=r"there is no strategy 'magic'.*'LP-FT'"):
        experiment.run_strategies(["magic"], [5], [0], progress=False)


def rows(strategy, source, *targets):
    row = {"strategy": strategy, "per_class": 5, "source": source, "drift": 100.0, "trained": 309_114}
    return [
        {**row, "seed": seed, "target": target, "shifted": target - 10, "seconds": 1.0 + seed}
        for seed, target in enumerate(targets)
    ]


def test_tables():
    some = pd.DataFrame(rows("fine-tuned", 50.0, 80.0, 81.0) + rows("scratch", math.nan, 50.0, 50.0))
    table = experiment.strategy_table(some)
    assert table.columns[1] == "target %"
    whole = ["fine-tuned", "80.5 [80.0, 81.0]", "70.5 [70.0, 71.0]", "50", "100", "1.00", "309,114"]
    assert table.values.tolist()[0] == whole
    assert table["source %"].tolist() == ["50", "–"]
    paired = experiment.paired_table(some, "fine-tuned", "scratch")
    assert list(paired) == ["labels per class", "target", "shifted target", "source"]
    assert paired.values.tolist() == [[5, "30.5 [30.0, 31.0]", "30.5 [30.0, 31.0]", "–"]]


def test_the_shipped_table_is_whole():
    shipped = results("strategies")
    cells = [(n, k, s) for k in experiment.LABELS for n in STRATEGIES for s in range(5) if k >= STRATEGIES[n].fewest]
    assert list(zip(shipped.strategy, shipped.per_class, shipped.seed, strict=True)) == cells


def test_settings_are_chosen_on_sheets_that_gave_no_label(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        strategy_settings, "accuracy", lambda _, images: seen.setdefault("sheets", images.attributes["sheet"]) is None
    )
    strategy_settings.try_setting("linear probe", "1", 0)
    assert set(seen["sheets"].tolist()) == {5, 6}


def test_the_best_setting_has_the_highest_mean():
    tried = pd.DataFrame({"strategy": "a", "setting": ["0.1", "0.1", "1", "1"], "accuracy": [50, 70, 61, 61]})
    assert strategy_settings.best_setting(tried, "a") == 1.0


def test_every_setting_is_the_best_of_those_tried():
    tried = results("strategy_settings")
    assert set(tried.strategy) == set(STRATEGIES) - set(BASELINES)
    for name in tried.strategy.unique():
        assert strategy_settings.best_setting(tried, name) == STRATEGIES[name].setting, name
        assert set(tried[tried.strategy == name].seed) == {100, 101, 102}
