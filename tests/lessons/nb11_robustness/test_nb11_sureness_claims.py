"""What notebook 11 says of sureness, strange inputs, promises, attacks and backgrounds, in means over seeds.

Its tables are held against fresh runs.
"""

import pandas as pd
import pytest
from agreement import within_seeds

from tlcourse.evaluation.intervals import t_interval
from tlcourse.evaluation.predict import accuracy
from tlcourse.evaluation.strange import auroc
from tlcourse.lessons.nb11_robustness import attacks, selective_answers, spurious, strange_inputs, sureness
from tlcourse.lessons.nb11_robustness.conditions import SHIFT, pool_under
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, LP_FT, PROBE, labelled, network
from tlcourse.notebook.results import as_texts, intervals, paired, results

BUDGET = {"updates": 600, "batch": 50, "lr": 0.005, "augmented": True}


def said(rows, value, by):
    """Means with intervals, by the values of the columns, as tables show them."""
    found = intervals(rows, value, by)
    keys = found[by] if isinstance(by, str) else found[list(by)].itertuples(index=False, name=None)
    return dict(zip(keys, as_texts(found), strict=True))


def gain(rows, value, of, a, b, by=()):
    """By how much a value is higher with `a` than with `b`, as tables show it."""
    found = paired(rows, value, of, a, b, by)
    return dict(zip(found[by], as_texts(found), strict=True)) if by else as_texts(found)[0]


@pytest.fixture(scope="module")
def sure():
    return results("sureness")


@pytest.fixture(scope="module")
def strange():
    return results("strange_inputs")


@pytest.fixture(scope="module")
def laid():
    return results("spurious")


@pytest.fixture(scope="module")
def attacked():
    return results("attacks")


@pytest.fixture(scope="module")
def promised():
    return results("selective_answers")


def test_every_network_had_the_same_budget(sure, strange, laid, attacked, promised):
    assert all(
        rows[list(BUDGET)].drop_duplicates().to_dict("records") == [BUDGET]
        for rows in (sure, strange, laid, attacked, promised)
    )


def test_sureness_along_the_dial(sure):
    dial = sure[sure["kind"] == SHIFT]
    tuned = dial[dial["way"] == FINE_TUNED]
    last = dial[dial["level"] == 1]
    assert said(tuned, "error", "level") == {
        0.0: "0.9 [0.6, 1.1]",
        0.25: "1.1 [0.8, 1.4]",
        0.5: "2.0 [1.5, 2.6]",
        0.75: "8.9 [5.0, 12.7]",
        1.0: "58.3 [38.5, 78.2]",
    }
    assert said(tuned, "accuracy", "level") == {
        0.0: "98.6 [98.1, 99.0]",
        0.25: "98.2 [98.0, 98.4]",
        0.5: "95.6 [94.3, 96.9]",
        0.75: "70.1 [62.9, 77.2]",
        1.0: "15.4 [10.8, 20.0]",
    }
    assert tuned.groupby("level")["chance"].mean().round(1).to_dict() == {
        0.0: 0.7,
        0.25: 0.8,
        0.5: 1.4,
        0.75: 3.5,
        1.0: 3.5,
    }
    assert said(last, "error", "way") == {
        "fine-tuned": "58.3 [38.5, 78.2]",
        "LP-FT": "49.7 [34.9, 64.5]",
        "AdaBN on the test pool": "16.2 [15.1, 17.3]",
        "ensemble of 5": "48.2 [39.2, 57.3]",
    }
    assert said(last, "accuracy", "way") == {
        "fine-tuned": "15.4 [10.8, 20.0]",
        "LP-FT": "18.7 [13.4, 24.0]",
        "AdaBN on the test pool": "72.6 [71.1, 74.2]",
        "ensemble of 5": "13.5 [10.7, 16.3]",
    }
    assert said(last[last["way"] == FINE_TUNED], "clean", "way") == {"fine-tuned": "50.8 [31.0, 70.7]"}
    assert said(last[last["way"] == FINE_TUNED], "corrupted", "way") == {"fine-tuned": "37.3 [20.6, 53.9]"}
    assert gain(dial, "error", "way", sureness.STATISTICS, FINE_TUNED, "level") == {
        0.0: "-0.1 [-0.2, 0.1] (open)",
        0.25: "-0.1 [-0.3, 0.1] (open)",
        0.5: "-0.1 [-0.5, 0.3] (open)",
        0.75: "-3.8 [-8.0, 0.4] (open)",
        1.0: "-42.1 [-61.8, -22.4]",
    }
    assert gain(dial, "error", "way", sureness.ENSEMBLE, FINE_TUNED, "level") == {
        0.0: "0.1 [-0.1, 0.3] (open)",
        0.25: "-0.2 [-0.6, 0.1] (open)",
        0.5: "0.3 [-0.2, 0.8] (open)",
        0.75: "-0.9 [-7.4, 5.6] (open)",
        1.0: "-10.1 [-27.3, 7.0] (open)",
    }
    assert gain(dial, "error", "way", LP_FT, FINE_TUNED, "level") == {
        0.0: "-0.1 [-0.4, 0.3] (open)",
        0.25: "-0.1 [-0.5, 0.4] (open)",
        0.5: "0.4 [-0.6, 1.5] (open)",
        0.75: "-1.3 [-7.0, 4.5] (open)",
        1.0: "-8.7 [-33.7, 16.4] (open)",
    }


