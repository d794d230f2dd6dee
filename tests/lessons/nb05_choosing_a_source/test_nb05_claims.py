"""What notebook 05 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import pandas as pd
import pytest
from agreement import FRESH_SEEDS, within_seeds
from scipy.stats import ttest_1samp

from tlcourse.evaluation.significance import holm, selection_optimism
from tlcourse.lessons.nb05_choosing_a_source.experiment import NAMES, distance_trial, score_trial, trial
from tlcourse.lessons.nb05_choosing_a_source.figures import gains, h_score_of_noise
from tlcourse.lessons.nb05_choosing_a_source.ranking import (
    LOST,
    RULES,
    agreement,
    in_half_zoos,
    optimism,
    seconds_of_scores,
    weighted_tau,
)
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, CLOSE, RANDOM, source_accuracy
from tlcourse.notebook.results import intervals, paired, results

GOOD = ("k-NN", "linear probe", "LEEP", "LogME")  # scores that did well
LONG = ("letters, long", "digits, long")
NOT_PLAIN = [name for name in CANDIDATES if not name.startswith("plain")]


@pytest.fixture(scope="module")
def truth():
    return results("zoo_truth")


@pytest.fixture(scope="module")
def scores():
    return results("zoo_scores")


@pytest.fixture(scope="module")
def far():
    return results("zoo_distances")


@pytest.fixture(scope="module")
def orders(truth, scores, far):
    return {
        (k, among): agreement(truth, scores, far, k, CANDIDATES if among == "all" else CLOSE)
        for k in (5, 20)
        for among in ("all", "close")
    }


@pytest.fixture(scope="module")
def taus(orders):
    return {key: rows.groupby("score")["tau"].mean() for key, rows in orders.items()}


@pytest.fixture(scope="module")
def lost(orders):
    return {key: rows.groupby("score")[LOST].mean() for key, rows in orders.items()}


def reached(truth, per_class):
    return truth[truth["per_class"] == per_class].groupby("candidate")["accuracy"].mean()


def verdict(truth, per_class, a, b):
    rows = truth[truth["per_class"] == per_class]
    return paired(rows, "accuracy", "candidate", a, b)["verdict"][0]


def test_the_long_ones_lead_by_ten_points_and_between_them_it_is_open(truth):
    five = reached(truth, 5)
    assert five[list(LONG)].min() > five[CLOSE].max() + 9
    assert verdict(truth, 5, *LONG) == "open"


def test_three_times_the_updates_keep_the_order(truth):
    rows = results("zoo_longer")
    longer = rows.groupby("candidate")["accuracy"].mean()
    assert weighted_tau(longer, reached(truth, 5)[longer.index]) == pytest.approx(95, abs=1)
    assert set(longer.nlargest(2).index) == set(LONG)
    gain = longer - reached(truth[truth["seed"].isin(rows["seed"])], 5)[longer.index]
    assert gain[RANDOM] == pytest.approx(3.5, abs=0.1)
    assert gain[list(LONG)].to_list() == pytest.approx([-2, -2], abs=0.5)


def test_training_on_the_wrong_thing_hurts(truth):
    assert verdict(truth, 5, "textures", RANDOM) == "lower"
    assert verdict(truth, 20, "textures", RANDOM) == "lower"
    assert verdict(truth, 20, "plain letters", RANDOM) == "lower"


def test_the_plain_ones_read_their_source_and_are_the_worse_start(truth):
    for task in ("letters", "digits"):
        assert source_accuracy(f"plain {task}") > 95
        assert source_accuracy(f"plain {task}") > source_accuracy(task)
        assert verdict(truth, 20, f"plain {task}", task) == "lower"
    assert verdict(truth, 5, "plain letters", "letters") == "open"


def test_size_is_not_the_answer(truth):
    assert verdict(truth, 5, "letters, wide", "letters") == "higher"
    assert verdict(truth, 5, "digits, narrow", "digits") != "lower"


def test_probe_and_logme_show_no_difference_from_fine_tuning_once_and_the_other_two_lie_below(orders, taus):
    def minus_once(name):
        return paired(orders[5, "all"], "tau", "score", name, "fine-tuning once").loc[0]

    for name in ("linear probe", "LogME"):
        assert minus_once(name)["verdict"] == "open"
        assert minus_once(name)[["low", "high"]].abs().max() < 5.5
    assert minus_once("k-NN")["mean"] == pytest.approx(-4, abs=1)
    assert minus_once("LEEP")["mean"] == pytest.approx(-11, abs=1)
    assert taus[5, "all"][list(GOOD)].min() > 70


def test_after_holm_no_score_is_better_than_k_nn_and_the_h_scores_are_worse(orders):
    wide = orders[5, "all"].pivot(index="seed", columns="score", values="tau")
    others = [name for name in NAMES if name != "k-NN"]
    p = dict(zip(others, holm([ttest_1samp(wide[name] - wide["k-NN"], 0).pvalue for name in others]), strict=True))
    assert all(p[name] > 0.05 for name in GOOD[1:])
    assert p["H-score"] < 0.001
    assert p["regularised H-score"] < 0.001
    assert paired(orders[5, "all"], "tau", "score", "linear probe", "k-NN")["verdict"][0] == "open"
    assert paired(orders[20, "all"], "tau", "score", "LEEP", "k-NN")["verdict"][0] == "lower"
    assert paired(orders[20, "close"], "tau", "score", "LEEP", "k-NN")["verdict"][0] == "open"


def test_the_h_score_says_nine_of_everything_and_its_mended_form_likes_random_weights(scores):
    five = scores[(scores["per_class"] == 5) & (scores["shift"] == 0)]
    assert set(five["H-score"]) == {9.0}
    mended = five.groupby("candidate")["regularised H-score"].mean().rank(ascending=False)
    assert mended[RANDOM] <= 8
    ranks = five.groupby("seed")["regularised H-score"].rank(ascending=False).groupby(five["candidate"])
    assert (ranks.min()["letters, wide"], ranks.mean()["digits, narrow"].round()) == (1, 13)
    firsts = five.loc[five.groupby("seed")["regularised H-score"].idxmax(), "candidate"]
    assert (firsts == "letters, wide").sum() == 7
    noise = pd.DataFrame(h_score_of_noise()).pivot(index="images", columns="score", values="value")
    assert noise["H-score"][50] == pytest.approx(9)
    assert noise["H-score"][200] == pytest.approx(5.8, abs=0.2)
    assert noise["regularised"].max() < 2


def test_the_order_of_logme_was_never_the_worse_one_which_is_why_the_command_shows_it(orders):
    """The numbers in the docstring of `tlcourse.photos.choosing`."""
    for k, expected in ((5, (3.8, 0.2, 7.4)), (20, (1.0, -0.2, 2.2))):
        row = paired(orders[k, "all"], "tau", "score", "LogME", "k-NN").loc[0]
        assert tuple(row[["mean", "low", "high"]]) == pytest.approx(expected, abs=0.06)


def test_with_more_labels_frozen_features_say_less(taus, orders, lost, truth, scores, far):
    assert (taus[20, "all"][list(GOOD)] < taus[5, "all"][list(GOOD)]).all()
    once = [orders[k, "all"].query("score == 'fine-tuning once'").set_index("seed")["tau"] for k in (5, 20)]
    assert ttest_1samp(once[1] - once[0], 0).pvalue > 0.05
    without = {k: agreement(truth, scores, far, k, NOT_PLAIN).groupby("score")["tau"].mean() for k in (5, 20)}
    assert (without[5] - without[20])[list(GOOD)].min() > 8
    assert all(lost[20, among][list(GOOD)].max() < 0.5 for among in ("all", "close"))


def test_without_the_plain_ones_leep_is_open_against_fine_tuning_once(truth, scores, far):
    minus_once = paired(agreement(truth, scores, far, 5, NOT_PLAIN), "tau", "score", "LEEP", "fine-tuning once").loc[0]
    assert minus_once["verdict"] == "open"
    assert minus_once["mean"] == pytest.approx(-3, abs=0.5)


def test_leep_takes_a_plain_one_twice(scores, lost):
    five = scores[(scores["per_class"] == 5) & (scores["shift"] == 0) & scores["candidate"].isin(CLOSE)]
    chosen = five.loc[five.groupby("seed")["LEEP"].idxmax(), "candidate"]
    assert chosen.str.startswith("plain").sum() == 2
    assert lost[5, "close"][["k-NN", "linear probe", "LogME"]].max() < 1.5


def test_rules_do_not_hold_without_the_two_that_are_ahead(taus, lost):
    assert taus[5, "all"]["source accuracy"] > 60
    assert taus[5, "close"]["source accuracy"] < 60
    assert taus[5, "all"][list(RULES[1:])].max() < 40
    by_lot = lost[5, "close"]["H-score"]
    assert lost[5, "close"]["source accuracy"] == pytest.approx(by_lot, abs=3)
    assert lost[5, "close"][list(GOOD)].max() < 3
    assert lost[5, "all"][list(GOOD)].max() < 1


def test_without_the_plain_ones_source_accuracy_would_look_as_good_as_any(truth, scores, far):
    tau = agreement(truth, scores, far, 5, NOT_PLAIN).groupby("score")["tau"].mean()
    assert tau["source accuracy"] > tau[list(NAMES)].max() - 1


def test_another_zoo_moves_tau_more_than_the_score_does(truth, scores, taus):
    rows = in_half_zoos(truth, scores, 5, names=GOOD)
    ends = rows.groupby("score")["tau"].quantile([0.1, 0.9]).unstack()
    assert (ends[0.9] - ends[0.1]).max() > taus[5, "all"][list(GOOD)].max() - taus[5, "all"][list(GOOD)].min()


def test_ten_choices_do_not_show_that_winning_adds_points_and_among_equals_it_does(truth, scores):
    for among in (CLOSE, CANDIDATES):
        curse = intervals(optimism(truth, scores, 5, among), "curse", by="choice")
        assert (curse["low"] < 0).all()
        assert (curse["high"] > 0).all()
    equals = [selection_optimism(16, *case)[0] for case in ((509, 90), (50, 75))]
    assert equals == pytest.approx([2.3, 10.4], abs=0.3)


def test_along_the_dial_the_gain_falls_and_across_sources_nearness_says_little(truth, far):
    rows = gains(truth, results("zoo_shifted"), far)
    along = rows.pivot(index="candidate", columns="shift", values="gain")
    assert along.loc["digits", 0.0] > 13
    assert along.loc["digits", 1.0] < 7
    assert along.loc["letters", 0.0] > 4 > 0 > along.loc["letters", 1.0]
    assert along.loc["digits, shift 1"].max() - along.loc["digits, shift 1"].min() < 6
    moved = rows.set_index(["candidate", "shift"])[["Fréchet", "gain"]].unstack()
    opposite = (moved["Fréchet"][1.0] > moved["Fréchet"][0.0]) == (moved["gain"][1.0] < moved["gain"][0.0])
    assert (opposite.sum(), len(opposite)) == (14, 15)
    farthest = rows[rows["shift"] == 1].set_index("candidate")
    assert farthest["Fréchet"].idxmin() == "textures"
    assert farthest["gain"]["textures"] < 2
    assert farthest["Fréchet"]["letters"] == pytest.approx(farthest["Fréchet"]["letters, long"], abs=0.5)
    assert farthest["gain"]["letters"] == pytest.approx(-6, abs=1)
    assert farthest["gain"]["letters, long"] == pytest.approx(17, abs=1)
    assert far[far["shift"] == 0].groupby("candidate")["proxy A"].mean().min() > 1.5


def test_what_frechet_distance_says_hangs_on_the_network_that_measures(truth, far):
    """Through the letters network nearness says a little, through the digits network the opposite."""
    five, sources = reached(truth, 5), [name for name in CANDIDATES if name != RANDOM]
    by_digits = pd.Series({name: distance_trial(name, 0.0, 0, "digits")["Fréchet"] for name in sources})
    by_letters = far[far["shift"] == 0].groupby("candidate")["Fréchet"].mean()[sources]
    assert weighted_tau(-by_letters, five[sources]) > 0
    assert weighted_tau(-by_digits, five[sources]) < -10


def test_what_the_lab_shows(scores, truth):
    def winners(score, per_class, shift):
        here = scores[(scores["per_class"] == per_class) & (scores["shift"] == shift)]
        return [rows.set_index("candidate")[score].idxmax() for _, rows in here.groupby("seed")]

    assert len(set(winners("regularised H-score", 5, 0.0))) == 4
    assert RANDOM in winners("regularised H-score", 5, 0.0)
    assert set(winners("regularised H-score", 20, 0.0)) == {"letters, wide", "letters, long"}
    assert set(winners("H-score", 5, 0.0)) == {RANDOM}, "the first of the list"
    assert winners("k-NN", 5, 1.0)[0] == "digits, shift 1"
    first = scores[(scores["per_class"] == 5) & (scores["seed"] == 0)]
    wide = first.pivot(index="candidate", columns="shift", values="k-NN")[[0.0, 1.0]]
    places = wide.rank(ascending=False, method="min")
    assert places.loc["digits, shift 1"].tolist() == [12, 1]
    assert places.loc["digits, shift 0.5", 1.0] < places.loc["digits, shift 0.5", 0.0]
    assert places.loc["letters, shift 0.5", 1.0] > places.loc["letters, shift 0.5", 0.0]
    assert places.loc["letters, shift 1"].tolist() == [12, 7]
    assert places.loc["digits", 1.0] == places[1.0].max()
    goal = results("zoo_shifted").groupby(["shift", "candidate"])["accuracy"].mean()[1.0]
    assert goal["digits, long"] - goal["digits, shift 1"] == pytest.approx(12, abs=1.5)
    five = reached(truth, 5)
    assert five["digits, long"] - five["digits, narrow"] == pytest.approx(11, abs=2)
    assert five["digits, narrow"] > five[CLOSE].max() - 2


def test_scoring_costs_a_fraction_of_fine_tuning():
    one = trial("digits", 5, 0)["seconds"]
    assert max(seconds_of_scores().values()) < len(CANDIDATES) * one / 3


@pytest.mark.parametrize("name", ["digits, narrow"])
def test_fresh_trainings_agree_with_the_shipped_ones(truth, name):
    fresh = [trial(name, 5, seed)["accuracy"] for seed in FRESH_SEEDS]
    here = truth[(truth["candidate"] == name) & (truth["per_class"] == 5)]
    assert within_seeds(fresh, here["accuracy"])


def test_fresh_scores_and_distances_are_the_shipped_ones(scores, far):
    shipped = scores.set_index(["candidate", "shift", "per_class", "seed"]).loc["digits, narrow", 0.0, 5, 1]
    fresh = score_trial("digits, narrow", 0.0, 5, 1)
    for name in (*NAMES, "probe on test"):
        assert fresh[name] == pytest.approx(shipped[name], abs=0.03 * max(1, abs(shipped[name])))
    near = distance_trial("digits", 0.0, 0)
    there = far.set_index(["candidate", "shift", "seed"]).loc["digits", 0.0, 0]
    assert all(near[name] == pytest.approx(there[name], rel=0.05, abs=0.02) for name in near)
