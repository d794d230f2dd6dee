from functools import partial

import pandas as pd
import pytest
import torch

from tests.weights import changed, copies, of_stages
from tlcourse.lessons.nb02_weight_transfer import layer_transfer as module
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import (
    BASE,
    DEPTHS,
    WAYS,
    heir,
    heir_trial,
    mean_specificity,
    only,
    run_layer_transfer,
    specificity,
    two_tasks,
)
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.training.recipe import Recipe, train

TINY = Recipe(epochs=1, steps=2, batch=16, lr=1e-2, augment=None)
FEW = {"images": 300, "test_images": 100}


@pytest.fixture(scope="module")
def tasks():
    return two_tasks(0, **FEW)


@pytest.fixture(scope="module")
def donors():
    torch.manual_seed(0)
    return {"a": TinyResNet(17), "b": TinyResNet(17)}


def test_tasks_are_equally_large_and_share_no_letter(tasks):
    assert len(tasks.a.classes) == len(tasks.b.classes) == 17
    assert not set(tasks.a.classes) & set(tasks.b.classes)
    assert tasks.b.classes == tasks.test.classes
    assert not tasks.a.shared_with(tasks.b)
    assert not tasks.test.shared_with(tasks.b)
    assert set(two_tasks(1, **FEW).a.classes) != set(tasks.a.classes)
    assert two_tasks(0, **FEW).a.classes == tasks.a.classes


def test_classes_are_numbered_anew(tasks):
    kept = only(tasks.a, [4, 2])
    assert kept.classes == (tasks.a.classes[4], tasks.a.classes[2])
    assert len(kept) == int(((tasks.a.labels == 4) | (tasks.a.labels == 2)).sum())
    first = tasks.a.images[(tasks.a.labels == 4).nonzero()[0, 0]]
    assert torch.equal(kept.images[(kept.labels == 0).nonzero()[0, 0]], first)


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_heir_has_the_donors_first_stages_and_nothing_else(donors, depth):
    donor = donors["a"]
    carried = of_stages(donor, list(donor.stages())[:depth])
    model = heir(donor, depth, 3, frozen=False)
    weights = {name for name, _ in model.named_parameters() if name.endswith("conv.weight") or "conv" in name}
    fresh = changed(model, donor.state_dict())
    assert not carried & fresh
    assert weights - carried <= fresh
    assert not torch.equal(model.head.weight, donor.head.weight)


@pytest.mark.parametrize("depth", [2, 5])
def test_frozen_stages_stay_and_the_rest_moves(donors, tasks, depth):
    for frozen in (True, False):
        model = heir(donors["a"], depth, 3, frozen)
        before = copies(model)
        train(model, tasks.b, TINY)
        carried = of_stages(model, list(model.stages())[:depth])
        assert changed(model, before) == set(before) - (carried if frozen else set())


def test_fresh_weights_are_the_same_for_all_ways(donors):
    a, b = heir(donors["a"], 2, 3, frozen=True), heir(donors["b"], 2, 3, frozen=False)
    assert not of_stages(a, ["block3", "block4", "head"]) & changed(a, b.state_dict())
    assert "stem.0.weight" in changed(a, b.state_dict())


def test_own_comes_from_b_and_other_from_a(donors, tasks, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "train", lambda model, *_, **options: seen.append(model))
    for way in WAYS:
        heir_trial(way, 5, 0, donors=donors, tasks=tasks)
    stems = [model.stem[0].weight for model in seen]
    assert [torch.equal(stem, donors["b"].stem[0].weight) for stem in stems] == [way.startswith("own") for way in WAYS]
    assert [stem.requires_grad for stem in stems] == [way.endswith("tuned") for way in WAYS]


def test_the_plan_is_covered_and_repeats():
    run = partial(run_layer_transfer, ways=WAYS[1:3], depths=(2, 5), recipe=TINY, progress=False, **FEW)
    trials = run([0, 1])
    cells = [(BASE, 0)] + [(way, depth) for depth in (2, 5) for way in WAYS[1:3]]
    there = trials[["seed", "way", "depth"]].itertuples(index=False, name=None)
    assert list(there) == [(seed, *cell) for seed in (0, 1) for cell in cells]
    assert run([1])["accuracy"].tolist() == trials["accuracy"].tolist()[5:]
    assert (trials[list(TINY.budget)] == list(TINY.budget.values())).all(axis=None)


def test_specificity_is_other_minus_own_of_the_same_seed():
    rows = [("own, frozen", 1, seed, 90.0 + seed) for seed in (1, 0, 2)]
    rows += [("other, frozen", 1, seed, 88.0 + seed) for seed in range(3)]
    trials = pd.DataFrame(rows, columns=["way", "depth", "seed", "accuracy"]).assign(updates=150)
    (row,) = specificity(trials).to_dict("records")
    assert (row["depth"], row["stages"], row["mean"], row["low"], row["high"]) == (1, "1 stage", -2, -2, -2)
    assert mean_specificity(trials[trials["seed"] == 2]).to_dict("records") == [{"depth": 1, "points": -2}]