def over_corruptions(rows):
    """The mean over all corruptions of what was measured, a row for each way and seed."""
    some = rows[rows["kind"] != SHIFT]
    return some.groupby(["way", "seed"], sort=False)[["accuracy", *sureness.ERRORS, "chance"]].mean().reset_index()


def test_sureness_under_corruptions(sure):
    mean = over_corruptions(sure)
    long = mean.melt(["way", "seed"], list(sureness.ERRORS), "temperature", "points")
    tuned = long[long["way"] == FINE_TUNED]
    assert said(mean, "error", "way") == {
        "fine-tuned": "6.3 [5.2, 7.4]",
        "LP-FT": "6.5 [6.0, 7.0]",
        "AdaBN on the test pool": "4.5 [4.0, 5.0]",
        "ensemble of 5": "4.4 [3.6, 5.1]",
    }
    assert said(mean, "accuracy", "way") == {
        "fine-tuned": "85.8 [84.2, 87.3]",
        "LP-FT": "86.2 [84.6, 87.8]",
        "AdaBN on the test pool": "92.0 [91.4, 92.7]",
        "ensemble of 5": "89.3 [88.8, 89.7]",
    }
    assert said(mean, "chance", "way") == {
        "fine-tuned": "2.1 [2.0, 2.2]",
        "LP-FT": "2.1 [1.9, 2.2]",
        "AdaBN on the test pool": "1.4 [1.3, 1.4]",
        "ensemble of 5": "2.5 [2.5, 2.6]",
    }
    assert gain(tuned, "points", "temperature", "clean", "error") == "-1.4 [-2.4, -0.3]"
    assert gain(tuned, "points", "temperature", "corrupted", "error") == "-0.2 [-1.5, 1.2] (open)"
    assert {way: gain(mean, "error", "way", way, FINE_TUNED) for way in sureness.WAYS if way != FINE_TUNED} == {
        "LP-FT": "0.2 [-0.7, 1.2] (open)",
        "AdaBN on the test pool": "-1.8 [-2.6, -1.0]",
        "ensemble of 5": "-1.9 [-3.5, -0.3]",
    }


