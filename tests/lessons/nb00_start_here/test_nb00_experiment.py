import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb00_start_here import experiment
from tlcourse.lessons.nb00_start_here.experiment import (
    labels_curve,
    shift_grid,
    shifted_trial,
    time_saved,
    times_fewer,
    updates_needed,
)
from tlcourse.lessons.nb00_start_here.figures import gallery, seeds_figure
from tlcourse.notebook.results import results
from tlcourse.training.recipe import Recipe
from tlcourse.training.starts import STARTS, starting_model

SHORT = Recipe(epochs=1, steps=2)


@pytest.fixture
def untrained(monkeypatch):
    """Trainings that are over before they begin; the recipes that they were given."""
    recipes = []

    def only_start(start, labelled, recipe, *, seed, source="letters"):
        recipes.append(recipe)
        return starting_model(start, seed, source=source)

    monkeypatch.setattr(experiment, "train_from", only_start)
    return recipes


def made_up():
    rows = [("scratch", seed, 50.0 + 5 * seed) for seed in range(3)]
    rows += [("linear probe", seed, 40.0 + 5 * seed) for seed in range(3)]
    rows += [("fine-tuned", seed, 70.0 + 5 * seed) for seed in range(3)]
    return pd.DataFrame(rows, columns=["start", "seed", "accuracy"]).assign(per_class=5)


def test_the_curve_covers_every_start_and_says_its_budget_and_what_could_move(untrained):
    rows = labels_curve(range(2), labels=(1, 2))
    assert rows.columns.tolist() == results("labels_curve").columns.tolist()
    assert rows[["per_class", "seed", "start"]].values.tolist() == [
        [k, s, n] for k in (1, 2) for s in (0, 1) for n in STARTS
    ]
    trained = rows.groupby("start").trained.unique()
    assert trained.to_dict() == {"scratch": [309_114], "linear probe": [1290], "fine-tuned": [309_114]}
    assert set(rows.updates) == {recipe.updates for recipe in untrained} == {600}
    assert rows.groupby("start").accuracy.nunique().min() > 1, "seeds give other weights"


def test_each_number_of_updates_is_a_training_of_its_own(untrained):
    rows = time_saved([0], labels=[1], updates=[10, 30])
    assert rows.columns.tolist() == results("time_saved").columns.tolist()
    assert [recipe.updates for recipe in untrained] == rows.updates.tolist() == [10, 10, 30, 30]


def test_a_curve_is_read_between_its_points_and_not_beyond_its_ends():
    curve = pd.Series([40.0, 60.0, 58.0, 80.0], index=[10, 40, 100, 200])
    assert updates_needed(curve, 60) == 40
    assert updates_needed(curve, 50) == pytest.approx(20)  # half way by the logarithm
    assert updates_needed(curve, 30) == 10
    assert updates_needed(curve, 90) == 200


def test_times_fewer_is_a_mean_of_factors():
    rows = []
    for seed, needed in enumerate((10, 40)):
        for updates in (10, 40, 160):
            rows.append(("scratch", seed, updates, 50.0 if updates == 160 else 0.0))
            rows.append(("fine-tuned", seed, updates, 49.0 if updates >= needed else 48.999))
    trials = pd.DataFrame(rows, columns=["start", "seed", "updates", "accuracy"]).assign(per_class=5)
    found = times_fewer(trials, updates=160, short_of=1.0)["5 per class"]
    share = 40 * 4 ** (49 / 50)  # where scratch comes within a point
    assert found.mean == pytest.approx(share / 20, rel=1e-3)  # 20 is the geometric mean of 10 and 40
    assert found.low * found.high == pytest.approx(found.mean**2, rel=1e-6)


def test_every_seed_and_every_mean_is_drawn():
    figure, text = seeds_figure(made_up())
    (ax,) = figure.axes
    lines = [line.get_ydata().tolist() for line in ax.lines]
    assert lines[:3] == [[50, 40, 70], [55, 45, 75], [60, 50, 80]]  # a seed each
    assert [values for values in lines[3:] if len(values) == 3] == [[50, 55, 60], [40, 45, 50], [70, 75, 80]]
    assert [label.get_text() for label in ax.texts] == ["55 %", "45 %", "75 %"]
    assert "scratch 55.0 [" in text
    plt.close(figure)


class Says(torch.nn.Module):
    """A network that gives fixed answers."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = torch.nn.Parameter(torch.eye(10)[list(answers)], requires_grad=False)

    def forward(self, images):
        return self.answers


def test_the_gallery_shows_wins_and_losses():
    test = ImageSet(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([1, 2, 3, 4]), tuple("0123456789"))
    figure, text = gallery({"scratch": Says(1, 5, 6, 0), "fine-tuned": Says(7, 2, 3, 0)}, test)
    won, lost = ([label.get_text() for label in ax.texts] for ax in figure.axes)
    assert (won, lost) == (["2, not 5", "3, not 6"], ["1, not 7"])
    assert "Of 4 test images: 2 that only fine-tuned reads; 1 that only scratch reads" in text
    plt.close(figure)


def test_the_grid_of_shifts_asks_each_network_once_a_shift(untrained):
    rows = shift_grid([3], labels=[2], shifts=[0.0, 1.0])
    assert rows.columns.tolist() == results("dial").columns.tolist()
    assert rows["shift"].tolist() == [0.0, 1.0] * 5
    assert set(rows.updates) == {100}


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
