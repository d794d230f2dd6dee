"""What notebook 08 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import numpy as np
import pandas as pd
import pytest
from agreement import within_seeds

from tlcourse.evaluation.intervals import t_interval
from tlcourse.federated.federation import megabytes
from tlcourse.lessons.nb08_federated import experiment as nb08
from tlcourse.lessons.nb08_federated.experiment import ALIKE, PLACES, ROUNDS, over_rounds, rounds_to
from tlcourse.lessons.nb08_federated.lab import MEGABYTES
from tlcourse.lessons.nb08_federated.served import (
    ALONE,
    ALONE_RATE,
    AT_HOME,
    AVERAGE,
    LOCAL_BN,
    PROX,
    STATISTICS,
    TOGETHER,
    UNWEIGHTED,
)
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import as_dict, intervals, paired, results

SURE = [place for place in PLACES if place != "labels, much"]


@pytest.fixture(scope="module")
def rows():
    return results("rounds")


@pytest.fixture(scope="module")
def needed(rows):
    """By start and place, how many rounds each training needed to 85 %; nan where it never got there."""
    return {key: group["round"].tolist() for key, group in rounds_to(rows).groupby(["start", "place"])}


def at(rows, count):
    return rows[rows["round"] == count]


def lead(rows, count, place):
    """How far the letters are ahead after so many rounds."""
    return paired(at(rows, count), "accuracy", "start", "letters", "scratch", by="place").set_index("place").loc[place]


def said(found):
    return f"{found['mean']:.0f} [{found['low']:.0f}, {found['high']:.0f}]"


def test_where_clients_are_alike_the_letters_need_a_fifth_of_the_rounds(needed):
    letters, scratch = needed["letters", ALIKE], needed["scratch", ALIKE]
    assert round(np.mean(letters)) == 3
    assert round(np.mean(scratch)) == 15
    assert (min(scratch), max(scratch)) == (13, 16)
    assert t_interval([b / a for a, b in zip(letters, scratch, strict=True)]).low > 3


def test_at_all_places_but_one_at_least_three_times_fewer_rounds(needed):
    means = []
    for place in SURE:
        letters, scratch = needed["letters", place], needed["scratch", place]
        assert 2 <= min(letters) <= max(letters) <= 6
        assert 13 <= min(scratch) <= max(scratch) <= 30
        means.append(t_interval([b / a for a, b in zip(letters, scratch, strict=True)]))
    assert all(4 < found.mean < 6.5 and found.low > 2.7 for found in means)
    assert str(means[SURE.index("look, much")]) == "4.2 [2.8, 5.5]"


def test_where_labels_differ_much_it_is_open_how_much_is_saved(rows, needed):
    assert np.isnan(needed["scratch", "labels, much"]).sum() == 3
    assert (min(needed["letters", "labels, much"]), max(needed["letters", "labels, much"])) == (8, 22)
    assert said(lead(rows, 5, "labels, much")) == "34 [16, 51]"
    assert said(lead(rows, 20, "labels, much")) == "25 [10, 39]"
    assert round(lead(rows, 40, "labels, much")["mean"]) == 8
    assert lead(rows, 40, "labels, much")["verdict"] == "open"


def test_with_more_rounds_scratch_comes_near_and_not_all_the_way(rows):
    found = lead(rows, ROUNDS, ALIKE)
    assert f"{found['mean']:.1f} [{found['low']:.1f}, {found['high']:.1f}]" == "2.8 [1.7, 3.8]"


def test_a_client_sends_and_gets_the_whole_network():
    assert megabytes(TinyResNet().state_dict()) == pytest.approx(MEGABYTES, abs=0.005)


def test_rates_and_strengths_are_the_best_that_were_tried():
    means = results("federated_settings").groupby(["start", "what"])["held_out"].mean()
    for start, rate in nb08.RATE.items():
        tried = means[start].filter(regex="^rate")
        assert tried.idxmax() == f"rate {rate:g}"
    assert means["letters"].filter(like="mu").idxmax() == f"mu {nb08.MU:g}"
    alone = results("alone_settings").groupby("rate")["held_out"].mean()
    assert alone.idxmax() == ALONE_RATE
    assert means["letters"].filter(like="FedBN").idxmax() == f"FedBN, rate {nb08.FEDBN_RATE:g}"
    assert round(means["letters", "rate 0.3"]) == 95
    assert round(means["scratch", "rate 0.3"]) == 85


def test_a_fresh_run_agrees_with_the_table(rows):
    """Three rounds from the letters, where they rise the fastest."""
    shipped = at(rows[(rows["start"] == "letters") & (rows["place"] == ALIKE)], 3)["accuracy"]
    *_, last = over_rounds("letters", ALIKE, 0, count=3)
    assert within_seeds([last["accuracy"]], shipped)


def test_rounds_to_a_target():
    frame = pd.DataFrame(
        {"start": ["a"] * 3 + ["b"] * 3, "seed": 0, "round": [1, 2, 3] * 2, "accuracy": [80, 90, 84, 10, 20, 30.0]}
    )
    found = rounds_to(frame).set_index("start")["round"]
    assert found["a"] == 2
    assert np.isnan(found["b"])


@pytest.fixture(scope="module")
def private():
    return results("private")


def test_what_privacy_costs(private):
    letters = private[private["features"] == "letters"]
    found = as_dict(intervals(letters, by="epsilon"))
    assert f"{found[1.0].mean:.0f} [{found[1.0].low:.0f}, {found[1.0].high:.0f}]" == "78 [74, 83]"
    for value, expected in ((4.0, "2 [1, 3]"), (2.0, "5 [3, 8]")):
        cost = paired(letters, "accuracy", "epsilon", np.inf, value).loc[0]
        assert said(cost) == expected
    random = as_dict(intervals(private[private["features"] == "random"], by="epsilon"))
    assert [round(random[value].mean) for value in (np.inf, 1.0)] == [25, 15]
    lost = [paired(some, "accuracy", "epsilon", np.inf, 1.0).loc[0]["mean"] for _, some in private.groupby("features")]
    assert lost == pytest.approx([11, 11], abs=0.6)


@pytest.fixture(scope="module")
def ways():
    return results("federated")


def some(ways, place, start="letters"):
    return ways[(ways["place"] == place) & (ways["start"] == start)]


def means(ways, place, value, start="letters"):
    return as_dict(intervals(some(ways, place, start), value, by="way"))


def beside(ways, place, value, a, b=AVERAGE, start="letters"):
    return paired(some(ways, place, start), value, "way", a, b).loc[0]


def test_where_labels_differ_much(ways):
    alike, own = (means(ways, "labels, much", value) for value in ("accuracy", "own"))
    assert [round(alike[way].mean) for way in (ALONE, AVERAGE, LOCAL_BN)] == [33, 89, 68]
    assert round(own[LOCAL_BN].mean) == 97
    assert str(own[ALONE]) == "95.7 [93.9, 97.5]"
    others = [beside(ways, "labels, much", "own", way, ALONE) for way in (AVERAGE, STATISTICS, PROX, LOCAL_BN)]
    assert not [found for found in others if found["verdict"] == "higher"]
    fedavg = some(ways, "labels, much").query("way == @AVERAGE")["accuracy"]
    assert [round(fedavg.min()), round(fedavg.max())] == [77, 97]
    prox, plain = (beside(ways, "labels, much", "accuracy", way) for way in (PROX, UNWEIGHTED))
    assert [round(prox["mean"]), prox["verdict"], round(plain["mean"]), plain["verdict"]] == [2, "open", 3, "open"]


def test_personalising_knows_the_own_mix_and_forgets_the_rest(ways):
    assert str(means(ways, "labels, much", "own")[AT_HOME]) == "98.5 [98.2, 98.8]"
    assert exact(beside(ways, "labels, much", "own", AT_HOME, ALONE)) == "2.8 [1.1, 4.5]"
    worst = means(ways, "labels, much", "worst")
    assert [round(worst[way].mean) for way in (AT_HOME, ALONE)] == [95, 87]
    assert said(beside(ways, "labels, much", "accuracy", AVERAGE, AT_HOME)) == "4 [2, 6]"


def test_where_looks_differ_much_fedbn_loses(ways):
    found = means(ways, "look, much", "accuracy")
    assert f"{found[AVERAGE].mean:.1f}" == "95.5"
    apart = beside(ways, "labels, much", "accuracy", STATISTICS)
    assert apart["verdict"] == "open"
    assert round(means(ways, "labels, much", "accuracy")[STATISTICS].mean) == 89
    assert f"{found[TOGETHER].mean:.1f}" == "93.8"
    assert said(beside(ways, "look, much", "accuracy", AVERAGE, ALONE)) == "12 [11, 14]"
    assert exact(beside(ways, "look, much", "accuracy", AVERAGE, LOCAL_BN)) == "1.6 [1.2, 2.1]"
    assert exact(beside(ways, "look, much", "accuracy", STATISTICS)) == "0.9 [0.4, 1.4]"


def exact(found):
    return f"{found['mean']:.1f} [{found['low']:.1f}, {found['high']:.1f}]"


def test_newcomers(ways):
    found = means(ways, "look, much", "newcomer")
    texts = [f"{found[way].mean:.0f} [{found[way].low:.0f}, {found[way].high:.0f}]" for way in (AVERAGE, STATISTICS)]
    assert texts == ["84 [75, 92]", "93 [92, 93]"]
    assert f"{found[LOCAL_BN].mean:.0f} [{found[LOCAL_BN].low:.0f}, {found[LOCAL_BN].high:.0f}]" == "89 [87, 90]"


def test_from_scratch_fedbn_helps_newcomers_as_statistics_do(ways):
    gained = [beside(ways, "look, much", "newcomer", way, start="scratch") for way in (LOCAL_BN, STATISTICS)]
    assert [f"{one['mean']:.1f} [{one['low']:.0f}, {one['high']:.0f}]" for one in gained] == [
        "5.5 [3, 8]",
        "5.9 [4, 8]",
    ]
    assert beside(ways, "look, much", "accuracy", LOCAL_BN, start="scratch")["verdict"] == "open"


def test_three_times_the_rounds_from_scratch(rows):
    longer = results("rounds_longer")
    last = longer[longer["round"] == nb08.LONGER * ROUNDS].set_index(["place", "seed"])["accuracy"]
    before = at(rows[rows["start"] == "scratch"], ROUNDS).set_index(["place", "seed"])["accuracy"]
    more = t_interval((last - before).loc["look, much"].dropna().tolist())
    assert f"{more.mean:.1f} [{more.low:.1f}, {more.high:.1f}]" == "2.8 [1.9, 3.6]"
    assert f"{last['look, much'].mean():.1f}" == "93.7"
    assert [round(value) for value in last["labels, much"]] == [97, 84, 89]
    letters = at(rows[rows["start"] == "letters"], ROUNDS).set_index(["place", "seed"])["accuracy"]
    apart = t_interval((last - letters).loc["labels, much"].dropna().tolist())
    assert apart.low < 0 < apart.high
    needed = rounds_to(longer[longer["place"] == "labels, much"])["round"]
    assert needed.tolist() == [30, 45, 48]


def test_a_smaller_rate_would_have_been_better_where_labels_differ_much(rows):
    gently = results("rounds_gently").assign(rate="small")
    chosen = rows[(rows["start"] == "letters") & (rows["place"] == "labels, much")].assign(rate="chosen")
    both = pd.concat([gently, chosen])
    early, late = (paired(at(both, count), "accuracy", "rate", "small", "chosen").loc[0] for count in (5, 20))
    assert said(early) == "22 [5, 39]"
    assert late["verdict"] == "open"