def test_one_corrupted_temperature_does_not_fit_all_kinds(sure):
    tuned = sure[(sure["way"] == FINE_TUNED) & (sure["kind"] != SHIFT)]
    long = tuned.melt(["kind", "seed"], list(sureness.ERRORS), "temperature", "points")
    assert gain(long, "points", "temperature", "corrupted", "error", "kind") == {
        "noise": "1.8 [-2.2, 5.8] (open)",
        "blur": "-3.1 [-6.4, 0.3] (open)",
        "contrast": "9.5 [4.8, 14.2]",
        "brightness": "3.8 [2.5, 5.1]",
        "JPEG": "1.2 [-0.1, 2.4] (open)",
        "elastic": "-8.1 [-10.9, -5.2]",
        "occlusion": "-6.3 [-8.5, -4.1]",
    }
    assert gain(long, "points", "temperature", "clean", "error", "kind") == {
        "noise": "-1.2 [-2.2, -0.2]",
        "blur": "-2.5 [-4.3, -0.7]",
        "contrast": "1.7 [-2.0, 5.4] (open)",
        "brightness": "-0.1 [-2.0, 1.8] (open)",
        "JPEG": "-0.6 [-1.1, 0.0]",
        "elastic": "-3.4 [-5.4, -1.4]",
        "occlusion": "-3.5 [-5.4, -1.6]",
    }


def test_what_halves_the_calibration_error(sure):
    mean = over_corruptions(sure).set_index("seed")
    tuned = mean.loc[mean["way"] == FINE_TUNED, "error"]
    over = {}
    for way in sureness.WAYS:
        for error in sureness.ERRORS:
            half = mean.loc[mean["way"] == way, error] - tuned / 2
            over[way, error] = str(t_interval(half.tolist()))
    last = sure[(sure["kind"] == SHIFT) & (sure["level"] == 1)].set_index("seed")
    least = last.loc[last["way"] == sureness.STATISTICS, "error"] - last.loc[last["way"] == FINE_TUNED, "error"] / 2
    assert over == {
        ("fine-tuned", "error"): "3.1 [2.6, 3.7]",
        ("fine-tuned", "clean"): "1.8 [1.2, 2.4]",
        ("fine-tuned", "corrupted"): "3.0 [2.0, 3.9]",
        ("LP-FT", "error"): "3.4 [2.8, 3.9]",
        ("LP-FT", "clean"): "2.1 [1.1, 3.1]",
        ("LP-FT", "corrupted"): "4.2 [3.3, 5.1]",
        ("AdaBN on the test pool", "error"): "1.4 [1.0, 1.7]",
        ("AdaBN on the test pool", "clean"): "0.5 [0.1, 0.9]",
        ("AdaBN on the test pool", "corrupted"): "1.3 [0.7, 1.9]",
        ("ensemble of 5", "error"): "1.2 [0.1, 2.4]",
        ("ensemble of 5", "clean"): "1.1 [0.1, 2.1]",
        ("ensemble of 5", "corrupted"): "3.9 [3.0, 4.8]",
    }
    assert str(t_interval(least.tolist())) == "-12.9 [-22.7, -3.1]"


