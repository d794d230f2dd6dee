"""What notebook 09 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import pandas as pd
import pytest
from agreement import within_seeds

from tlcourse.lessons.nb09_many_tasks import ways
from tlcourse.lessons.nb09_many_tasks.handwriting import BESIDE
from tlcourse.lessons.nb09_many_tasks.sharing import ALL, ALONE
from tlcourse.lessons.nb09_many_tasks.ways import EQUAL, GRADNORM, PCGRAD, SEPARATE, TASKS, TUNED, UNCERTAINTY
from tlcourse.multitask.disagreement import WHOLE
from tlcourse.notebook.results import as_dict, as_texts, intervals, paired, results

OTHERS = [way for way in ways.WAYS if way != EQUAL]


@pytest.fixture(scope="module")
def rows():
    return ways.normalised(results("ways"), ways.test_images())


def less(rows, value, way, than=EQUAL):
    """How much larger an error is than by another way, as tables show it."""
    return as_texts(paired(rows, value, "way", way, than))[0]


def test_one_trunk_and_five_networks(rows):
    means = rows.groupby("way")[list(TASKS)].mean().round(1)
    assert means.loc[SEPARATE].tolist() == [2.6, 14.1, 38.7, 22.4, 5.1]
    assert means.loc[EQUAL, ["weight", "serif"]].tolist() == pytest.approx([14.1, 21.3], abs=0.11)
    verdicts = {name: paired(rows, name, "way", EQUAL, SEPARATE).loc[0, "verdict"] for name in TASKS}
    assert verdicts == dict.fromkeys(TASKS[:4], "open") | {"angle": "lower"}
    assert less(rows, "angle", EQUAL, SEPARATE) == "-0.2 [-0.3, -0.1]"
    assert less(rows, "normalised", EQUAL, SEPARATE) == "-0.8 [-2.8, 1.2] (open)"


def test_what_the_ways_cost():
    cost = results("ways_cost").groupby("way").mean()
    assert cost.loc[[EQUAL, SEPARATE], "weights"].tolist() == [310_017, 1_541_313]
    times = cost["milliseconds"] / cost["milliseconds"][EQUAL]
    assert 4 < times[SEPARATE] < 6.5, "about a fifth"
    assert 3 < times[PCGRAD] < 4.5
    assert 1.5 < times[GRADNORM] < 2.5
    assert cost.loc[[EQUAL, PCGRAD], "backward"].tolist() == [1, 5]


def test_the_slant_is_hardly_read_in_fonts_never_seen(rows):
    assert round(ways.guessing(ways.test_images())["slant"]) == 48
    assert round(rows.groupby("way")["slant"].mean()[EQUAL]) == 38


def test_nothing_beats_the_equal_sum(rows):
    found = as_dict(intervals(rows, "normalised", ["way"]))
    assert str(found[EQUAL]) == "38.9 [37.1, 40.8]"
    assert all(paired(rows, "normalised", "way", way, EQUAL).loc[0, "verdict"] == "open" for way in OTHERS)
    assert {way: less(rows, "normalised", way) for way in (TUNED, UNCERTAINTY, GRADNORM, PCGRAD)} == {
        TUNED: "0.3 [-0.2, 0.9] (open)",
        UNCERTAINTY: "0.0 [-0.5, 0.6] (open)",
        GRADNORM: "0.6 [-0.8, 1.9] (open)",
        PCGRAD: "0.0 [-1.3, 1.2] (open)",
    }


def test_task_by_task_something_is_won_and_something_lost(rows):
    assert less(rows, "slant", TUNED) == "-1.7 [-3.2, -0.1]"
    assert less(rows, "serif", TUNED) == "1.2 [0.2, 2.2]"
    assert less(rows, "weight", UNCERTAINTY) == "-0.9 [-1.7, -0.2]"
    for way, lost in ((TUNED, "0.2 [0.1, 0.4]"), (UNCERTAINTY, "0.2 [0.1, 0.3]"), (GRADNORM, "0.4 [0.3, 0.5]")):
        assert less(rows, "angle", way) == lost
    assert all(paired(rows, name, "way", PCGRAD, EQUAL).loc[0, "verdict"] == "open" for name in TASKS)


def test_with_three_times_the_updates(rows):
    longer = ways.normalised(results("ways_longer"), ways.test_images())
    assert less(longer, "normalised", TUNED) == "0.8 [0.4, 1.1]"
    short = rows[(rows["way"] == EQUAL) & (rows["seed"] < 3)]
    both = pd.concat([longer[longer["way"] == EQUAL], short])
    found = paired(both, "normalised", "updates", 900, 300).loc[0]
    assert [round(found[end], 1) for end in ("mean", "low", "high")] == [-4.9, -8.6, -1.2]
    gained = both.groupby("updates")[list(TASKS)].mean() / pd.Series(ways.guessing(ways.test_images()))
    assert (gained.loc[300] - gained.loc[900]).idxmax() == "slant"


def test_the_settings_used_were_the_best_where_they_were_chosen():
    tried = ways.normalised(results("ways_settings"), ways.validation_images())
    score = tried.groupby(["way", "setting"])["normalised"].mean()
    for name, way in ways.WAYS.items():
        assert score[name].idxmin() == ways.named(way.best)
    spread = score[EQUAL].max() - score[EQUAL].min()
    assert spread == pytest.approx(3.0, abs=0.05)
    assert spread > 3 * rows_spread(), "the rate moves more than the way"


def rows_spread():
    """How far the means of the ways with one trunk lie apart."""
    scored = ways.normalised(results("ways"), ways.test_images())
    means = scored[scored["way"] != SEPARATE].groupby("way")["normalised"].mean()
    return means.max() - means.min()


@pytest.fixture(scope="module")
def cosines():
    table = results("interference")
    return table[table["stage"] == WHOLE]


def test_gradients_are_almost_at_right_angles(cosines):
    table = results("interference")
    means = table.groupby(["updates", "stage"])["cosine"].mean()
    assert means.abs().max() < 0.1
    last = as_dict(intervals(cosines[cosines["updates"] == 300], "cosine", ["pair"]))
    apart = {pair: found for pair, found in last.items() if found.low > 0 or found.high < 0}
    assert list(apart) == ["class, weight"]
    assert round(apart["class, weight"].mean, 2) == -0.12
    assert max(abs(found.mean) for found in last.values()) < 0.13


def shared(rows, by, value="error", a=ALL, b=ALONE):
    """By how much a value is higher beside other tasks, by the columns `by`, as rows of `paired`."""
    return paired(rows, value, "beside", a, b, by=by)


def test_few_answers_beside_tasks_that_have_many():
    table = results("few_answers")
    found = shared(table[table["labels"] < 1000], ["main", "labels"])
    assert (found["mean"] > 0).all(), "sharing helps in none of the ten"
    assert (found["verdict"] == "higher").sum() == 5
    by = found.set_index(["main", "labels"])
    assert [round(by.loc[("class", 50), end]) for end in ("mean", "low", "high")] == [13, 9, 18]
    assert [round(by.loc[("weight", 50), end]) for end in ("mean", "low", "high")] == [6, 1, 11]
    alone = table[table["beside"] == ALONE].groupby(["main", "labels"])["error"].mean()
    assert [round(alone[name, 50], 1) for name in ("class", "angle")] == [9.5, 7.4]


def ends(found):
    return [round(found[end], 1) for end in ("mean", "low", "high")]


def test_beside_printed_letters():
    short, long = results("beside_letters"), results("letters_longer")
    found = shared(short, "per_class", "accuracy", BESIDE).set_index("per_class")
    assert ends(found.loc[5]) == [1.1, -3.6, 5.7]
    assert ends(found.loc[20]) == [-3.7, -6.3, -1.1]
    longer = shared(long, (), "accuracy", BESIDE).loc[0]
    assert ends(longer) == [6.6, -5.6, 18.9]
    by = long.set_index(["beside", "seed"])["accuracy"]
    assert (by[BESIDE] > by[ALONE]).all()
    before = results("labels_curve").query("per_class == 5").groupby("start")["accuracy"].mean()
    assert [round(before[start]) for start in ("scratch", "fine-tuned")] == [64, 90]


def test_more_tasks_are_no_better_source():
    table = results("task_sources")
    assert round(table[table["per_class"] == 5].groupby("source")["accuracy"].mean()["the class alone"], 1) == 63.0
    five = paired(table, "accuracy", "source", "all five tasks", "the class alone", by="per_class")
    assert set(five["verdict"]) == {"open"}
    assert [round(five["low"].min()), round(five["high"].max())] == [-23, 12]
    without = paired(table, "accuracy", "source", "all but the class", "the class alone", by="per_class")
    found = without.set_index("per_class").loc[5]
    assert [round(found[end]) for end in ("mean", "low", "high")] == [-27, -37, -18]


def test_a_fresh_training_agrees_with_the_shipped_ones(rows):
    """One whole training of one trunk, on this machine, against the five that came with the course."""
    fresh = pd.DataFrame([ways.trial(EQUAL, 0)])
    fresh = ways.normalised(fresh, ways.test_images())["normalised"]
    assert within_seeds(fresh, rows.loc[rows["way"] == EQUAL, "normalised"])


def test_over_the_whole_trunk_no_pair_is_far_from_a_right_angle_and_in_the_stem_some_are():
    means = results("interference").groupby(["stage", "pair", "updates"])["cosine"].mean()
    whole, stem = means["whole trunk"], means["stem"]
    assert whole.abs().max() == pytest.approx(0.17, abs=0.006)
    assert [round(stem.min(), 2), round(stem.max(), 2)] == [-0.31, 0.46]


def test_what_the_tuned_sum_wins_and_loses_turns_round_with_more_updates():
    for table, slant, serif in (("ways", -1, 1), ("ways_longer", 1, -1)):
        found = results(table)
        for task, sign in (("slant", slant), ("serif", serif)):
            apart = paired(found, task, "way", TUNED, EQUAL).loc[0]
            assert apart["verdict"] != "open"
            assert (apart["mean"] > 0) == (sign > 0)
