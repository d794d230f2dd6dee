import numpy as np
import pandas as pd
import pytest
import torch

from tlcourse.lessons.nb00_start_here import experiment
from tlcourse.lessons.nb00_start_here.experiment import (
    LABELS_PER_CLASS,
    SHIFTS,
    SHOWN,
    SOURCES,
    gain_table,
    labels_curve,
    score_table,
    shift_grid,
    shifted_trial,
    trial,
)
from tlcourse.lessons.nb00_start_here.figures import draw_seeds
from tlcourse.notebook.results import results
from tlcourse.training.recipe import Recipe
from tlcourse.training.starts import STARTS

SHORT = Recipe(epochs=1, steps=2)


@pytest.fixture
def untrained(monkeypatch):
    """Trainings that are over before they begin."""
    monkeypatch.setattr(experiment, "train", lambda *_, **__: None)


def made_up():
    rows = [("scratch", seed, 50.0 + 5 * seed, 309_114) for seed in range(3)]
    rows += [("linear probe", seed, 40.0 + 5 * seed, 1290) for seed in range(3)]
    rows += [("fine-tuned", seed, 70.0 + 5 * seed, 309_114) for seed in range(3)]
    frame = pd.DataFrame(rows, columns=["start", "seed", "accuracy", "trained"])
    return frame.assign(per_class=5, seconds=1.0 + frame.seed)


def test_a_seed_says_it_all():
    first, again, other = (trial("fine-tuned", 2, seed, recipe=SHORT)["accuracy"] for seed in (0, 0, 1))
    assert first == again != other


def test_the_curve_covers_every_start_and_says_what_could_move(untrained):
    rows = labels_curve(range(2), labels=(1, 2))
    assert rows.columns.tolist() == results("labels_curve").columns.tolist()
    assert rows[["per_class", "seed", "start"]].values.tolist() == [
        [k, s, n] for k in (1, 2) for s in (0, 1) for n in STARTS
    ]
    trained = rows.groupby("start").trained.unique()
    assert trained.to_dict() == {"scratch": [309_114], "linear probe": [1290], "fine-tuned": [309_114]}


def test_the_table_has_means_of_every_start():
    table = score_table(made_up())
    assert table.values.tolist()[0] == ["scratch", 5, "55.0 [50.0, 60.0]", 2.0, 309_114]
    assert table["weights trained"].tolist() == [309_114, 1290, 309_114]


def test_gains_are_taken_seed_by_seed():
    assert gain_table(made_up()).values.tolist() == [[5, "-10.0 [-10.0, -10.0]", "20.0 [20.0, 20.0]"]]


def test_every_seed_and_every_mean_is_drawn(ax):
    text = draw_seeds(ax, made_up())
    lines = [line.get_ydata().tolist() for line in ax.lines]
    assert lines[:3] == [[50, 40, 70], [55, 45, 75], [60, 50, 80]]  # a seed each
    assert [values for values in lines[3:] if len(values) == 3] == [[50, 55, 60], [40, 45, 50], [70, 75, 80]]
    assert [label.get_text() for label in ax.texts] == ["55 %", "45 %", "75 %"]
    assert "scratch 55.0 [50.0, 60.0] %" in text


def test_the_shipped_curve_is_whole():
    counts = results("labels_curve").groupby(["start", "per_class"]).seed.nunique()
    assert len(counts) == len(STARTS) * len(LABELS_PER_CLASS)
    assert set(counts) == {10}


def test_the_shipped_grid_of_shifts_is_whole():
    rows = results("dial")
    assert set(zip(rows.source, rows.start, strict=True)) == {
        (source, start) for source in SOURCES for start in STARTS if (source == "none") == (start == "scratch")
    }
    assert rows.answers.str.fullmatch(rf"\d{{{SHOWN}}}").all()
    counts = rows.groupby(["source", "start", "per_class", "shift"]).seed.nunique()
    assert len(counts) == 5 * len(LABELS_PER_CLASS) * len(SHIFTS)
    assert set(counts) == {5}


def test_the_grid_of_shifts_asks_each_network_once_a_shift(untrained):
    rows = shift_grid([3], labels=[2], shifts=[0.0, 1.0])
    assert rows.columns.tolist() == results("dial").columns.tolist()
    assert rows["shift"].tolist() == [0.0, 1.0] * 5


@pytest.mark.parametrize(("source", "start"), [("none", "fine-tuned"), ("letters", "scratch")])
def test_what_makes_no_sense_is_not_trained(source, start):
    assert shifted_trial(source, start, 1, 0) == []


def test_accuracy_falls_as_the_world_moves_away_and_no_random_state_moves():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    near, far = shifted_trial("digits", "linear probe", 1, 0, shifts=(0.0, 1.0))
    assert near["accuracy"] > far["accuracy"]
    assert torch.equal(torch.get_rng_state(), before)
    assert not np.isnan(far["accuracy"])