def test_which_score_tells_strange_images(strange):
    tuned, probe = (strange[strange["start"] == start] for start in (FINE_TUNED, PROBE))
    assert said(probe[probe["strange"] == "letters"], "auroc", "score") == {
        "unsureness": "57.4 [55.7, 59.1]",
        "energy": "35.7 [34.0, 37.3]",
        "class distance": "99.7 [99.7, 99.7]",
        "neighbour distance": "97.2 [97.0, 97.4]",
    }
    assert said(tuned[tuned["strange"] == "letters"], "auroc", "score") == {
        "unsureness": "95.3 [94.2, 96.4]",
        "energy": "96.2 [95.0, 97.5]",
        "class distance": "97.4 [97.0, 97.7]",
        "neighbour distance": "96.7 [96.2, 97.2]",
        "unsureness of five": "96.8 [96.5, 97.1]",
    }
    assert said(tuned[tuned["strange"] == "letters"], "missed", "score") == {
        "unsureness": "27.4 [20.9, 33.8]",
        "energy": "19.6 [14.3, 24.9]",
        "class distance": "16.4 [13.0, 19.9]",
        "neighbour distance": "20.0 [17.2, 22.9]",
        "unsureness of five": "18.9 [13.8, 23.9]",
    }
    assert said(tuned[tuned["score"] == "unsureness"], "auroc", "strange") == {
        "letters": "95.3 [94.2, 96.4]",
        "letters of the source": "96.0 [95.3, 96.7]",
        "blank patches": "98.5 [97.2, 99.8]",
        "noise": "98.1 [96.7, 99.4]",
    }
    assert gain(tuned, "auroc", "score", "energy", "unsureness", "strange") == {
        "letters": "0.9 [0.6, 1.3]",
        "letters of the source": "1.1 [0.8, 1.4]",
        "blank patches": "1.0 [0.2, 1.9]",
        "noise": "1.0 [0.6, 1.4]",
    }
    assert gain(tuned, "auroc", "score", "class distance", "unsureness", "strange") == {
        "letters": "2.1 [0.9, 3.2]",
        "letters of the source": "1.5 [0.7, 2.2]",
        "blank patches": "-0.5 [-1.7, 0.8] (open)",
        "noise": "0.7 [-0.3, 1.8] (open)",
    }
    assert gain(tuned, "auroc", "score", strange_inputs.OF_FIVE, "unsureness", "strange") == {
        "letters": "1.5 [0.7, 2.3]",
        "letters of the source": "1.7 [1.1, 2.3]",
        "blank patches": "0.8 [-0.6, 2.1] (open)",
        "noise": "1.3 [0.3, 2.3]",
    }
    assert gain(tuned, "auroc", "score", "class distance", "energy", "strange") == {
        "letters": "1.1 [-0.1, 2.4] (open)",
        "letters of the source": "0.4 [-0.3, 1.0] (open)",
        "blank patches": "-1.5 [-3.3, 0.3] (open)",
        "noise": "-0.2 [-1.2, 0.7] (open)",
    }
    assert said(strange[strange["score"] == "unsureness"], "confidence", ["start", "strange"]) == {
        ("linear probe", "letters"): "74.1 [72.6, 75.5]",
        ("linear probe", "letters of the source"): "72.1 [70.8, 73.4]",
        ("linear probe", "blank patches"): "78.2 [75.3, 81.2]",
        ("linear probe", "noise"): "53.4 [50.2, 56.7]",
        ("fine-tuned", "letters"): "77.4 [75.8, 79.0]",
        ("fine-tuned", "letters of the source"): "76.0 [74.6, 77.3]",
        ("fine-tuned", "blank patches"): "67.3 [48.3, 86.2]",
        ("fine-tuned", "noise"): "68.1 [58.7, 77.5]",
    }


def test_what_a_background_gives_away(laid):
    short = laid[laid["way"].isin([FINE_TUNED, PROBE])]
    tuned, most = laid[laid["way"] == FINE_TUNED], laid[laid["share"] == 0.9]
    assert said(tuned, "right_scene", "share") == {
        1.0: "98.9 [98.1, 99.7]",
        0.9: "98.6 [98.2, 99.0]",
        0.5: "98.3 [97.9, 98.8]",
    }
    assert said(tuned, "swapped", "share") == {
        1.0: "59.3 [54.7, 63.9]",
        0.9: "92.9 [91.3, 94.5]",
        0.5: "97.5 [96.6, 98.5]",
    }
    assert said(laid[laid["way"] == PROBE], "swapped", "share") == {
        1.0: "79.5 [77.8, 81.1]",
        0.9: "84.3 [83.3, 85.3]",
        0.5: "90.7 [89.3, 92.0]",
    }
    assert said(tuned, "across", "share") == {1.0: "40.4 [35.9, 44.9]", 0.9: "6.5 [5.0, 7.9]", 0.5: "2.0 [1.0, 3.1]"}
    assert gain(short, "swapped", "way", FINE_TUNED, PROBE, "share") == {
        1.0: "-20.2 [-24.1, -16.2]",
        0.9: "8.6 [7.4, 9.7]",
        0.5: "6.8 [5.8, 7.9]",
    }
    assert gain(tuned, "swapped", "share", 0.5, 0.9) == "4.6 [3.4, 5.9]"
    assert gain(tuned, "right_scene", "share", 0.5, 1.0) == "-0.6 [-1.8, 0.7] (open)"
    assert gain(most, "swapped", "way", spurious.REPEATED, FINE_TUNED) == "1.8 [0.6, 2.9]"
    assert gain(most, "swapped", "way", spurious.NEW_HEAD, FINE_TUNED) == "-0.4 [-1.8, 1.0] (open)"


