"""What notebook 10 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import time
from itertools import pairwise

import pandas as pd
import pytest
from agreement import within_seeds

from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb10_efficiency import caching, plane, search, smaller, spent, ways
from tlcourse.lessons.nb10_efficiency.ways import ADAPTERS, BITFIT, FULL, PROBE, RANK1, RANK4
from tlcourse.models.adapters.lora import add_lora
from tlcourse.models.cost import multiply_adds, stage_costs
from tlcourse.models.tiny_resnet import NarrowResNet, TinyResNet
from tlcourse.models.torchvision_backbones import TorchvisionBackbone
from tlcourse.notebook.results import as_texts, intervals, paired, results
from tlcourse.transfer.freezing import count_parameters, trainable
from tlcourse.transfer.heads import get_classifier, reset_classifier


@pytest.fixture(scope="module")
def rows():
    return results("efficient_ways")


@pytest.fixture(scope="module")
def small():
    table = results("smaller")
    return table[table["share"] == 0]


def means(rows, per_class):
    return rows[rows["per_class"] == per_class].groupby("way")["accuracy"].mean()


def less(rows, way, per_class, than=FULL):
    """By how many points a way is above another, as tables show it."""
    return as_texts(paired(rows[rows["per_class"] == per_class], "accuracy", "way", way, than))[0]


def test_where_work_weights_and_memory_lie():
    costs = stage_costs(TinyResNet())
    weights = {name: cost.weights for name, cost in costs.items()}
    written = {name: cost.activation_bytes for name, cost in costs.items() if name != "head"}
    assert weights["block4"] / sum(weights.values()) == pytest.approx(0.75, abs=0.01)
    assert min(written, key=written.get) == "block4"
    assert 50 * sum(written.values()) / 1e6 == pytest.approx(10.9, abs=0.06)
    assert sum(weights.values()) * 4 / 1e6 == pytest.approx(1.24, abs=0.005)


def test_without_backward_a_third_of_the_work_is_left():
    head, everything = (spent.update_multiply_adds(ways.prepared(way, 0)) for way in (PROBE, FULL))
    assert everything / head == pytest.approx(3, abs=0.05)


def test_cached_features_are_many_times_as_fast_and_as_good():
    few, test = load(ways.WORLD).few(50, 0), load(ways.WORLD, split="test")
    race = caching.race(few, clock=time.thread_time)
    assert race.looping > 8 * race.cached  # over 20 where the machine does nothing else
    assert race.apart < 1e-5
    assert accuracy(race.looped, test) == pytest.approx(accuracy(race.quick, test), abs=0.2)


def test_features_in_training_mode_are_worth_nothing():
    few, test = load(ways.WORLD).few(50, 0), load(ways.WORLD, split="test")
    model = ways.prepared(PROBE, 0)
    caching.train_on(caching.features_in_training_mode(model, few), few.labels, get_classifier(model), 200)
    assert accuracy(model, test) < 40


def test_what_is_lost_against_fine_tuning(rows):
    assert [round(means(rows, 5)[way], 1) for way in (FULL, PROBE)] == [91.6, 79.6]
    assert {way: [less(rows, way, n) for n in ways.PER_CLASS] for way in (BITFIT, RANK1, RANK4)} == {
        BITFIT: ["-5.5 [-7.7, -3.3]", "-2.5 [-3.0, -2.0]"],
        RANK1: ["-2.2 [-3.6, -0.8]", "-1.7 [-2.3, -1.1]"],
        RANK4: ["-2.0 [-3.7, -0.3]", "-0.8 [-1.3, -0.3]"],
    }
    adapters = paired(rows, "accuracy", "way", ADAPTERS, BITFIT, by="per_class")
    assert set(adapters["verdict"]) == {"open"}
    assert less(rows, RANK1, 5, than=RANK4).endswith("(open)")
    steps = {5: [PROBE, BITFIT, RANK1, FULL], 50: [PROBE, BITFIT, RANK1, RANK4, FULL]}
    for per_class, climbed in steps.items():
        for lower, higher in pairwise(climbed):
            assert not less(rows, higher, per_class, than=lower).endswith("(open)")


def test_what_the_ways_keep_and_take(rows):
    share, size = (rows.groupby("way")[name].first() for name in ("share", "megabytes"))
    assert [round(share[way], 1) for way in (BITFIT, ADAPTERS, RANK1, RANK4)] == [0.9, 1.2, 1.8, 5.9]
    assert 100 / share[RANK4] == pytest.approx(17, abs=0.5)
    assert [round(size[way], 3) for way in (RANK4, BITFIT, FULL)] == [0.072, 0.011, 1.242]
    taken = results("efficient_cost").groupby("way")["milliseconds"].min()
    assert taken[BITFIT] / taken[FULL] == pytest.approx(2 / 3, abs=0.05)
    each = results("efficient_cost").pivot_table(index="seed", columns="way", values="milliseconds")
    ratios = (100 * each[RANK4] / each[FULL]).round()
    assert (ratios.min(), ratios.max()) == (96, 105)


def test_in_a_larger_network_rank_1_is_less_than_a_hundredth():
    model = TorchvisionBackbone("resnet18", Preprocessing(64, 64))
    reset_classifier(model, 10)
    whole = count_parameters(list(model.parameters()))
    assert 100 * count_parameters(trainable(add_lora(model, 1))) / whole == pytest.approx(0.37, abs=0.01)


def test_the_settings_used_were_the_best_where_they_were_chosen():
    table = results("efficient_settings")
    last = table[table["updates"] == table["updates"].max()]
    for name, way in ways.WAYS.items():
        tried = last[last["way"] == name].set_index(["lr", "batchnorm"])["accuracy"]
        assert tried[way.lr, way.batchnorm] == tried.max()
        assert len(tried) == 8


def test_with_three_times_the_updates(rows):
    longer = results("efficient_longer")
    assert less(longer, RANK4, 5) == "-0.4 [-2.9, 2.1] (open)"
    short = rows[(rows["per_class"] == 5) & (rows["seed"] < 3)]
    both = pd.concat([longer, short[short["way"].isin([RANK4, FULL])]])
    gained = paired(both, "accuracy", "updates", 1800, 600, by="way")
    assert dict(zip(gained["way"], as_texts(gained), strict=True)) == {
        RANK4: "0.1 [-1.6, 1.8] (open)",
        FULL: "-2.0 [-7.9, 4.0] (open)",
    }


def gap(small, a, b=smaller.TEACHER):
    return as_texts(paired(small, "accuracy", "network", a, b))[0]


def test_a_student_of_a_quarter_of_the_work_is_within_two_points(small):
    assert multiply_adds(NarrowResNet()) < 0.25 * multiply_adds(TinyResNet())
    assert gap(small, smaller.SEES_MORE) == "-0.2 [-1.0, 0.6] (open)"
    assert gap(small, smaller.ALONE) == "-1.5 [-2.5, -0.4]"
    assert gap(small, smaller.TAUGHT) == "-0.9 [-1.5, -0.4]"
    assert gap(small, smaller.SEES_MORE, smaller.TAUGHT) == "0.8 [0.2, 1.3]"
    assert gap(small, smaller.TAUGHT, smaller.ALONE).endswith("(open)")
    assert round(small.groupby("network")["accuracy"].mean()[smaller.TEACHER], 1) == 98.1
    assert paired(small, "accuracy", "network", smaller.SEES_MORE, smaller.TEACHER).loc[0, "low"] > -2


def test_8_bits_are_a_quarter_of_the_bytes_and_lose_nothing_that_is_seen(small):
    size = small.groupby("network")["megabytes"].first()
    assert size[smaller.PER_CHANNEL] / size[smaller.TEACHER] == pytest.approx(0.25, abs=0.01)
    assert gap(small, smaller.PER_CHANNEL) == "0.1 [-0.1, 0.2] (open)"
    assert gap(small, smaller.PER_TENSOR) == "0.0 [-0.2, 0.2] (open)"
    ends = paired(small, "accuracy", "network", smaller.PER_CHANNEL, smaller.TEACHER).loc[0]
    assert max(abs(ends["low"]), abs(ends["high"])) < 0.5


def test_what_cutting_leaves():
    table = results("smaller").groupby(["network", "share"])[["accuracy", "multiply_adds"]].mean().round(1)
    left = table["accuracy"]
    assert left[smaller.MASKED, 0.5] == 98.0
    every = results("smaller").set_index(["network", "share"]).loc[(smaller.REMOVED, 0.5), "accuracy"]
    assert (round(every.min()), round(every.max())) == (24, 68)
    assert [left[name, 0.5] for name in (smaller.REMOVED, smaller.TRAINED_ON)] == [48.5, 97.0]
    assert [left[smaller.TRAINED_ON, 0.8], left[smaller.SEES_MORE, 0.0]] == [95.3, 97.9]
    assert table["multiply_adds"][smaller.TRAINED_ON, 0.5] == 2.2
    assert table["multiply_adds"][smaller.TRAINED_ON, 0.8] == 1.0
    assert table["multiply_adds"][smaller.MASKED, 0.9] == 4.1


def test_what_a_search_costs():
    played = search.searches(results("efficient_settings"))
    found = played.groupby("search")[["share", "lost"]].mean()
    shares = {name: round(found.loc[name, "share"]) for name in (search.HALVING, search.LATER, search.EARLY)}
    assert shares == {search.HALVING: 28, search.LATER: 58, search.EARLY: 90}
    lost = intervals(played, "lost", ["search"]).set_index("search")
    assert as_texts(lost.loc[[search.HALVING, search.LATER, search.ONE]]) == [
        "2.6 [0.2, 5.0]",
        "0.3 [-0.3, 0.9]",
        "4.1 [2.2, 5.9]",
    ]
    by_way = played.assign(seed=played["way"])  # five searches, paired by the way that was searched for

    def apart(one, other):
        return as_texts(paired(by_way, "lost", "search", one, other))[0]

    assert apart(search.HALVING, search.ONE) == "-1.5 [-2.2, -0.7]"
    assert apart(search.LATER, search.HALVING) == "-2.3 [-4.9, 0.3] (open)"
    assert apart(search.EARLY, search.GRID) == "-0.5 [-1.1, 0.2] (open)"


def test_the_front(rows):
    places = plane.points(rows, results("efficient_cost"))
    for per_class in ways.PER_CLASS:
        some = places[places["per_class"] == per_class]
        front = set(some["way"][plane.on_the_front(some, "megabytes")])
        assert {PROBE, BITFIT, RANK1, RANK4, FULL} <= front
        trained = some[some["way"] != PROBE]["seconds"]
        assert trained.max() / trained.min() == pytest.approx(1.5, abs=0.05)
        assert some.set_index("way")["seconds"][PROBE] < 0.1


def test_a_compiler_saves_less_than_it_takes():
    table = results("compiling")
    saved = 100 * (1 - table["compiled"] / table["plain"])
    assert [round(each) for each in saved] == [14, 23]
    updates = 1000 * table["first"] / (table["plain"] - table["compiled"])
    assert updates.round(-3).tolist() == [90_000, 11_000]


def test_a_fresh_training_agrees_with_the_shipped_ones(rows):
    """One whole training of LoRA, on this machine, against those that came with the course."""
    fresh = [ways.trial(RANK4, 5, 0)["accuracy"]]
    shipped = rows[(rows["way"] == RANK4) & (rows["per_class"] == 5)]["accuracy"]
    assert within_seeds(pd.Series(fresh), shipped)
