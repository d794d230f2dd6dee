"""What notebook 06 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import numpy as np
import pandas as pd
import pytest
from agreement import within_seeds
from scipy.stats import ttest_1samp, ttest_ind

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.validators import VALIDATORS
from tlcourse.evaluation.intervals import t_interval
from tlcourse.evaluation.predict import accuracy
from tlcourse.evaluation.significance import holm
from tlcourse.lessons.nb06_crossing_domains import experiment as nb06
from tlcourse.lessons.nb06_crossing_domains.cases import photo
from tlcourse.lessons.nb06_crossing_domains.choosing import BY_LOT, CANDIDATES, closed, gains, peeking, picked
from tlcourse.lessons.nb06_crossing_domains.experiment import ADABN, LABELLED, METHODS, ON, START
from tlcourse.lessons.nb06_crossing_domains.shifts import three_shifts
from tlcourse.notebook.results import as_dict, intervals, paired, results

BEST, SELF = "MCC + consistency", "self-training"


@pytest.fixture(scope="module")
def rows():
    return pd.concat([results("adapted"), results("adapted_far")], ignore_index=True)


@pytest.fixture(scope="module")
def means(rows):
    return rows.groupby(["method", "shift"])["accuracy"].mean()


@pytest.fixture(scope="module")
def others():
    return results("adapted_cases")


@pytest.fixture(scope="module")
def few():
    return results("few_target_labels")


def verdict(rows, a, b, shift=None, of="method"):
    some = rows if shift is None else rows[rows["shift"] == shift]
    return paired(some, "accuracy", of, a, b).loc[0]


def chance(rows, a, b, shift):
    """The probability of such a difference where there is none."""
    wide = rows[rows["shift"] == shift].pivot_table(index="seed", columns="method", values="accuracy")
    return ttest_1samp(wide[a] - wide[b], 0).pvalue


def test_the_gap(means, rows):
    assert [round(means[START, shift]) for shift in (0, 0.5, 1)] == [76, 68, 23]
    assert means[LABELLED, 0] == pytest.approx(97.6, abs=0.05)
    assert means[LABELLED, 1] == pytest.approx(94.2, abs=0.05)
    assert (rows.loc[rows["method"] == START, "source"] > 99).all()


def test_what_three_kinds_of_shift_change():
    none, covariate, label, concept = three_shifts()
    assert covariate["accuracy"] < none["accuracy"] - 20
    assert none["confidence"] - covariate["confidence"] == pytest.approx(14, abs=1)
    assert none["accuracy"] - covariate["accuracy"] == pytest.approx(24, abs=1)
    assert label["mean over classes"] == pytest.approx(none["mean over classes"], abs=0.5)
    assert label["answers 0 to 4"] == pytest.approx(91, abs=1.5)
    assert concept["accuracy"] < none["accuracy"] - 15
    assert [concept[key] for key in ("answers 0 to 4", "confidence")] == [none["answers 0 to 4"], none["confidence"]]


def test_mixed_statistics_are_an_adaptation():
    """About 17 % with statistics of the source, 53 with both, 60 with the target's, at the end of the dial."""
    import torch

    given = photo(1.0)
    same = given.source.images[: len(given.target)]
    sets = {"source": same, "both": torch.cat([same, given.target.images]), "target": given.target.images}
    order = torch.randperm(2 * len(same), generator=torch.Generator().manual_seed(0))
    sets["both"] = sets["both"][order]
    read = {name: accuracy(adapt_batchnorm(nb06.starting_network(given), x), given.test) for name, x in sets.items()}
    assert read["source"] + 25 < read["both"] < read["target"] - 2


def test_more_updates_on_the_source_do_not_help(rows):
    assert verdict(rows, ON, ADABN, 0).verdict == "open"
    half_way = verdict(rows, ON, ADABN, 0.5)
    assert half_way.verdict == "lower"
    assert half_way["mean"] == pytest.approx(-2, abs=0.5)