def test_what_an_attack_does_and_what_transfers(attacked):
    own = attacked[attacked["made_on"] == attacks.ITSELF]
    pgd = attacked[(attacked["method"] == attacks.PGD) & (attacked["levels"] > 0)]
    assert said(own[own["method"] == attacks.NOISE], "accuracy", "levels") == {
        0: "98.4 [98.0, 98.8]",
        1: "98.4 [98.0, 98.8]",
        2: "98.5 [98.0, 98.9]",
        4: "98.5 [98.0, 99.0]",
        8: "98.3 [97.7, 99.0]",
    }
    assert said(own[own["method"] == attacks.FGSM], "accuracy", "levels") == {
        0: "98.4 [98.0, 98.8]",
        1: "96.2 [95.5, 97.0]",
        2: "92.1 [90.9, 93.4]",
        4: "82.4 [80.7, 84.1]",
        8: "56.3 [54.3, 58.3]",
    }
    assert said(own[own["method"] == attacks.PGD], "accuracy", "levels") == {
        0: "98.4 [98.0, 98.8]",
        1: "96.0 [95.0, 96.9]",
        2: "91.0 [88.9, 93.2]",
        4: "72.4 [69.0, 75.8]",
        8: "12.0 [7.1, 17.0]",
    }
    assert said(pgd[pgd["levels"] == 8], "accuracy", "made_on") == {
        "itself": "12.0 [7.1, 17.0]",
        "another fine-tuned network": "76.0 [70.8, 81.2]",
        "the source, with a probe": "95.0 [93.7, 96.4]",
        "from scratch": "97.1 [96.8, 97.5]",
    }
    assert gain(pgd, "accuracy", "made_on", attacks.SOURCE, attacks.STRANGER, "levels") == {
        1: "0.0 [-0.2, 0.2] (open)",
        2: "-0.2 [-0.6, 0.1] (open)",
        4: "-0.6 [-1.0, -0.3]",
        8: "-2.1 [-3.3, -0.9]",
    }
    assert gain(pgd, "accuracy", "made_on", attacks.RELATIVE, attacks.SOURCE, "levels") == {
        1: "-0.6 [-0.8, -0.3]",
        2: "-1.4 [-2.0, -0.8]",
        4: "-4.2 [-5.4, -3.0]",
        8: "-19.0 [-23.5, -14.5]",
    }


