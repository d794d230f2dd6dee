"""What notebook 01 says about its own numbers, measured over several seeds; nothing was chosen on the test half.

Numbers in its prose come from here or from the tables that ship with the course, held against fresh runs below.
"""

import numpy as np
import pytest
from agreement import FRESH_SEEDS, within_seeds

from tlcourse.data.cleaning import find_wrong_labels, precision_recall
from tlcourse.data.defects import CHANGES, plant_defects
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb01_preprocessing import experiment, inspection, leaks, peeking, readings
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import as_dict, grid, intervals, paired, results
from tlcourse.repro import generator
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import train
from tlcourse.training.starts import starting_model

SEEDS_01 = range(5)
TRAINED = "-1..1 (as trained)"


@pytest.fixture(scope="module")
def letters_network():
    return pretrained("tiny_resnet", "letters")


@pytest.fixture(scope="module")
def inspections(letters_network):
    """Five times planted defects: set, truth, probabilities and report."""
    rows = []
    for seed in SEEDS_01:
        dirty, truth = plant_defects(load("handwritten-photo"), generator("dirt", seed))
        probabilities = inspection.out_of_sample(dirty, letters_network, seed)
        rows.append((dirty, truth, probabilities, inspection.inspect(dirty, probabilities)))
    return rows


@pytest.fixture(scope="module")
def detections(inspections):
    """Means in percent, by detector and measure."""
    measured = [inspection.measure(report, truth) for _, truth, _, report in inspections]
    keys = [(row["kind"], row["measure"]) for row in measured[0]]
    return dict(zip(keys, np.mean([[row["percent"] for row in rows] for rows in measured], 0), strict=True))


def test_exact_copies_are_all_found(detections):
    assert detections["exact duplicate", "precision"] == 100
    assert detections["exact duplicate", "recall"] == 100


def test_blank_gradients_are_missed_and_nothing_else(detections):
    assert detections["blank", "precision"] == 100
    assert detections["blank", "recall"] == pytest.approx(200 / 3)


def test_two_thirds_of_the_wrong_labels_are_found_and_half_of_the_findings_are_right(detections):
    assert detections["wrong label", "recall"] == pytest.approx(68, abs=8)
    assert detections["wrong label", "precision"] == pytest.approx(52, abs=8)


def test_the_surest_findings_are_right_more_often(inspections):
    for _, truth, _, report in inspections:
        wrong = sorted((f for f in report.findings if f.kind == "wrong label"), key=lambda f: -f.confidence)
        surest, least = ([f.which in truth.wrong for f in part] for part in (wrong[:10], wrong[-10:]))
        assert sum(surest) >= 9
        assert sum(least) <= 5


def test_a_probe_that_saw_the_labels_finds_half_as_many(inspections, letters_network):
    ratios = []
    for dirty, truth, probabilities, _ in inspections:
        in_sample = inspection.in_sample(dirty, letters_network)
        found = [[f.which for f in find_wrong_labels(p, dirty.labels)] for p in (in_sample, probabilities)]
        ratios.append([precision_recall(f, truth.wrong)[1] for f in found])
    seen, unseen = np.mean(ratios, 0)
    assert seen < 0.7 * unseen


def test_which_copies_a_thumbnail_sees(inspections):
    counts = np.zeros(len(CHANGES))
    for _, truth, _, report in inspections:
        counts += inspection.recall_by_change(report, truth)["found"]
    share = dict(zip(CHANGES, counts / 50, strict=True))
    assert share["brighter"] == share["noisy"] == share["compressed"] == 1
    assert 0.4 < share["moved by 1"] < 0.9
    assert share["moved by 4"] == share["mirrored"] == 0


def optimism(rows, pair):
    """By how many points cross-validation says more than new images, by method and split."""
    sides = ("asked", "cross-validation", "new images")
    return as_dict(paired(rows, "accuracy", *sides, by=("method", "split"), pair=pair))


@pytest.fixture(scope="module")
def copies():
    return optimism(grid(leaks.leak_by_copies, progress=False, seed=SEEDS_01), "seed")


