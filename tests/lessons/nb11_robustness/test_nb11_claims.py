"""What notebook 11 says about its own numbers, in means over seeds; its tables are held against fresh runs."""

import pandas as pd
import pytest
from agreement import within_seeds

from tlcourse.data.worlds import load
from tlcourse.lessons.nb11_robustness import alpha, choosing, experiment, learning, stages
from tlcourse.lessons.nb11_robustness.alpha import ANEW, AVERAGED
from tlcourse.lessons.nb11_robustness.conditions import KINDS
from tlcourse.notebook.results import as_texts, paired, results

TUNED = learning.TUNED


@pytest.fixture(scope="module")
def rows():
    return results("robust")


def mean(rows, way, severity, column="accuracy"):
    return rows.loc[(rows["way"] == way) & (rows["severity"] == severity), column].mean()


def above(rows, way, severity):
    return as_texts(experiment.above(rows, [way], severity))[0]


def test_what_severities_leave_of_fine_tuning(rows):
    assert [round(mean(rows, TUNED, severity)) for severity in (0, 3, 5)] == [95, 78, 53]
    left = {kind: round(mean(rows, TUNED, 3, kind)) for kind in KINDS}
    assert left == {
        "noise": 65,
        "blur": 80,
        "contrast": 89,
        "brightness": 91,
        "JPEG": 87,
        "elastic": 65,
        "occlusion": 66,
    }
    scratch = {kind: round(mean(rows, learning.SCRATCH, 3, kind)) for kind in ("noise", "brightness")}
    assert scratch == {"noise": 66, "brightness": 24}
    dial = results("robust_dial")
    assert round(dial[(dial["way"] == TUNED) & (dial["shift"] == 1)]["accuracy"].mean()) == 39


def test_the_end_of_the_dial():
    dial = results("robust_dial")
    far = dial[dial["shift"] == 1]
    tuned = far.loc[far["way"] == TUNED, "accuracy"]
    assert [round(tuned.min()), round(tuned.max())] == [26, 47]
    assert paired(far, "accuracy", "way", TUNED, experiment.ADABN).loc[0, "verdict"] == "open"


def test_scratch_is_above_fine_tuning_under_the_worst_noise_and_blur(rows):
    worst = rows[rows["severity"] == 5]
    found = {kind: paired(worst, kind, "way", learning.SCRATCH, TUNED).loc[0] for kind in KINDS}
    above_it = {kind: round(row["mean"]) for kind, row in found.items() if row["verdict"] == "higher"}
    assert above_it == {"noise": 30, "blur": 8}


def test_two_remedies_do_nearly_all(rows):
    third = rows[rows["severity"] == 3]
    both = paired(third, "accuracy", "way", experiment.ALL, experiment.WISE_STATISTICS)
    assert as_texts(both) == ["0.4 [-2.1, 2.8] (open)"]
    assert above(rows, learning.VARIED, 0) == "-3.0 [-4.5, -1.5]"
    met = results("remedy_rates")
    met = met[(met["lr"] == learning.RATES[learning.VARIED]) & (met["place"] == choosing.STILL) & ~met["by_batch"]]
    means = met.groupby("way")["corrupted"].mean()
    assert round(means[learning.VARIED] - means[TUNED]) == 6


def test_a_fresh_training_and_the_source_agree_with_the_shipped_ones(rows):
    """One training on this machine, against those of all seeds that came with the course."""
    tuned = learning.learned(TUNED, load("handwritten-photo").few(5, 0), 0)
    third = rows[rows["severity"] == 3]
    fresh = experiment.measured(experiment.always(experiment.as_it_is(tuned)), 3)["accuracy"]
    assert within_seeds([fresh], third.loc[third["way"] == TUNED, "accuracy"])
    source = experiment.measured(experiment.always(experiment.as_it_is(learning.source_network())), 3)
    assert source["accuracy"] == pytest.approx(mean(rows, learning.SOURCE, 3), abs=0.5), "nothing is trained in it"


def test_fine_tuning_costs_no_robustness(rows):
    for way in (learning.SOURCE, learning.PROBE):
        verdicts = [experiment.above(rows, [way], severity).loc[0, "verdict"] for severity in range(6)]
        assert verdicts == ["lower"] * 6
    assert experiment.above(rows, [learning.LP_FT], 0).loc[0, "verdict"] == "open"
    assert above(rows, learning.LP_FT, 5) == "4.7 [-0.2, 9.6] (open)"


def test_what_the_remedies_add_at_severity_3(rows):
    found = {way: above(rows, way, 3) for way in THIRD}
    assert found == THIRD


THIRD = {
    "16 views": "2.0 [1.4, 2.7]",
    "LP-FT": "2.7 [1.3, 4.2]",
    "WiSE-FT": "3.1 [1.0, 5.1]",
    "WiSE-FT + batch statistics": "7.8 [5.3, 10.2]",
    "all four": "8.1 [6.8, 9.5]",
    "batch statistics": "6.0 [4.6, 7.4]",
    "ensemble of 4": "2.8 [1.6, 3.9]",
    "no augmentation": "-9.9 [-13.9, -6.0]",
    "soup of 4": "2.6 [1.4, 3.9]",
    "varied": "1.1 [-0.8, 2.9] (open)",
}


def test_all_four_cost_nothing_that_is_seen_on_clean_images(rows):
    assert above(rows, experiment.ALL, 0) == "-0.2 [-1.0, 0.5] (open)"
    noise = paired(rows[rows["severity"] == 3], "noise", "way", experiment.ALL, TUNED)
    assert as_texts(noise) == ["26.7 [21.8, 31.6]"]
    gaps = [round(mean(rows, way, 3, "gap"), 1) for way in (TUNED, experiment.ALL)]
    assert gaps == [10.2, 4.3]