def test_what_may_be_promised(promised):
    tuned = promised[promised["start"] == FINE_TUNED].assign(broken=lambda r: r["right"] < r["promise"])
    plain = tuned[(tuned["kind"] == SHIFT) & (tuned["level"] == 0)]
    kinds = ["promise", "rule", "kind", "level"]
    assert said(plain, "answered", ["promise", "rule"]) == {
        (90.0, "proven bound"): "76.3 [64.0, 88.6]",
        (90.0, "accuracy seen"): "93.4 [86.3, 100.5]",
        (95.0, "proven bound"): "53.0 [24.5, 81.5]",
        (95.0, "accuracy seen"): "82.2 [72.7, 91.7]",
    }
    assert said(
        promised[(promised["start"] == PROBE) & (promised["kind"] == SHIFT) & (promised["level"] == 0)],
        "answered",
        ["promise", "rule"],
    ) == {
        (90.0, "proven bound"): "7.5 [-4.9, 19.9]",
        (90.0, "accuracy seen"): "51.3 [41.3, 61.4]",
        (95.0, "proven bound"): "0.0 [0.0, 0.0]",
        (95.0, "accuracy seen"): "34.6 [23.5, 45.7]",
    }
    assert tuned[tuned["rule"] == selective_answers.PROVEN].groupby(kinds[:1] + kinds[2:], sort=False)[
        "broken"
    ].sum().to_dict() == {
        (90.0, "shift", 0.0): 0,
        (90.0, "shift", 0.25): 0,
        (90.0, "shift", 0.5): 0,
        (90.0, "shift", 0.75): 2,
        (90.0, "noise", 3.0): 2,
        (90.0, "blur", 3.0): 1,
        (90.0, "contrast", 3.0): 1,
        (95.0, "shift", 0.0): 0,
        (95.0, "shift", 0.25): 0,
        (95.0, "shift", 0.5): 0,
        (95.0, "shift", 0.75): 2,
        (95.0, "noise", 3.0): 1,
        (95.0, "blur", 3.0): 1,
        (95.0, "contrast", 3.0): 1,
    }
    assert tuned[tuned["rule"] == selective_answers.SEEN].groupby(kinds[:1] + kinds[2:], sort=False)[
        "broken"
    ].sum().to_dict() == {
        (90.0, "shift", 0.0): 0,
        (90.0, "shift", 0.25): 1,
        (90.0, "shift", 0.5): 4,
        (90.0, "shift", 0.75): 6,
        (90.0, "noise", 3.0): 6,
        (90.0, "blur", 3.0): 6,
        (90.0, "contrast", 3.0): 5,
        (95.0, "shift", 0.0): 1,
        (95.0, "shift", 0.25): 0,
        (95.0, "shift", 0.5): 3,
        (95.0, "shift", 0.75): 6,
        (95.0, "noise", 3.0): 5,
        (95.0, "blur", 3.0): 4,
        (95.0, "contrast", 3.0): 4,
    }


def test_probes_give_the_shipped_rows_again(strange, promised):
    """Nothing is trained in them, so that seed 0 can be compared row by row, but for rounding."""
    fresh = pd.DataFrame(strange_inputs.trial(PROBE, 0))
    shipped = strange[(strange["start"] == PROBE) & (strange["seed"] == 0)]
    assert fresh["score"].tolist() == shipped["score"].tolist()
    assert fresh["auroc"].to_numpy() == pytest.approx(shipped["auroc"].to_numpy(), abs=1)
    fresh = pd.DataFrame(selective_answers.trial(PROBE, 90.0, 0))
    shipped = promised[(promised["start"] == PROBE) & (promised["promise"] == 90) & (promised["seed"] == 0)]
    assert fresh["answered"].to_numpy() == pytest.approx(shipped["answered"].to_numpy(), abs=3)


def test_a_fresh_training_agrees_with_the_shipped_ones(strange, attacked):
    """One whole training on this machine, against those of all seeds that came with the course."""
    model, data = network(FINE_TUNED, 0), pool_under()
    images = [strange_inputs.strange_images("letters"), data]
    odd, usual = (strange_inputs.scores(model, labelled(0), each)["class distance"] for each in images)
    shipped = strange[(strange["start"] == FINE_TUNED) & (strange["strange"] == "letters")]
    assert within_seeds([auroc(odd, usual)], shipped.loc[shipped["score"] == "class distance", "auroc"])
    reached = accuracy(model, attacks.attacked(model, data, attacks.FGSM, 4))
    own = attacked[(attacked["method"] == attacks.FGSM) & (attacked["levels"] == 4)]
    assert within_seeds([reached], own["accuracy"])