def test_aligned_features_help(rows):
    assert verdict(rows, "CORAL", ON, 0)["mean"] == pytest.approx(6, abs=0.5)
    assert verdict(rows, "CORAL", ON, 0.5)["mean"] == pytest.approx(8, abs=0.5)
    assert verdict(rows, "MMD", ON, 0)["mean"] == pytest.approx(11, abs=0.5)
    assert verdict(rows, "MMD", ON, 0.5)["mean"] == pytest.approx(12, abs=0.5)
    aligned = [("DANN", "CORAL"), ("CDAN", "CORAL"), ("CDAN", "DANN")]
    headline = [("CORAL", ON), ("MMD", ON), ("MCC", "MMD"), (SELF, "MMD"), ("consistency", "MMD")]
    compared = [(a, b, shift) for a, b in (*aligned, *headline) for shift in (0, 0.5)]
    corrected = dict(zip(compared, holm([chance(rows, *pair) for pair in compared]), strict=True))
    assert all(corrected[a, b, shift] > 0.05 for a, b in aligned for shift in (0, 0.5))
    assert all(corrected[a, ON, shift] < 0.05 for a in ("CORAL", "MMD") for shift in (0, 0.5))
    spread = rows[rows["shift"].isin((0, 0.5))].groupby(["method", "shift"])["accuracy"].std()
    assert all(spread["CDAN", shift] > spread[name, shift] for name in ("CORAL", "DANN") for shift in (0, 0.5))


def test_sharper_answers_help_most(rows, means):
    found = as_dict(intervals(rows[rows["method"] == BEST], by="shift"))
    assert str(found[0.0]) == "96.9 [96.3, 97.5]"
    assert str(found[0.5]) == "92.5 [90.4, 94.5]"
    here = rows[rows["shift"] == 0].pivot_table(index="seed", columns="method", values="accuracy")
    assert (here[BEST] < here[LABELLED]).sum() == 9
    assert verdict(rows, BEST, LABELLED, 0).verdict == "open"
    assert all(verdict(rows, BEST, "MCC", shift).verdict == "open" for shift in (0, 0.5))
    assert means[LABELLED, 0.5] == pytest.approx(97.1, abs=0.05)
    assert all(verdict(rows, "consistency", "MMD", shift).verdict == "open" for shift in (0, 0.5))
    assert all(verdict(rows, name, "MMD", shift).verdict == "higher" for name in ("MCC", SELF) for shift in (0, 0.5))


def test_the_share_of_the_gap_that_is_closed(rows):
    share = closed(rows).groupby(["method", "shift"])["closed"].mean()
    assert share[BEST, 0] > 90
    assert share[BEST, 0.5] > 75
    assert share["CORAL", 0] < share[BEST, 0] / 2


def test_three_times_the_updates(rows):
    """By Welch's interval: the seeds of long and short trainings have nothing to do with each other."""
    longer = results("adapted_longer")
    gained = {}
    for name, long in longer.groupby("method"):
        short = rows[(rows["shift"] == 0) & (rows["method"] == name)]["accuracy"]
        gained[name] = ttest_ind(long["accuracy"], short, equal_var=False).confidence_interval(0.95)
    assert [round(end, 1) for end in gained.pop("DANN")] == [1.7, 5.4]
    assert gained.pop("MCC").high < 0
    assert len(gained) == 4
    assert all(low < 0 < high for low, high in gained.values())
    ends = longer.groupby("method")["accuracy"].mean()
    assert ends["DANN"] - ends["CORAL"] == pytest.approx(5, abs=0.5)


def test_where_the_best_weight_was_the_last_one_tried():
    pool = results("adapted_weights").groupby(["method", "weight"])["pool"].mean()
    for name, method in METHODS.items():
        assert pool[name].idxmax() == method.weight
        at_the_edge = method.weight in (method.tried[0], method.tried[-1])
        assert at_the_edge is (name in ("CORAL", "DANN", "consistency", BEST))


def test_the_same_training_ends_apart_where_processors_round_differently():
    tried, measured = (
        results(name).set_index(["method", "shift", "seed"]) for name in ("adapted_weights", "adapted_far")
    )
    chosen = tried[tried["weight"] == METHODS["CDAN"].weight]
    assert round(chosen.loc[("CDAN", 0.25, 0), "accuracy"]) == 87
    assert round(measured.loc[("CDAN", 0.25, 0), "accuracy"]) == 74


def test_half_of_the_answers_in_the_training_pool_are_wrong_at_the_end_of_the_dial(rows):
    pool = rows[(rows["method"] == ADABN) & (rows["shift"] == 1)]["pool"]
    assert pool.between(47, 55).all()


def test_the_winner_depends_on_the_distance(rows, means):
    assert verdict(rows, BEST, SELF, 1).verdict == "lower"
    assert verdict(rows, BEST, SELF, 1)["mean"] == pytest.approx(-10, abs=0.5)
    assert verdict(rows, BEST, SELF, 0.75).verdict == "open"
    assert all(verdict(rows, BEST, SELF, shift).verdict == "higher" for shift in (0, 0.5))
    assert means[ADABN, 1] - means[START, 1] == pytest.approx(37, abs=0.5)
    assert means["CDAN", 1] == pytest.approx(43, abs=0.5)
    assert verdict(rows, "MCC", ADABN, 1).verdict == "open"
    share = closed(rows).groupby(["method", "shift"])["closed"].mean()
    assert all(share[name, 0] < share[BEST, 0] / 2 for name in ("CORAL", "DANN"))