@pytest.mark.parametrize(("method", "least"), [("nearest neighbour", 9), ("linear probe", 4)])
def test_copies_on_both_sides_make_a_score_too_high(copies, method, least):
    assert copies[method, "random folds"].mean > least
    assert copies[method, "random folds"].low > 0


@pytest.mark.parametrize("method", leaks.METHODS)
def test_folds_by_the_truth_have_no_optimism(copies, method):
    gap = copies[method, "folds by the truth"]
    assert gap.low < 1
    assert abs(gap.mean) < 4


@pytest.mark.parametrize("method", leaks.METHODS)
def test_what_the_detectors_find_prevents_most_of_the_leak(copies, method):
    random, found, truth = (copies[method, split].mean for split in leaks.SPLITS)
    assert found < random / 2
    assert found > truth


def test_sheets_leak_without_any_copies():
    sheets = optimism(grid(leaks.leak_by_sheets, progress=False, sheet=range(7)), "sheet")
    for method, least in (("nearest neighbour", 4), ("linear probe", 2)):
        assert sheets[method, "random folds"].mean > least
        assert sheets[method, "random folds"].low > 0
        assert sheets[method, "folds by sheet"].mean == pytest.approx(0, abs=2)


@pytest.fixture(scope="module")
def prices():
    return results("normalisation_price")


def price_of(prices, what, convention):
    chosen = prices[(prices["what"] == what) & (prices["convention"] == convention)]
    return chosen.sort_values("seed")["accuracy"].tolist()


def price_gap(prices, what, convention):
    return as_dict(paired(prices, "accuracy", "convention", convention, TRAINED, by="what"))[what]


@pytest.mark.parametrize("network", ["tiny_resnet", "small_cnn"])
def test_as_it_is_a_network_forgives_all_but_raw_bytes(prices, network):
    what = f"{network}, as it is"
    assert np.mean(price_of(prices, what, TRAINED)) == pytest.approx(97.5, abs=1)
    assert -1.2 < price_gap(prices, what, "0..1").mean < 0
    assert abs(price_gap(prices, what, "source statistics").mean) < 0.5
    assert -2.2 < price_gap(prices, what, "target statistics").mean < -0.5
    expected = {"tiny_resnet": -16, "small_cnn": -8}[network]
    assert price_gap(prices, what, "0..255").mean == pytest.approx(expected, abs=1.5)


def test_the_linear_probe_pays_more(prices):
    assert price_gap(prices, "linear probe", "0..255").mean == pytest.approx(-32, abs=3)
    assert price_gap(prices, "linear probe", "source statistics").mean == pytest.approx(-3.8, abs=1)
    assert price_gap(prices, "linear probe", "target statistics").mean == pytest.approx(-2.8, abs=1)
    neutral = price_gap(prices, "linear probe", "0..1")
    assert neutral.low < 0 < neutral.high


@pytest.mark.parametrize("convention", ["0..1", "0..255", "source statistics", "target statistics"])
def test_fine_tuning_pays_nothing(prices, convention):
    assert abs(price_gap(prices, "fine-tuned", convention).mean) < 1


def test_a_piece_of_the_prices_agrees(prices):
    """Without training, and with a probe trained to the end, one seed is enough: another processor only rounds."""
    for row in [*experiment.price_as_it_is(0), *experiment.price_of_probe(0)]:
        assert row["accuracy"] == pytest.approx(price_of(prices, row["what"], row["convention"])[0], abs=2)
    fresh = grid(experiment.price_of_fine_tuning, progress=False, seed=FRESH_SEEDS, convention=["0..255"])
    assert within_seeds(fresh["accuracy"].tolist(), price_of(prices, "fine-tuned", "0..255"))


def test_channel_statistics_before_the_split_hardly_matter():
    rows = grid(peeking.peek_at_channels, progress=False, seed=range(10))
    (gap,) = paired(rows, "accuracy", "statistics", peeking.BEFORE, peeking.AFTER)["mean"]
    assert abs(gap) < 1


