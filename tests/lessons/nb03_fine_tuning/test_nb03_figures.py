"""Pictures of notebook 03 show what they are given, with units and in words."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

mpl.use("agg")

from tlcourse.lessons.nb03_fine_tuning import figures as pictures
from tlcourse.lessons.nb03_fine_tuning.experiment import read_outcomes, summary, values
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
from tlcourse.training.lr_finder import RangeTest
from tlcourse.training.schedules import constant, cosine


@pytest.fixture(scope="module")
def shipped():
    return read_outcomes()


def test_losses_cost_nothing_when_right_and_differ_when_wrong():
    figure, (left, right) = plt.subplots(1, 2)
    pictures.draw_losses(left, right)
    entropy, squared = (line.get_ydata() for line in left.lines)
    assert entropy[-1] < 0.01
    assert entropy[0] == pytest.approx(8, abs=0.01)
    assert squared.max() <= 1
    pull, weak = (line.get_ydata() for line in right.lines)
    assert pull[0] > 0.99
    assert weak[0] < 0.01
    assert pull[40] == pytest.approx(0.5)
    assert left.get_xlabel() and right.get_ylabel()  # noqa: PT018
    plt.close(figure)


def test_paths_are_drawn_step_by_step(ax):
    path = torch.tensor([[3.0, 1.0], [2.0, 0.0], [0.3, 0.4]], dtype=torch.float64)
    pictures.draw_paths(ax, lambda theta: (theta**2).sum(-1), {"a": path})
    assert ax.lines[0].get_xdata().tolist() == [3.0, 2.0, 0.3]
    assert ax.lines[0].get_label() == "a"
    assert pictures.describe_paths({"a": path}) == (
        "Paths of 2 steps towards the lowest point: a ends 0.50 away from it."
    )


def test_schedules_are_drawn_update_by_update(ax):
    pictures.draw_schedules(ax, {"constant": constant(), "cosine": cosine(10)}, 11)
    assert list(ax.lines[0].get_ydata()) == [1.0] * 11
    assert ax.lines[1].get_ydata()[-1] == 0
    assert ax.get_xlabel() == "update"


def test_the_range_test_shows_its_lowest_point(ax):
    found = RangeTest((0.001, 0.01, 0.1), (2.0, 1.0, 5.0), (2.0, 1.0, 5.0))
    pictures.draw_range_test(ax, found)
    assert ax.lines[2].get_xdata()[0] == 0.01
    assert ax.get_xscale() == "log"
    assert "from 2.00 to 1.00 at a rate of 0.01" in pictures.describe_range_test(found)


def test_strategies_show_both_measures_of_every_row(ax, shipped):
    live = [o for o in shipped if o.strategy == "LP-FT" and o.per_class == 5]
    pictures.draw_strategies(ax, shipped, 5, live)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == list(STRATEGIES)
    target, shifted = (box[0].get_xdata() for box in ax.containers)
    assert target == pytest.approx([interval.mean for interval in summary(shipped, 5).values()])
    assert shifted == pytest.approx([interval.mean for interval in summary(shipped, 5, "shifted").values()])
    rings = [line for line in ax.lines if line.get_markersize() == 13]
    assert [ring.get_xdata()[0] for ring in rings] == pytest.approx(
        [np.mean(values(live, "LP-FT", 5)), np.mean(values(live, "LP-FT", 5, "shifted"))]
    )


def test_the_table_has_a_panel_for_every_number_of_labels(shipped):
    figure = plt.figure(layout="constrained")
    pictures.draw_table(figure, shipped)
    assert [ax.get_title() for ax in figure.axes] == ["1 label per class", "5 labels per class", "20 labels per class"]
    for ax in figure.axes:  # the same strategy in the same row everywhere
        assert ax.get_ylim() == (len(STRATEGIES) - 0.5, -0.5)
    assert len(figure.legends) == 1
    plt.close(figure)


def test_a_strategy_that_cannot_work_leaves_its_row_empty(ax, shipped):
    pictures.draw_strategies(ax, shipped, 1, order=list(STRATEGIES))
    rows = [round(float(y)) for y in ax.containers[0][0].get_ydata()]
    assert list(STRATEGIES).index("early stopping") not in rows
    assert len(rows) == len(STRATEGIES) - 1


def test_strategies_in_words(shipped):
    text = pictures.describe_strategies(shipped, 5)
    best = max(summary(shipped, 5).items(), key=lambda pair: pair[1].mean)
    assert f"{best[0]} is highest on the target with {best[1].mean:.0f} %" in text


def test_two_measures_against_each_other(ax, shipped):
    pictures.draw_against(ax, shipped, 5, "drift", "shifted", ["LP-FT", "fine-tuned"])
    small, large = ax.lines[:2]
    assert small.get_xdata().tolist() == values(shipped, "LP-FT", 5, "drift")
    assert large.get_ydata()[0] == pytest.approx(np.mean(values(shipped, "LP-FT", 5, "shifted")))
    assert "%" in ax.get_xlabel() and "%" in ax.get_ylabel()  # noqa: PT018
    words = pictures.describe_against(shipped, 5, "drift", "shifted", ["LP-FT"])
    assert f"LP-FT {np.mean(values(shipped, 'LP-FT', 5, 'drift')):.0f} and" in words