def test_where_every_method_hurts(others):
    absent = gains(others[others["case"] == "half the classes"], [ADABN, ON, *METHODS])
    assert all(gain.high < 0 for name, gain in absent.items() if name != ADABN)
    assert max(absent, key=lambda name: absent[name].mean) == "consistency"
    assert verdict(others[others["case"] == "half the classes"], "CORAL", ADABN)["mean"] == pytest.approx(-9, abs=0.5)
    assert verdict(others[others["case"] == "half the classes"], "MCC", ADABN)["mean"] == pytest.approx(-6, abs=0.5)
    assert absent["consistency"].mean == pytest.approx(-7, abs=0.5)
    assert absent[ADABN].mean == pytest.approx(-15, abs=0.5)
    assert all(absent[name].mean <= -20 for name in ("CORAL", "MMD", "DANN", "CDAN", "MCC", BEST))
    fewer = others[others["case"] == "half the classes"]
    assert verdict(fewer, SELF, ADABN).verdict == "open"
    assert verdict(fewer, "consistency", ADABN)["mean"] == pytest.approx(8, abs=0.7)


def test_too_many_classes_and_rare_ones(others):
    many = gains(others[others["case"] == "letters too"], METHODS)
    assert many["MCC"].mean == pytest.approx(-13, abs=0.5)
    means = others[others["case"] == "letters too"].groupby("method")["accuracy"].mean()
    assert means.drop(LABELLED).idxmax() == "consistency"
    over = {name: round(means[name] - means[ON]) for name in ("consistency", "CORAL", "MMD", "DANN", "MCC")}
    assert over == {"consistency": 26, "CORAL": 13, "MMD": 8, "DANN": 4, "MCC": -28}
    assert {name for name in METHODS if many[name].high < 0} == {"MCC", BEST}
    rare = others[others["case"] == "rare classes"]
    found = {name: verdict(rare, name, ON) for name in METHODS}
    assert {name for name in METHODS if found[name].verdict == "lower"} == {"MMD", "CDAN"}
    over = gains(rare, [ON, *METHODS])
    assert {name for name, gain in over.items() if gain.low > 0} == {SELF}
    assert str(over[SELF]) == "4.4 [0.4, 8.3]"


def test_other_pairs_tell_the_story_again(others):
    for case in ("plain", "two sources"):
        means = others[others["case"] == case].groupby("method")["accuracy"].mean().drop(LABELLED)
        assert means.nlargest(2).index.isin(["MCC", BEST]).all()
        assert all(means[name] > means[START] for name in METHODS)


def test_choosing_without_labels(rows, others):
    found = picked(rows[rows["shift"] != nb06.FROZEN_AT])
    lost = found.groupby("choice")["lost"].mean()
    assert lost[BY_LOT] == pytest.approx(13, abs=0.6)
    assert lost["source"] == pytest.approx(21, abs=0.5)
    wide = found.pivot_table(index=["shift", "seed"], columns="choice", values="lost")
    worse = {at: t_interval((here["source"] - here[BY_LOT]).tolist()) for at, here in wide.groupby("shift")}
    assert all(worse[shift].low > 0 for shift in (0, 0.5))
    assert all(worse[shift].low < 0 < worse[shift].high for shift in (0.75, 1))
    assert lost["DEV"] > lost[BY_LOT]
    assert set(found["choice"]) == {*VALIDATORS, BY_LOT}
    dev = found[found["choice"] == "DEV"]["method"]
    assert (dev == ADABN).mean() > 0.7
    assert (found[found["choice"] == "source"]["method"] == f"{START} or {ADABN}").mean() > 0.5
    assert (found[(found["choice"] == "SND") & (found["shift"] == 1)]["method"] == START).all()
    by_shift = found.groupby(["choice", "shift"])["lost"].mean()
    assert all(by_shift[name, shift] < 2 for name in ("entropy", "information") for shift in (0, 0.5))
    assert [round(by_shift[name, 1]) for name in ("entropy", "information")] == [11, 14]
    blind = picked(others, by=("case", "seed"))
    blind = blind[blind["choice"] == "information"]
    assert set(blind.loc[blind["case"] == "half the classes", "method"]) <= {"MCC", BEST}
    cost = blind.groupby("case")["lost"].mean()
    by_source = picked(others, by=("case", "seed")).query("choice == 'source'").groupby("case")["lost"].mean()
    assert [round(by_source[case]) for case in ("half the classes", "letters too")] == [8, 20]
    assert [round(cost[case]) for case in ("half the classes", "letters too")] == [23, 54]
    by_snd = picked(others, by=("case", "seed")).query("choice == 'SND'").groupby("case")["lost"].mean()
    assert [round(by_snd[case]) for case in ("half the classes", "letters too")] == [7, 0]
    assert cost["half the classes"] > 20
    assert cost["letters too"] > 50


