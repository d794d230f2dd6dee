"""What notebook 07 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import pandas as pd
import pytest
from agreement import within_seeds
from scipy.stats import ttest_ind

from tlcourse.lessons.nb07_without_labels import semi_supervised as semi
from tlcourse.lessons.nb07_without_labels.at_test_time import (
    BY_CLASS,
    CHOSEN_FOR,
    MIXED,
    RATE,
    SHOT_WEIGHT,
    STATISTICS,
    STILL,
    TENT,
)
from tlcourse.lessons.nb07_without_labels.semi_supervised import ALONE, FIXMATCH, GOOD_AND_BAD, PSEUDO, TEACHER, WAYS
from tlcourse.notebook.results import as_dict, intervals, paired, results


@pytest.fixture(scope="module")
def rows():
    return results("semi")


@pytest.fixture(scope="module")
def cells(rows):
    return as_dict(intervals(rows, by=["source", "per_class", "way"]))


def test_neither_alone_comes_near(rows, cells):
    assert [round(cells["scratch", 1, way].mean) for way in (ALONE, FIXMATCH)] == [29, 23]
    assert round(cells["letters", 1, ALONE].mean) == 65
    assert str(cells["letters", 1, FIXMATCH]) == "94.3 [89.9, 98.7]"
    start = cells["scratch", 1, ALONE].mean
    assert round(cells["letters", 1, FIXMATCH].mean - start) == 65
    assert round(cells["letters", 1, ALONE].mean - start) == 35
    assert cells["scratch", 1, FIXMATCH].mean < start


def found(rows, source, per_class, a=FIXMATCH, b=ALONE):
    some = rows[(rows["source"] == source) & (rows["per_class"] == per_class)]
    return paired(some, "accuracy", "way", a, b).loc[0]


def test_what_a_network_is_sure_of(rows):
    right = rows.groupby(["source", "per_class", "way"])["right"].mean()
    taken = rows.groupby(["source", "per_class", "way"])["taken"].mean()
    assert right["letters", 1, ALONE] == pytest.approx(81.5, abs=0.5)
    assert [round(right["scratch", 1, way]) for way in (ALONE, FIXMATCH)] == [31, 23]
    assert taken["scratch", 1, FIXMATCH] > taken["scratch", 1, ALONE] + 5


def test_with_five_labels_it_helps_from_both(rows, cells):
    assert str(cells["letters", 5, FIXMATCH]) == "98.2 [97.8, 98.6]"
    assert round(found(rows, "letters", 5)["mean"]) == 8
    assert round(found(rows, "scratch", 5)["mean"]) == 11
    assert all(found(rows, source, 5).verdict == "higher" for source in ("letters", "scratch"))


def test_luck_remains_with_ten_labels(rows):
    one = rows[(rows["source"] == "letters") & (rows["per_class"] == 1) & (rows["way"] == FIXMATCH)]["accuracy"]
    assert one.between(81.5, 91.5).sum() == 3
    assert (one > 96).sum() == 7


def test_ten_labels_do_what_a_hundred_do(rows):
    curve = results("labels_curve")
    tuned = curve[curve["start"] == "fine-tuned"]
    matched = rows[(rows["source"] == "letters") & (rows["way"] == FIXMATCH)]
    for few, many in ((1, 5), (1, 10), (1, 20), (5, 50)):
        sides = pd.concat(
            [
                tuned[tuned["per_class"] == many].assign(side="alone"),
                matched[matched["per_class"] == few].assign(side="matched"),
            ]
        )
        assert paired(sides, "accuracy", "side", "matched", "alone").loc[0, "verdict"] == "open"
    means = tuned.groupby("per_class")["accuracy"].mean()
    again = rows[(rows["source"] == "letters") & (rows["way"] == ALONE)].groupby("per_class")["accuracy"].mean()
    own = rows[(rows["source"] == "letters") & (rows["way"] == ALONE)].groupby("per_class")["own_statistics"].mean()
    assert [round(own[k], 1) for k in (1, 5)] == [61.0, 89.9]
    assert [round(again[k], 1) for k in (1, 5)] == [64.7, 90.5]
    assert [round(value) for value in (means[50], matched[matched["per_class"] == 5]["accuracy"].mean())] == [98, 98]


def test_how_confirmation_bias_looks():
    table = results("answered_over_time")
    good, bad = (table[(table["source"] == "letters") & (table["seed"] == seed)] for seed in GOOD_AND_BAD)
    first, last = good["updates"].min(), good["updates"].max()
    early = good[good["updates"] == first]
    assert early["taken"].mean() < 15
    assert early["right"].sum() > 0.9 * early["taken"].sum()
    end = bad[bad["updates"] == last].set_index("digit")
    assert end.loc[3, "taken"] > 60
    assert end.loc[3, "right"] < 0.25 * end.loc[3, "taken"]
    assert end.loc[8, "right"] < 15
    assert (good[good["updates"] == last]["right"] > 80).all()
    lost = bad[bad["digit"] == 3].set_index("updates")
    assert lost.loc[last, "taken"] - lost.loc[last, "right"] > lost.loc[120, "taken"] - lost.loc[120, "right"]


def test_the_best_look(rows):
    more = as_dict(intervals(rows.assign(more=rows["best"] - rows["accuracy"]), "more", ["source", "per_class", "way"]))
    assert str(more["scratch", 1, FIXMATCH]) == "3.5 [1.1, 6.0]"
    assert max(more.values(), key=lambda each: each.mean) == more["scratch", 1, FIXMATCH]
    assert all(1.5 < more["letters", k, ALONE].mean < 1.75 for k in (1, 5))


def test_the_settings_used_were_the_best_where_they_were_chosen():
    pool = results("semi_settings").groupby(["way", "setting"])["pool"].mean()
    for way, (_, settings) in WAYS.items():
        if len(settings) > 1:
            assert pool[way].idxmax() == semi.named(settings[0])


def test_a_fresh_training_agrees_with_the_shipped_ones(rows):
    """One whole training by FixMatch, on this machine, against the ten that came with the course."""
    fresh = semi.trial(FIXMATCH, "letters", 5, 0)["accuracy"]
    shipped = rows[(rows["source"] == "letters") & (rows["per_class"] == 5) & (rows["way"] == FIXMATCH)]["accuracy"]
    assert within_seeds([fresh], shipped)


@pytest.fixture(scope="module")
def mixed():
    return results("others")


def against(first, second):
    """The difference of two groups of trials with the same seeds."""
    sides = pd.concat([first.assign(side="first"), second.assign(side="second")])
    return paired(sides, "accuracy", "side", "first", "second").loc[0]


def of(table, way, per_class, source="letters"):
    """The first three seeds of a cell."""
    cell = {"way": way, "per_class": per_class, "source": source}
    return table[(table[list(cell)] == pd.Series(cell)).all(axis=1) & (table["seed"] < 3)]


def ends(found):
    return [round(found[end], 1) for end in ("mean", "low", "high")]


def test_when_the_images_are_others(mixed):
    alone, matched = (mixed[mixed["way"] == way] for way in (ALONE, FIXMATCH))
    digits = dict(iter(matched[matched["kind"] == "other digits"].groupby("share")))
    letters = matched[matched["kind"] == "letters"]
    assert ends(against(digits[0.0], digits[0.5])) == [1.3, 0.3, 2.2]
    assert ends(against(digits[0.5], alone)) == [3.0, 1.8, 4.2]
    assert against(letters, digits[0.5]).verdict == "open"
    assert round(digits[1.0]["accuracy"].mean()) == 82
    lost = alone.set_index("seed")["accuracy"] - digits[1.0].set_index("seed")["accuracy"]
    assert [round(value) for value in (lost.min(), lost.max())] == [6, 34]
    assert [round(digits[share]["taken"].mean()) for share in (0.0, 0.5)] == [40, 83]


@pytest.fixture(scope="module")
def streams():
    return results("tent")


def answered_by(rows, method, order, batch, passes=1, shift=0.5):
    cell = {"method": method, "order": order, "batch": batch, "passes": passes, "shift": shift}
    return rows[(rows[list(cell)] == pd.Series(cell)).all(axis=1)]


def test_a_mixed_stream(streams):
    def cell(method, batch, passes=1):
        return answered_by(streams, method, MIXED, batch, passes)

    assert cell(STILL, 64)["accuracy"].mean() == pytest.approx(68.4, abs=0.05)
    assert ends(against(cell(STATISTICS, 64), cell(STILL, 64))) == [3.5, 2.3, 4.8]
    assert ends(against(cell(STATISTICS, 200), cell(STILL, 200))) == [4.6, 3.9, 5.3]
    assert against(cell(TENT, 64), cell(STATISTICS, 64)).verdict == "open"
    assert 0 < against(cell(TENT, 200), cell(STATISTICS, 200))["low"] < 0.05
    assert round(against(cell(STATISTICS, 4), cell(STILL, 4))["mean"]) == -5
    assert round(against(cell(TENT, 4), cell(STATISTICS, 4))["mean"]) == -8
    assert cell(TENT, 4, 10)["accuracy"].mean() == pytest.approx(16, abs=0.5)
    answered = [cell(STATISTICS, 4)["answered"].mean(), cell(TENT, 4, 10)["answered"].mean()]
    assert [round(value, 1) for value in answered] == [9.7, 2.6]
    assert cell(TENT, 4, 10)["entropy"].mean() == pytest.approx(0.04, abs=0.01)


def test_one_class_at_a_time(streams):
    still, statistics, tent = (answered_by(streams, method, BY_CLASS, 64) for method in (STILL, STATISTICS, TENT))
    assert [round(each["accuracy"].mean()) for each in (statistics, tent)] == [39, 37]
    assert [round(against(each, still)["mean"]) for each in (statistics, tent)] == [-29, -31]
    assert statistics["answered"].mean() > 9.5
    assert [round(each["in_batch"].mean(), 1) for each in (still, statistics)] == [4.9, 8.4]


def test_without_the_source():
    shot, with_it = results("shot"), results("adapted")
    found = as_dict(intervals(shot, by="shift"))
    assert [str(found[shift]) for shift in (0.0, 0.5)] == ["94.6 [90.1, 99.0]", "83.4 [79.3, 87.5]"]
    with_it = with_it[with_it["seed"].isin(shot["seed"])]
    differences = {
        (name, shift): against(shot[shot["shift"] == shift], with_it.query("method == @name and shift == @shift"))
        for name in ("AdaBN", "MCC + consistency")
        for shift in (0.0, 0.5)
    }
    assert round(differences["AdaBN", 0.0]["mean"]) == 20
    assert round(differences["AdaBN", 0.5]["mean"]) == 12
    assert differences["MCC + consistency", 0.0].verdict == "open"
    half_way = differences["MCC + consistency", 0.5]
    assert [round(half_way[end]) for end in ("mean", "low", "high")] == [-9, -15, -4]


def test_rates_and_weights_used_were_the_best_where_they_were_chosen():
    rates = results("tent_rates").groupby(["batch", "lr"])["accuracy"].mean()
    weights = results("shot_weights").groupby("weight")["pool"].mean()
    assert rates[CHOSEN_FOR].idxmax() == RATE
    assert rates[4, 0.003] - rates[4, RATE] == pytest.approx(8, abs=0.5)
    assert weights.idxmax() == SHOT_WEIGHT


def test_three_times_the_updates(rows):
    longer = results("semi_longer")
    for way, per_class in ((FIXMATCH, 1), (FIXMATCH, 5), (ALONE, 1)):
        gained = against(of(longer, way, per_class), of(rows, way, per_class))
        assert (gained.verdict == "lower") if way == ALONE else (gained.verdict == "open")
        if way == ALONE:
            assert ends(gained) == [-2.6, -4.7, -0.4]
    one, five = (found(longer, "letters", per_class) for per_class in (1, 5))
    assert [int(value) for value in (one["mean"], one["low"], one["high"])] == [36, 29, 43]
    assert five.verdict == "open"
    assert round(five["mean"]) == 7
    scratch = longer[longer["source"] == "scratch"].groupby("way")["accuracy"].mean()
    assert [round(scratch[way], 1) for way in (FIXMATCH, ALONE)] == [29.5, 30.3]
    assert found(longer, "scratch", 1).verdict == "open"


def test_from_the_digits(rows):
    digits = results("semi_digits")
    means = digits.groupby(["way", "per_class"])["accuracy"].mean()
    assert round(means[ALONE, 1]) == 82
    assert means[FIXMATCH, 1] == pytest.approx(95.5, abs=0.05)
    assert against(of(digits, FIXMATCH, 1, "digits"), of(rows, FIXMATCH, 1)).verdict == "open"


def test_the_older_methods(rows):
    ways = results("semi_ways")
    means = ways.groupby(["way", "per_class"])["accuracy"].mean()
    assert [round(means[way, 5], 1) for way in (PSEUDO, TEACHER)] == [97.4, 98.3]
    for way, per_class in ((PSEUDO, 1), (TEACHER, 1), (TEACHER, 5)):
        assert against(of(ways, way, per_class), of(rows, FIXMATCH, per_class)).verdict == "open"
    matched = rows.query("source == 'letters' and way == 'FixMatch' and per_class == 5")["accuracy"]
    below = ttest_ind(of(ways, PSEUDO, 5)["accuracy"], matched, equal_var=False).confidence_interval(0.95)
    assert below.high < 0
    assert of(ways, PSEUDO, 5)["accuracy"].mean() - matched.mean() == pytest.approx(-0.8, abs=0.05)
    assert sorted(round(value) for value in of(ways, PSEUDO, 1)["accuracy"]) == [55, 80, 95]
    assert sorted(round(value) for value in of(ways, TEACHER, 1)["accuracy"]) == [82, 84, 98]


def test_pretraining_without_a_label():
    table, curve, longer = results("self_supervised"), results("labels_curve"), results("time_saved")
    five = {
        task: group.assign(accuracy=group["tuned"]) for task, group in table[table["per_class"] == 5].groupby("task")
    }
    assert str(as_dict(intervals(table, "tuned", ["task", "per_class"]))["SimCLR", 5]) == "81.5 [72.4, 90.5]"
    first = curve.query("per_class == 5 and seed < 3")
    scratch, letters = (first[first["start"] == start] for start in ("scratch", "fine-tuned"))
    assert [round(value) for value in ends(against(five["SimCLR"], scratch))] == [18, 8, 28]
    long = longer.query("start == 'scratch' and per_class == 5 and updates == 1800 and seed < 3")
    assert [round(value) for value in ends(against(five["SimCLR"], long))] == [13, 4, 22]
    assert round(five["rotation"]["accuracy"].mean()) == 76
    every = curve.query("per_class == 5 and start == 'scratch'")["accuracy"]
    above = ttest_ind(five["rotation"]["accuracy"], every, equal_var=False).confidence_interval(0.95)
    assert [round(end) for end in (above.low, above.high)] == [8, 17]
    assert against(five["masked autoencoder"], scratch).verdict == "open"
    assert round(five["masked autoencoder"]["accuracy"].mean()) == 61
    assert ends(against(letters, five["SimCLR"])) == [10.5, 5.6, 15.4]
    assert round(curve.query("per_class == 5 and start == 'scratch'")["accuracy"].mean()) == 64


def test_what_the_two_views_may_differ_in():
    probe = as_dict(intervals(results("simclr_views"), "probe", ["views"]))
    mean = {name: probe[name].mean for name in probe}
    assert [round(mean[name]) for name in ("colour alone", "turns all round, too")] == [33, 19]
    assert abs(mean["backdrop and colour"] - mean["backdrop alone"]) < 2
    views = results("simclr_views").rename(columns={"probe": "accuracy"})
    lost = against(*(views[views["views"] == name] for name in ("backdrop and colour", "geometry, too")))
    assert [round(value) for value in ends(lost)] == [22, 4, 40]


def test_without_the_source_for_longer():
    short, long = results("shot"), results("shot_longer")
    assert [round(value) for value in long.groupby("shift")["accuracy"].mean()] == [90, 81]
    for shift in (0.0, 0.5):
        sides = [each[each["shift"] == shift] for each in (long, short[short["seed"].isin(long["seed"])])]
        assert against(*sides).verdict == "open"
