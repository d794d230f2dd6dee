"""Strategies do what their names say, and the table says what the outcomes say."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb03_fine_tuning import experiment as table
from tlcourse.lessons.nb03_fine_tuning import strategy_settings as settings
from tlcourse.lessons.nb03_fine_tuning.probe_race import race, race_table, split_labelled
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, STRATEGIES
from tlcourse.lessons.shipped import SHIPPED
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import read_rows, save_rows
from tlcourse.repro import generator
from tlcourse.training.trials import Recipe
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import linear_probe

TINY = Recipe(epochs=2, steps=2, batch=8)
HEADS = ("linear probe", "frozen, trained")
WHOLE = [name for name in STRATEGIES if name not in HEADS and name != "gradual unfreezing"]


@pytest.fixture(scope="module")
def few():
    return load("handwritten-photo").few(2)


def moved(name, few, recipe=TINY, setting=None):
    """Train by a strategy and return the stages whose numbers changed, and the network."""
    strategy = STRATEGIES[name]
    model, before = strategy.start(0), strategy.start(0).state_dict()
    strategy.train(model, few, 0, setting or strategy.setting, recipe)
    changed = {n.split(".")[0] for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    return changed, model


@pytest.mark.parametrize("name", HEADS)
def test_a_frozen_backbone_does_not_move(name, few):
    changed, model = moved(name, few)
    assert changed == {model.head_name}


@pytest.mark.parametrize("name", WHOLE)
def test_everything_else_moves_everything(name, few):
    changed, model = moved(name, few)
    assert changed == {*model.stages(), model.head_name}


def test_gradual_unfreezing_reaches_as_deep_as_its_epochs(few):
    assert moved("gradual unfreezing", few, dataclasses.replace(TINY, epochs=1, steps=4))[0] == {"head"}
    assert moved("gradual unfreezing", few, dataclasses.replace(TINY, epochs=3))[0] == {"head", "block3", "block4"}


def test_lp_ft_begins_where_the_probe_ends(few):
    probe = STRATEGIES["LP-FT"].start(0)
    linear_probe(probe, few)
    _, model = moved("LP-FT", few, setting=1e-9)
    assert torch.allclose(get_classifier(model).weight, get_classifier(probe).weight, atol=1e-5)


@pytest.mark.parametrize(("name", "slow", "fast"), [("discriminative rates", "block4", "head")])
def test_small_rates_move_less(name, slow, fast, few):
    before, (_, model) = STRATEGIES[name].start(0).state_dict(), moved(name, few)
    full = moved("fine-tuned", few, setting=STRATEGIES[name].setting)[1].state_dict()

    def way(weights, stage):
        pairs = [(t, before[n]) for n, t in weights.items() if n.startswith(stage) and n.endswith("weight")]
        return sum((a - b).abs().sum().item() for a, b in pairs)

    assert way(model.state_dict(), slow) < 0.3 * way(full, slow)
    assert way(model.state_dict(), fast) > 0.5 * way(full, fast)


def test_l2_sp_stays_nearer_to_the_start(few):
    before = STRATEGIES["L2-SP"].start(0).state_dict()
    recipe = dataclasses.replace(TINY, epochs=4)
    near, far = (moved(name, few, recipe, 1e-2)[1].state_dict() for name in ("L2-SP", "fine-tuned"))

    def way(weights):
        return sum((weights[n] - t).norm().item() for n, t in before.items() if "conv" in n)

    assert way(near) < way(far)


def test_early_stopping_learns_from_four_fifths(few, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "tlcourse.lessons.nb03_fine_tuning.strategies.descend", lambda model, images, *_, **o: seen.append((images, o))
    )
    labelled = load("handwritten-photo").few(5)
    STRATEGIES["early stopping"].train(STRATEGIES["scratch"].start(0), labelled, 0, 1e-3, TINY)
    ((learn, options),) = seen
    assert (len(learn), len(options["validation"]), options["patience"]) == (40, 10, 3)
    assert learn.shared_with(options["validation"]) == 0


def test_all_but_the_ready_made_start_from_the_same_weights():
    starts = {name: s.start(3).state_dict() for name, s in STRATEGIES.items() if s.carried and name not in BASELINES}
    first = starts.pop("fine-tuned")
    assert all(torch.equal(first[n], weights[n]) for weights in starts.values() for n in first)
    assert not torch.equal(first["head.weight"], STRATEGIES["fine-tuned"].start(4).state_dict()["head.weight"])
    letters = pretrained("tiny_resnet", "letters").state_dict()
    assert torch.equal(first["stem.0.weight"], letters["stem.0.weight"])


def test_the_budget_is_the_same(few, monkeypatch):
    """Updates, and images an update, of everything that goes through the loop; the recipe is the same object."""
    budgets, real = {}, type(few).batches
    for name, strategy in STRATEGIES.items():
        if name == "linear probe":
            continue
        seen = []
        with monkeypatch.context() as patch:
            patch.setattr(
                type(few),
                "batches",
                lambda self, size, seen=seen, **o: seen.append((size, o["steps"])) or real(self, size, **o),
            )
            strategy.train(strategy.start(0), few, 0, 1e-3, TINY)
        budgets[name] = seen[0]
    assert {budget for name, budget in budgets.items() if name not in BASELINES} == {(8, 2)}
    assert {budgets[name] for name in BASELINES} == {(20, 2)}  # all 20 images: 128 are not there


def test_source_accuracy_of_an_untouched_backbone_is_the_sources_own():
    letters = load("printed-photo", "letters", "test", count=60)
    model = STRATEGIES["fine-tuned"].start(0)
    assert table.source_accuracy(model, "tiny_resnet", letters) == pytest.approx(
        accuracy(pretrained("tiny_resnet", "letters"), letters)
    )


def test_drift_in_numpy():
    draws = generator("drift")
    before, after = torch.randn(9, 4, generator=draws), torch.randn(9, 4, generator=draws)
    naive = np.mean(
        [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before.numpy(), after.numpy(), strict=True)]
    )
    assert table.feature_drift(before, after) == pytest.approx(100 * naive, rel=1e-5)
    assert table.feature_drift(before, before) == 0
    assert table.feature_drift(before, -before) == pytest.approx(200)
    with pytest.raises(ValueError, match=r"shapes \[9, 4\] and \[8, 4\]"):
        table.feature_drift(before, after[1:])


def test_an_outcome_is_what_the_network_says():
    result, model = table.run_strategy("linear probe", 1, 3)
    target, shifted, letters = table.yardsticks()
    assert result.target == pytest.approx(accuracy(model, target))
    assert result.shifted == pytest.approx(accuracy(model, shifted))
    assert result.source == pytest.approx(accuracy(pretrained("tiny_resnet", "letters"), letters))
    assert result.drift == 0
    assert result.trained == 1290
    assert torch.equal(target.labels, shifted.labels)


def outcome(strategy="fine-tuned", per_class=5, seed=0, target=80.0, source=50.0):
    return table.Outcome(strategy, per_class, seed, target, target - 10, source, 100.0, 1.0 + seed, 309_114)


def test_table_and_summary():
    some = [outcome(seed=s, target=80.0 + s) for s in (1, 0)]
    some += [outcome("scratch", seed=s, target=50.0, source=math.nan) for s in (0, 1)]
    assert table.values(some, "fine-tuned", 5) == [80, 81]
    assert table.values(some, "fine-tuned", 5, "shifted") == [70, 71]
    assert set(table.summary(some, 5, "source")) == {"fine-tuned"}
    rows = table.strategy_table(some, 5)
    assert rows[0] == ["fine-tuned", "80.5 [80.0, 81.0]", "70.5 [70.0, 71.0]", "50", "100", "1.00", "309,114"]
    assert rows[1][3] == "–"
    assert len(rows[0]) == len(table.HEADER)
    paired = table.paired_table(some, "fine-tuned", "scratch")
    assert paired == [["5", "30.5 [30.0, 31.0]", "30.5 [30.0, 31.0]", "–"]]
    assert len(paired[0]) == len(table.PAIRED_HEADER)


def test_rows_survive_a_file(tmp_path):
    some = [outcome(), outcome("scratch", source=math.nan)]
    back = read_rows(save_rows(tmp_path / "a.csv", some), table.Outcome)
    assert back[0] == some[0]
    assert math.isnan(back[1].source)
    choices = [settings.Choice("LP-FT", "0.0003", 100, 80.125)]
    assert settings.read_choices(save_rows(tmp_path / "b.csv", choices)) == choices


def test_the_best_setting_has_the_highest_mean():
    choices = [
        settings.Choice("a", s, seed, value)
        for s, pair in {"0.1": (50, 70), "1": (61, 61)}.items()
        for seed, value in enumerate(pair)
    ]
    assert settings.best_setting(choices, "a") == 1.0


def test_settings_are_chosen_on_sheets_that_gave_no_label(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        settings, "accuracy", lambda _, images: seen.setdefault("sheets", images.attributes["sheet"]) is None
    )
    settings.try_setting("linear probe", 1.0, 0)
    assert set(seen["sheets"].tolist()) == {5, 6}


def test_every_setting_is_the_best_of_those_tried():
    choices = settings.read_choices()
    for name in STRATEGIES:
        if name not in BASELINES:
            assert settings.best_setting(choices, name) == STRATEGIES[name].setting, name
            assert len({c.seed for c in choices if c.strategy == name}) == 3
    assert not {c.strategy for c in choices} & set(BASELINES)


def test_the_shipped_table_is_whole():
    shipped = table.read_outcomes()
    cells = {(o.strategy, o.per_class, o.seed) for o in shipped}
    wanted = {(n, k, s) for n in STRATEGIES for k in table.LABELS for s in range(5) if k >= STRATEGIES[n].fewest}
    assert cells == wanted
    assert len(shipped) == len(wanted)
    assert SHIPPED["strategies"] == (table.strategies, 5)
    assert SHIPPED["strategy_settings"][1] == 3


def test_impossible_strategies():
    with pytest.raises(ValueError, match=r"there is no strategy 'magic'.*'LP-FT'"):
        table.run_strategy("magic", 5, 0)
    with pytest.raises(ValueError, match="early stopping needs at least 2 labels per class, but 1"):
        table.run_strategy("early stopping", 1, 0)


def test_a_race_is_measured_on_images_without_labels():
    half = load("handwritten-photo")
    labelled, rest = split_labelled(half, 5, 1)
    assert torch.equal(labelled.images, half.few(5, 1).images)
    assert len(rest) == len(half) - 50
    assert rest.shared_with(labelled) == 0


def test_a_race(monkeypatch):
    monkeypatch.setattr("tlcourse.lessons.nb03_fine_tuning.probe_race.MOST", 10)
    result = race(1, seeds=[0])
    model, half = STRATEGIES["linear probe"].start(0), load("handwritten-photo")
    linear_probe(model, half.few(1, 0), STRATEGIES["linear probe"].setting)
    assert result.goal == pytest.approx(accuracy(model, split_labelled(half, 1, 0)[1]))
    assert result.updates <= 10
    assert result.reached >= result.goal or result.updates == 10
    monkeypatch.setattr("tlcourse.lessons.nb03_fine_tuning.probe_race.MOST", 5)
    assert race(1, seeds=[0]).updates == 5
    assert result.ratio == result.training_seconds / result.probe_seconds
    assert race_table([result])[0][0] == "1"