def test_the_settings_were_the_best_where_they_were_chosen():
    rates = results("robust_rates").groupby(["way", "lr"])["accuracy"].mean()
    for way in set(choosing.ALONE) - {learning.VARIED}:
        assert rates[way][learning.RATES[way]] == pytest.approx(rates[way].max(), abs=0.001)  # or as good as another
    remedies = results("remedy_rates")
    clean = remedies.groupby(["way", "place", "by_batch", "lr"])["clean"].mean()
    assert clean[TUNED, choosing.MIDDLE, False].idxmax() == experiment.WISE_RATE
    assert clean[learning.VARIED, choosing.MIDDLE, True].idxmax() == learning.RATES[learning.VARIED]
    again = results("stage_rates").groupby(["part", "lr"])["accuracy"].mean()
    assert {part: again[part].idxmax() for part in stages.RATES} == stages.RATES


@pytest.fixture(scope="module")
def line():
    rows = results("line").drop(columns=["half", "source"])
    return rows.groupby(["seed", "alpha", "statistics"], as_index=False).mean()


def from_tuned(line, column, place):
    """By how much a place on the line, measured anew, is above the fine-tuned network as it was trained."""
    there = line[(line["alpha"] == place) & (line["statistics"] == ANEW)].assign(at="there")
    end = line[(line["alpha"] == 1) & (line["statistics"] == AVERAGED)].assign(at="end")
    return as_texts(paired(pd.concat([there, end]), column, "at", "there", "end"))[0]


def test_half_way_between_the_source_and_fine_tuning(line):
    assert {column: from_tuned(line, column, 0.5) for column in HALF_WAY} == HALF_WAY
    assert {column: from_tuned(line, column, 0.7) for column in FURTHER} == FURTHER
    source = line[(line["alpha"] == 0) & (line["statistics"] == AVERAGED)].groupby("seed")[list(KINDS)].mean()
    middle = line[(line["alpha"] == 0.5) & (line["statistics"] == ANEW)].groupby("seed")[list(KINDS)].mean()
    assert (middle - source > 5).all(axis=None)


HALF_WAY = {
    "JPEG": "-2.7 [-4.0, -1.4]",
    "accuracy": "-0.3 [-1.5, 0.9] (open)",
    "brightness": "-1.6 [-2.7, -0.4]",
    "clean": "-2.6 [-3.1, -2.0]",
    "contrast": "1.5 [0.2, 2.9]",
}
FURTHER = {"accuracy": "1.1 [0.3, 1.9]", "clean": "-0.4 [-1.0, 0.2] (open)"}


def test_statistics_belong_to_weights(line):
    middle = line[line["alpha"] == 0.5]
    found = {
        name: as_texts(paired(middle, name, "statistics", ANEW, AVERAGED))[0] for name in ("blur", "contrast", "JPEG")
    }
    assert found == {"blur": "4.6 [3.2, 6.0]", "contrast": "6.2 [4.1, 8.3]", "JPEG": "-1.9 [-2.2, -1.6]"}


def test_the_best_of_eleven_is_partly_luck():
    rows = results("line")
    chosen = alpha.choices(rows[rows["statistics"] == ANEW])
    pairs = ((alpha.SAME, alpha.OTHER), (alpha.OTHER, alpha.FIXED), (alpha.SAME, alpha.FIXED))
    found = [as_texts(paired(chosen, "accuracy", "chosen", *pair))[0] for pair in pairs]
    assert found == ["1.0 [0.7, 1.2]", "1.3 [0.6, 2.0]", "2.3 [1.6, 3.0]"]


def test_from_letters_half_way_is_worse():
    rows = results("other_lines")
    few = rows[(rows["source"] == alpha.LETTERS) & (rows["per_class"] == 5)]
    means = few.groupby(["seed", "alpha", "statistics"], as_index=False)[["accuracy"]].mean()
    ends = means[means["alpha"].isin([0, 1])].groupby("seed")["accuracy"].max().reset_index().assign(at="ends")
    middle = means[(means["alpha"] == 0.5) & (means["statistics"] == ANEW)].assign(at="middle")
    assert as_texts(paired(pd.concat([middle, ends]), "accuracy", "at", "middle", "ends")) == ["-9.5 [-12.7, -6.3]"]


def part(rows, change, a, b):
    return as_texts(paired(rows[rows["change"] == change], "accuracy", "part", a, b))[0]


def test_the_best_part_depends_on_the_change():
    rows = results("stages")
    means = rows.groupby(["change", "part"])["accuracy"].mean().round()
    assert part(rows, "noise", "block1", stages.EVERYTHING) == "0.6 [-0.6, 1.8] (open)"
    adds = {change: part(rows, change, "block1", stages.STATISTICS) for change in ("noise", "blur", stages.DIAL)}
    assert adds == {"noise": "1.5 [0.5, 2.5]", "blur": "1.8 [0.2, 3.4]", "dial": "6.4 [3.6, 9.2]"}
    assert part(rows, "noise", "block1", "head") == "18.3 [13.8, 22.9]"
    assert part(rows, stages.RENAMED, "head", stages.EVERYTHING) == "11.8 [4.3, 19.3]"
    assert means["noise"][[stages.NOTHING, stages.STATISTICS]].tolist() == [65, 91]
    assert means[stages.RENAMED][["head", "stem", stages.EVERYTHING]].tolist() == [94, 11, 82]
    longer = results("stages_longer").groupby(["change", "part"])["accuracy"].mean()
    for change, front, back in (("noise", "block1", "head"), (stages.RENAMED, "head", "block1")):
        assert longer[change][front] > longer[change][back] + 10