def test_pixels_chosen_before_the_split_make_a_score_out_of_nothing():
    rows = grid(peeking.peek_at_pixels, progress=False, seed=range(10))
    before, after = as_dict(intervals(rows, by="pixels chosen")).values()
    assert before.mean == pytest.approx(66, abs=4)
    assert before.low > 55
    assert after.low < 50 < after.high


@pytest.fixture(scope="module")
def worth():
    return results("augmentation_worth")


def worth_of(worth, name, start):
    return worth[(worth["augmentation"] == name) & (worth["start"] == start)].sort_values("seed")["accuracy"].tolist()


def worth_gain(worth, name, start, than="none"):
    return as_dict(paired(worth, "accuracy", "augmentation", name, than, by="start"))[start]


def test_from_scratch_variety_is_worth_a_lot(worth):
    assert worth_gain(worth, "crop", "scratch").mean == pytest.approx(15, abs=3)
    assert worth_gain(worth, "crop + rotation + colour", "scratch").mean == pytest.approx(29, abs=4)
    varied, without = (np.mean(worth_of(worth, name, "scratch")) for name in ("crop + rotation + colour", "none"))
    assert varied / without == pytest.approx(2, abs=0.2)
    for name in ("MixUp", "CutMix", "cut-out", "rotation 15°", "colour"):
        assert worth_gain(worth, name, "scratch").low > 0


def test_fine_tuned_the_crop_is_nearly_everything(worth):
    assert worth_gain(worth, "crop", "fine-tuned").mean == pytest.approx(8, abs=1.5)
    added = worth_gain(worth, "crop + rotation + colour", "fine-tuned", than="crop")
    assert added.low < 0 < added.high


@pytest.mark.parametrize("name", ["cut-out", "MixUp", "CutMix"])
def test_what_helps_from_scratch_can_hurt(worth, name):
    gain = worth_gain(worth, name, "fine-tuned")
    assert -16 < gain.mean < -6
    assert gain.high < 0


def test_broken_labels_are_paid_for(worth):
    assert worth_gain(worth, "flip", "fine-tuned").mean == pytest.approx(-6, abs=1.5)
    assert worth_gain(worth, "rotation 180°", "fine-tuned").mean == pytest.approx(-10, abs=2)
    for name in ("flip", "rotation 180°"):
        gain = worth_gain(worth, name, "scratch")
        assert gain.low < 0 < gain.high


@pytest.mark.parametrize(("name", "start"), [("none", "scratch"), ("CutMix", "fine-tuned")])
def test_a_piece_of_the_worth_agrees(worth, name, start):
    fresh = grid(experiment.worth_trial, progress=False, seed=FRESH_SEEDS, start=[start], augmentation=[name])
    assert within_seeds(fresh["accuracy"].tolist(), worth_of(worth, name, start))


def test_a_six_upside_down_is_read_as_a_nine():
    """Shares are means over three readers."""
    digits, test = load("handwritten-photo"), load("handwritten-photo", split="test")
    sixes = test.subset(test.labels == 6)

    def read(seed):
        reader = starting_model("fine-tuned", seed)
        train(reader, digits, seed=seed)
        upright, mirrored = predict(reader, test).argmax(1), readings.read_mirrored(reader, test)
        small, half_turn = readings.read_turned(reader, sixes, [20, 180])
        right = [(upright == test.labels), (small == 6), (half_turn == 9)]
        right += [mirrored[test.labels == c] == c for c in range(10)]
        return [answers.double().mean().item() for answers in right]

    seen = np.mean(side_by_side(read, [(seed,) for seed in FRESH_SEEDS], progress=False), 0)
    upright, small, half_turn, *mirrored = seen
    assert upright > 0.95
    assert small > 0.9
    assert half_turn > 0.85
    assert min(mirrored[0], mirrored[8]) > 0.8
    assert max(mirrored[c] for c in (2, 3, 4, 5, 6, 7, 9)) < 0.3
