"""The pieces of notebook 10: what is counted, timed, cached, searched and drawn; and what is never chosen on."""

import copy

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.weights import changed, copies
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb10_efficiency import caching, knobs, machine, plane, search, smaller, spent, ways
from tlcourse.lessons.nb10_efficiency.lab import best_of
from tlcourse.models.adapters.task import task_weights
from tlcourse.repro import seeded
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import count_parameters, freeze, trainable
from tlcourse.transfer.heads import get_classifier


@pytest.mark.parametrize("way", ways.NAMES)
def test_every_way_trains_what_it_says_and_nothing_else(way):
    model, few = ways.prepared(way, 0), load(ways.WORLD).few(1, 0)
    before, own = copies(model), set(task_weights(model))
    for _ in ways.epochs_of(model, few, Recipe(epochs=1, steps=3, lr=0.05), seed=0):
        pass
    assert changed(model, before) == own


def test_what_the_ways_train():
    counted = {way: count_parameters(trainable(ways.prepared(way, 0))) for way in ways.NAMES}
    assert counted == {
        ways.PROBE: 1290,
        ways.BITFIT: 2762,
        ways.ADAPTERS: 3614,
        ways.RANK1: 5493,
        ways.RANK4: 18102,
        ways.FULL: 309_114,
    }
    assert ways.size_of(ways.prepared(ways.BITFIT, 0))["share"] == pytest.approx(0.9, abs=0.01)


def test_settings_are_chosen_on_sheets_of_the_training_pool(monkeypatch):
    asked = []
    monkeypatch.setattr(ways, "load", lambda *names, **options: asked.append((names, options)) or load(*names))
    monkeypatch.setattr(ways, "SETTINGS", Recipe(epochs=3, steps=1))
    rows = ways.settings_trial(ways.BITFIT, 0.01, "keep", 0)
    assert asked == [((ways.WORLD,), {})]
    assert [row["updates"] for row in rows] == [3]


def test_multiply_adds_of_an_update_are_those_of_a_flop_counter():
    """It counts two operations a multiply-add; of LoRA the product `B A`, once for a batch, is left out."""
    x, y = spent.batch_of(64)
    for way in (ways.PROBE, ways.FULL, ways.BITFIT):
        model = ways.prepared(way, 0)
        optimizer = torch.optim.SGD(trainable(model), lr=0.0)
        with FlopCounterMode(display=False) as counter:
            spent.update(model, x, y, optimizer)
        assert spent.update_multiply_adds(model) == pytest.approx(counter.get_total_flops() / 2 / 64, rel=0.02), way
    with_lora, whole = (spent.update_multiply_adds(ways.prepared(way, 0)) for way in (ways.RANK4, ways.FULL))
    assert with_lora == whole


def test_freezing_spares_what_lies_before_the_first_layer_that_learns():
    model = ways.prepared(ways.PROBE, 0)
    head_alone = spent.update_multiply_adds(model)
    get_classifier(model).requires_grad_(False)
    model.stem[1].bias.requires_grad_(True)  # a single shift of a single layer, at the very beginning
    whole = spent.update_multiply_adds(model)
    assert whole > 1.9 * head_alone
    freeze(model)
    get_classifier(model).requires_grad_(True)
    assert spent.update_multiply_adds(model) == head_alone


def test_clocks_and_peaks():
    calls = []
    assert machine.milliseconds(lambda: calls.append(1), repeats=3, warm=2) >= 0
    assert len(calls) == 5
    before = torch.get_num_threads()
    with machine.threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    compute, memory = machine.peaks()
    assert compute > 0.1
    assert memory > 0.1


def test_joules_are_told_only_where_the_machine_has_a_counter(tmp_path, monkeypatch):
    counter = tmp_path / "energy_uj"
    monkeypatch.setattr(machine, "RAPL", counter)
    assert machine.joules() is None
    counter.write_text("2500000\n")
    assert machine.joules() == 2.5


def test_cached_features_lead_to_the_same_head_and_another_seed_does_not():
    few = load(ways.WORLD).few(5, 0)
    race = caching.race(few, updates=20)
    assert race.apart < 1e-5
    other = ways.prepared(ways.PROBE, 1)
    caching.train_cached(other, few, 20)
    assert (get_classifier(other).weight - get_classifier(race.quick).weight).abs().max() > 1e-3


