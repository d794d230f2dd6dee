import csv

import numpy as np
import pandas as pd
import pytest

from tlcourse.evaluation.intervals import paired_difference, t_interval
from tlcourse.notebook.results import (
    LESSONS,
    as_dict,
    as_texts,
    grid,
    intervals,
    paired,
    read_results,
    results,
    save_results,
)

SHIPPED = sorted(LESSONS.glob("*/results/*.csv"))


def test_a_grid_has_every_combination_with_the_first_axis_slowest():
    frame = grid(lambda start, seed: {"accuracy": seed / 2}, progress=False, start=["b", "a"], seed=range(3))
    assert list(frame) == ["start", "seed", "accuracy"]
    assert frame.values.tolist() == [[s, k, k / 2] for s in "ba" for k in range(3)]


def test_a_trial_may_give_several_rows_or_none():
    frame = grid(lambda seed: [{"shift": s} for s in range(seed)], progress=False, seed=(2, 0, 1))
    assert frame.values.tolist() == [[2, 0], [2, 1], [1, 0]]


@pytest.mark.parametrize(("axis", "value"), [("start", "scratch"), ("seed", 1)])
def test_an_axis_is_a_list(axis, value):
    with pytest.raises(TypeError, match=f"{axis} is {value!r}, but a list was expected, such as"):
        grid(lambda **_: {}, **{axis: value})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_table_is_read_to_the_last_bit_and_written_as_it_was(path, tmp_path):
    rows = results(path.stem)
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for name in rows:
        kind = float if rows[name].dtype == float else str
        texts = [kind(line[name]) for line in lines]
        read = rows[name] if kind is float else rows[name].astype(object).fillna("nan").astype(str)
        assert np.array_equal(texts, read, equal_nan=kind is float)
    again = save_results(rows, tmp_path / "again.csv")
    pd.testing.assert_frame_equal(read_results(again), rows)
    assert again.read_bytes() == path.read_bytes()


def test_small_numbers_are_not_rounded_away(tmp_path):
    rows = pd.DataFrame({"lr": [1e-4, 0.005, 0.0, 2.5e-5], "accuracy": [88.5524, 0.1234, 0.01, 3.0]})
    written = save_results(rows, tmp_path / "a.csv").read_text().split()
    assert written == ["lr,accuracy", "0.0001,88.552", "0.005,0.123", "0.000,0.010", "2.5e-05,3.000"]


def test_answers_keep_their_zeros_and_nan_is_missing():
    assert results("dial").answers.str.len().unique() == [15]
    assert set(results("dial").source) == {"none", "letters", "digits"}
    strategies = results("strategies")
    assert strategies.drift.isna().any()
    assert strategies.drift.dtype == float


def test_an_unknown_table():
    with pytest.raises(ValueError, match=r"there is no table 'luck'\. Expected one of: .*labels_curve"):
        results("luck")


def test_intervals_are_those_of_every_group(curve):
    summary = intervals(curve.sample(frac=1, random_state=0).sort_values("per_class", ascending=False, kind="stable"))
    assert list(summary) == ["start", "per_class", "mean", "low", "high", "n"]
    for (start, per_class), found in as_dict(summary).items():
        rows = curve[(curve.start == start) & (curve.per_class == per_class)].sort_values("seed")
        assert found == t_interval(rows.accuracy.tolist())
    means = curve.groupby(["start", "per_class"]).accuracy.mean()
    assert summary.set_index(["start", "per_class"])["mean"].sort_index().to_numpy() == pytest.approx(means.to_numpy())
    assert summary.per_class.drop_duplicates().tolist() == [50, 20, 10, 5, 2, 1]
    assert set(summary.n) == {10}


def test_what_was_never_measured_stays_empty():
    rows = pd.DataFrame({"start": ["a", "a", "b", "b", "b"], "drift": [np.nan, np.nan, 1.0, 2.0, 3.0]})
    summary = intervals(rows, "drift", "start")
    assert summary.n.tolist() == [0, 3]
    assert as_texts(summary) == ["–", "2.0 [-0.5, 4.5]"]
    with pytest.raises(ValueError, match="nan"):
        intervals(rows, "drift", by=())


def test_pairs_are_compared_seed_by_seed(curve):
    gain = paired(curve.sample(frac=1, random_state=0), "accuracy", "start", "fine-tuned", "scratch", by="per_class")
    for per_class, found in as_dict(gain).items():
        tuned, scratch = (
            curve[(curve.start == start) & (curve.per_class == per_class)].sort_values("seed").accuracy.tolist()
            for start in ("fine-tuned", "scratch")
        )
        assert found == paired_difference(tuned, scratch)
    whole = paired(curve, "accuracy", "start", "fine-tuned", "scratch", pair=("per_class", "seed"))
    assert whole["mean"].item() == pytest.approx(gain["mean"].mean())
    assert whole.n.item() == 60


@pytest.mark.parametrize(
    ("differences", "verdict", "text"),
    [
        ((1.0, 2.0, 3.0), "open", "2.0 [-0.5, 4.5] (open)"),
        ((1.9, 2.0, 2.1), "higher", "2.0 [1.8, 2.2]"),
        ((-1.9, -2.0, -2.1), "lower", "-2.0 [-2.2, -1.8]"),
        ((np.nan, np.nan, np.nan), "open", "–"),
    ],
)
def test_a_difference_whose_interval_contains_0_is_open(differences, verdict, text):
    rows = pd.DataFrame(
        [{"start": "a", "seed": seed, "accuracy": 50 + gain} for seed, gain in enumerate(differences)]
        + [{"start": "b", "seed": seed, "accuracy": 50.0} for seed in range(3)]
    )
    found = paired(rows, "accuracy", "start", "a", "b")
    assert found["verdict"].tolist() == [verdict]
    assert as_texts(found) == [text]
    assert list(as_dict(paired(rows.assign(k=1), "accuracy", "start", "a", "b", by="k"))) == [1]


def test_a_pair_that_is_not_whole(curve):
    torn = curve.drop(curve[(curve.start == "scratch") & (curve.seed == 3) & (curve.per_class == 5)].index)
    with pytest.raises(ValueError, match=r"1 rows have no partner, such as \{'per_class': 5, 'seed': 3\}\. Expected"):
        paired(torn, "accuracy", "start", "fine-tuned", "scratch", by="per_class")
    with pytest.raises(ValueError, match=r"more than one row with \{'seed': 0\}"):
        paired(curve, "accuracy", "start", "fine-tuned", "scratch")


def test_names_that_do_not_exist(curve):
    with pytest.raises(ValueError, match=r"no column depth\. Expected some of: start, per_class, seed"):
        intervals(curve, by=("start", "depth"))
    with pytest.raises(ValueError, match=r"no row has 'tuned' as start\. Expected one of: 'scratch', 'linear probe'"):
        paired(curve, "accuracy", "start", "tuned", "scratch", by="per_class")


def test_a_later_grid_is_added_to_an_earlier_one():
    first = grid(lambda start: {"accuracy": 1.0}, start=["scratch"], progress=False)
    both = grid(lambda start: {"accuracy": 2.0}, start=["fine-tuned"], progress=False, add_to=first)
    assert both.start.tolist() == ["scratch", "fine-tuned"]
    assert both.accuracy.tolist() == [1.0, 2.0]
    assert len(first) == 1