@pytest.mark.parametrize(("labels", "most", "least"), [(50, 4.5, 0), (10, 15, 5)])
def test_what_a_choice_by_few_labelled_images_would_lose(rows, others, labels, most, least):
    """Each candidate's accuracy on so many images is drawn by chance, as independent images would give it."""
    draws, lost = np.random.default_rng(0), []
    cells = [*rows.groupby("shift"), *others.groupby("case")]
    for _, cell in cells:
        in_this_cell = []
        for _, group in cell[cell["method"].isin(CANDIDATES)].groupby("seed"):
            truth = group["accuracy"].to_numpy()
            seen = draws.binomial(labels, truth / 100, (400, len(truth)))
            in_this_cell.append(truth.max() - truth[seen.argmax(1)].mean())
        lost.append(np.mean(in_this_cell))
    assert least <= max(lost) <= most


def test_the_best_look_flatters_what_is_unstable(rows):
    assert SELF not in set(peeking(rows)["method"])
    assert verdict(rows, BEST, "CORAL", 1).verdict == "open"
    best = paired(rows[rows["shift"] == 1], "best", "method", BEST, "CORAL").loc[0]
    assert best.verdict == "higher"
    assert best["mean"] == pytest.approx(4, abs=0.5)
    gained = peeking(rows).groupby(["method", "shift"])["gained"].mean()
    assert gained["CORAL", 0] < 1
    assert gained["CORAL", 1] < 1
    assert gained["MCC", 1] == pytest.approx(10, abs=0.5)
    assert gained["CDAN", 1] == pytest.approx(20, abs=1)


def test_few_labels(few, rows):
    """Against MCC without any label, on the same seeds."""
    alone = rows[(rows["method"] == "MCC") & (rows["shift"] == 0.5) & rows["seed"].isin(few["seed"])]
    with_it = {k: pd.concat([few[few["per_class"] == k], alone.assign(way="MCC")]) for k in (1, 5)}
    first = verdict(with_it[1], "MCC, fine-tuned", "MCC", of="way")
    assert [round(first[end], 1) for end in ("mean", "low", "high")] == [1.6, 0.1, 3.2]
    assert verdict(with_it[5], "fine-tuned", "MCC", of="way").verdict == "open"
    one, five = (few[few["per_class"] == k] for k in (1, 5))
    first = verdict(one, "MCC, fine-tuned", "fine-tuned", of="way")
    assert first["mean"] == pytest.approx(10, abs=0.5)
    assert [round(first[end]) for end in ("low", "high")] == [6, 14]
    assert verdict(one, "LP-FT", "fine-tuned", of="way").verdict == "lower"
    assert verdict(five, "MCC, fine-tuned", "fine-tuned", of="way").verdict == "open"


@pytest.mark.parametrize("shift", nb06.SHIFTS)
def test_the_shipped_table_agrees_with_what_is_read_now(rows, shift):
    """Without training: the network as it came, with the source's statistics and with the target's."""
    for name in (START, ADABN):
        given = photo(shift)
        model = nb06.starting_network(given)
        list(nb06.carry_over(name, model, given, seed=0))
        there = rows[(rows["method"] == name) & (rows["shift"] == shift)].iloc[0]
        assert accuracy(model, given.test) == pytest.approx(there["accuracy"], abs=0.6)
        assert accuracy(model, given.target) == pytest.approx(there["pool"], abs=0.6)


def test_a_fresh_training_agrees_with_the_shipped_ones(rows):
    """One whole training by MCC, on this machine, against the ten that came with the course."""
    given = photo(0.0)
    model = nb06.starting_network(given)
    list(nb06.carry_over("MCC", model, given, seed=0))
    shipped = rows[(rows["method"] == "MCC") & (rows["shift"] == 0)]["accuracy"]
    assert within_seeds([accuracy(model, given.test)], shipped)