def test_features_in_training_mode_are_others_and_leave_other_statistics():
    few, model = load(ways.WORLD).few(5, 0), ways.prepared(ways.PROBE, 0)
    right, before = extract_features(model, few), copies(model)
    assert not changed(model, before)
    wrong = caching.features_in_training_mode(model, few)
    assert (wrong - right).abs().max() > 0.5
    assert sum("running_mean" in name for name in changed(model, before)) == 13


def curves(*rows):
    return pd.DataFrame(rows, columns=[10, 20, 40])


def test_successive_halving_by_hand():
    """Four settings to 10 updates, the better two to 20, the best to 40: 4 * 10 + 2 * 10 + 1 * 20."""
    found = curves((50, 60, 70), (40, 90, 99), (60, 65, 80), (10, 20, 30))
    assert search.successive_halving(found) == (80, 80)
    assert search.successive_halving(found, first=20) == (4 * 20 + 2 * 20, 99)
    assert search.successive_halving(curves((1, 2, 3))) == (40, 3)


def test_stopping_early_by_hand():
    assert search.stop_early(pd.Series([50, 49, 48, 99], index=[1, 2, 3, 4]), patience=2) == (3, 50)
    assert search.stop_early(pd.Series([50, 49, 60, 59], index=[1, 2, 3, 4]), patience=2) == (4, 60)


def test_a_search_of_one_setting_is_the_whole_grid():
    rows = [
        {"way": "a", "seed": 0, "lr": 0.1, "batchnorm": "keep", "updates": u, "accuracy": a}
        for u, a in ((1, 5), (2, 9))
    ]
    found = search.searches(pd.DataFrame(rows)).set_index("search")
    assert (found["lost"] == 0).all()
    assert (found["share"] == 100).all()


def test_the_front_by_hand():
    places = pd.DataFrame({"megabytes": [1, 2, 3, 2], "mean": [70, 80, 75, 80]})
    assert plane.on_the_front(places, "megabytes") == [True, True, False, True]
    assert plane.within(places, megabytes=2)["mean"].tolist() == [70, 80, 80]
    assert plane.within(places).equals(places)
    assert plane.within(places, megabytes=0.5).empty


def test_the_best_within_a_budget_and_what_is_not_apart_from_it():
    places = pd.DataFrame({"way": ["a", "b", "c"], "mean": [80, 90, 60], "low": [79, 88, 55], "high": [89, 92, 65]})
    said = "3 of 6 ways are within the budget. The best reads 90.0 % [88.0, 92.0]: b"
    assert best_of(places) == f"{said}; intervals that overlap with its: a."
    assert best_of(places[:0]).startswith("Nothing is within this budget")


def test_a_student_is_taught_and_its_teacher_stays():
    pool = load(ways.WORLD)
    few, teacher = pool.few(1, 0), ways.prepared(ways.FULL, 0)
    before, quick = copies(teacher), Recipe(epochs=1, steps=2)
    students = [smaller.student(way, teacher, few, pool, 0, quick) for way in smaller.STUDENTS]
    assert not changed(teacher, before)
    answers = [accuracy(model, few) for model in students]
    assert len(answers) == 3
    assert changed(students[0], copies(students[1]))
    assert changed(students[1], copies(students[2]))


def test_cutting_leaves_the_teacher_as_it_was(monkeypatch):
    monkeypatch.setattr(smaller, "SHORTER", Recipe(epochs=1, steps=2))
    teacher, few = ways.prepared(ways.FULL, 0), load(ways.WORLD).few(1, 0)
    before = copies(teacher)
    rows = pd.DataFrame(smaller.cut(teacher, few, few, seed=0))
    assert not changed(teacher, before)
    work = rows.groupby("network")["multiply_adds"].max()
    assert work[smaller.MASKED] > 1.5 * work[smaller.REMOVED]
    assert rows["network"].value_counts().to_dict() == {
        name: len(smaller.SHARES) for name in (smaller.MASKED, smaller.REMOVED, smaller.TRAINED_ON)
    }


def test_knobs_do_the_same_update():
    def after(knob):
        with seeded("knob", 0):
            step = knobs.training_step(knob)
        step()
        model = next(cell.cell_contents for cell in step.__closure__ if isinstance(cell.cell_contents, torch.nn.Module))
        return copy.deepcopy(model).to(memory_format=torch.contiguous_format).state_dict()

    plain, last = after(knobs.PLAIN), after(knobs.LAST)
    for name, tensor in plain.items():
        torch.testing.assert_close(tensor, last[name], rtol=1e-3, atol=3e-4)
