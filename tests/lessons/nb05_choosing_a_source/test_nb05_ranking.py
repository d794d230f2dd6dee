"""Orders, what a choice loses, optimism and gains on invented tables whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import weightedtau

from tlcourse.data.worlds import load
from tlcourse.lessons.nb05_choosing_a_source import experiment, figures, ranking
from tlcourse.lessons.nb05_choosing_a_source.experiment import NAMES, few_of, score_trial
from tlcourse.lessons.nb05_choosing_a_source.ranking import LOST, ORACLE, RULES, agreement, compare, in_half_zoos
from tlcourse.lessons.nb05_choosing_a_source.zoo import CANDIDATES, RANDOM
from tlcourse.training.recipe import Recipe

SEEDS = range(4)
GOOD = {name: 50.0 + 2 * place for place, name in enumerate(CANDIDATES)}


def table(value, cells=((0.0, 5),), seeds=SEEDS):
    rows = [
        {"candidate": name, "shift": shift, "per_class": k, "seed": seed, **value(name, shift, seed)}
        for shift, k in cells
        for name in CANDIDATES
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def noise(seed, name):
    return np.random.default_rng([seed, list(CANDIDATES).index(name)]).normal(0, 3)


@pytest.fixture(scope="module")
def truth():
    return table(lambda name, shift, seed: {"accuracy": GOOD[name] - 20 * shift + noise(seed, name)}, ((0, 5), (1, 5)))


@pytest.fixture(scope="module")
def scores():
    said = {name: {"k-NN": GOOD[name], "linear probe": -GOOD[name]} for name in CANDIDATES}
    blank = dict.fromkeys(NAMES, 0.0) | {"probe on test": 40.0}
    return table(lambda name, shift, seed: blank | said[name] | {"LEEP": noise(seed + 9, name)})


@pytest.fixture(scope="module")
def distances():
    rows = table(lambda name, shift, seed: {"Fréchet": 100 - GOOD[name], "MMD": 1.0, "proxy A": 1.0}, ((0, 5), (1, 5)))
    return rows[rows["candidate"] != RANDOM].drop(columns="per_class")


def test_a_perfect_and_a_reversed_score(truth, scores, distances):
    rows = agreement(truth, scores, distances, 5)
    assert set(rows["score"]) == {*NAMES, *RULES, ORACLE}
    means = rows.groupby("score")[["tau", LOST]].mean()
    assert means.loc["k-NN", "tau"] > 80
    assert means.loc["nearest domain", "tau"] > 80
    assert means.loc["linear probe", "tau"] < 0
    assert means.loc["linear probe", LOST] > 20
    assert abs(means.loc["LEEP", "tau"]) < 60


def test_tau_is_scipys_and_the_loss_is_that_of_the_first():
    said, goal = pd.Series({"a": 3.0, "b": 2.0, "c": 1.0}), pd.Series({"c": 60.0, "b": 90.0, "a": 80.0})
    found = compare(said, goal)
    assert found["tau"] == pytest.approx(100 * weightedtau([1, 2, 3], [60, 90, 80]).statistic)
    assert found[LOST] == 10
    assert compare(said * 0, goal) == {"tau": 0.0, LOST: pytest.approx(90 - goal.mean())}, "by lot"


def test_random_weights_come_last_where_a_rule_asks_about_the_source(distances):
    said = ranking.rules(distances)
    assert said["source accuracy"].idxmin() == RANDOM
    assert said["nearest domain"].idxmin() == RANDOM
    assert said["largest network"].idxmax() == "letters, wide"


def test_the_winner_of_equal_candidates_shines_and_all_together_do_not(scores):
    equal = table(lambda name, shift, seed: {"accuracy": 80 + noise(seed, name)})
    rows = ranking.optimism(equal, scores, 5)
    tuned = rows[rows["choice"].str.startswith("fine-tuned")]
    assert tuned["curse"].mean() > 3
    assert tuned["all"].mean() == pytest.approx(0, abs=1e-9)
    probes = rows[rows["choice"].str.startswith("probe")]
    assert (probes["too high"] == -GOOD[RANDOM] - 40).all()


def test_half_zoos_vary_where_the_whole_does_not(truth, scores):
    rows = in_half_zoos(truth, scores, 5, draws=30, names=("k-NN", "LEEP"))
    spread = rows.groupby("score")["tau"].std()
    assert spread["LEEP"] > spread["k-NN"]
    assert len(rows) == 60


def test_gains_are_points_above_random_weights(truth, distances):
    rows = figures.gains(truth[truth["shift"] == 0], truth[truth["shift"] == 1], distances)
    assert RANDOM not in set(rows["candidate"])
    assert rows[rows["shift"] == 0]["gain"].max() > 20


def test_what_was_not_measured_is_said(truth, scores, distances):
    with pytest.raises(ValueError, match=r"nothing was measured with 20 labels per class"):
        agreement(truth, scores, distances, 20)


def test_labelled_images_are_those_that_fine_tuning_learns_from():
    pool = load("handwritten-photo")
    assert pool.subset(few_of(pool, 2, 3)).shared_with(pool.few(2, 3)) == 20


def test_scores_know_more_of_a_trained_network_than_of_a_random_one():
    random, trained = (score_trial(name, 0.0, 5, 0) for name in (RANDOM, "digits, long"))
    for name in ("k-NN", "linear probe", "LEEP", "LogME", "probe on test"):
        assert trained[name] > random[name]


def test_a_trial_names_its_budget_and_learns(monkeypatch):
    measured = experiment.trial("digits, long", 5, 0, recipe=Recipe(epochs=1))
    assert measured["updates"] == 10
    assert measured["accuracy"] > 50
    assert measured["seconds"] > 0


def test_seconds_are_measured_for_every_score():
    found = ranking.seconds_of_scores()
    assert list(found) == list(NAMES)
    assert min(found.values()) > 0
