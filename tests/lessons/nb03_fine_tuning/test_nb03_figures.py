"""Pictures of notebook 03 show what they are given, with units and in words."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

mpl.use("agg")

from tlcourse.lessons.nb03_fine_tuning import figures as pictures
from tlcourse.lessons.nb03_fine_tuning.strategies import CARRIED, STRATEGIES
from tlcourse.notebook.results import results
from tlcourse.training.lr_finder import RangeTest
from tlcourse.training.schedules import constant, cosine


@pytest.fixture(scope="module")
def shipped():
    return results("strategies")


@pytest.fixture
def drawn(shipped):
    """The picture of all strategies with one of them run in this session, and its sentence."""
    figure = plt.figure(layout="constrained")
    live = shipped[(shipped.strategy == "LP-FT") & (shipped.per_class == 5)]
    yield figure, pictures.draw_strategies(figure, shipped, live), live
    plt.close(figure)


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
    said = pictures.draw_paths(ax, torch.ones(2), {"a": path})
    assert ax.lines[0].get_xdata().tolist() == [3.0, 2.0, 0.3]
    assert ax.lines[0].get_label() == "a"
    assert said == "Paths of 2 steps towards the lowest point: a ends 0.50 away from it."


def test_schedules_are_drawn_update_by_update(ax):
    pictures.draw_schedules(ax, {"constant": constant(), "cosine": cosine(10)}, 11)
    assert list(ax.lines[0].get_ydata()) == [1.0] * 11
    assert ax.lines[1].get_ydata()[-1] == 0
    assert ax.get_xlabel() == "update"


def test_the_range_test_shows_its_lowest_point(ax):
    found = RangeTest((0.001, 0.01, 0.1), (2.0, 1.0, 5.0), (2.0, 1.0, 5.0))
    assert "from 2.00 to 1.00 at a rate of 0.01" in pictures.draw_range_test(ax, found)
    assert ax.lines[2].get_xdata()[0] == 0.01
    assert ax.get_xscale() == "log"


def test_there_is_a_panel_for_every_number_of_labels_with_the_same_rows(drawn):
    figure, _, _ = drawn
    assert [ax.get_title() for ax in figure.axes] == ["1 label per class", "5 labels per class", "20 labels per class"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(STRATEGIES)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert len(figure.legends) == 1
    rows = [round(float(y)) for y in figure.axes[0].containers[0][0].get_ydata()]
    assert set(range(len(STRATEGIES))) - set(rows) == {list(STRATEGIES).index("early stopping")}  # needs 2 labels


def test_both_measures_of_every_strategy_and_rings_for_those_of_this_session(drawn, shipped):
    figure, said, live = drawn
    five = shipped[shipped.per_class == 5].groupby("strategy", sort=False)[["target", "shifted"]].mean()
    target, shifted = (box[0].get_xdata() for box in figure.axes[1].containers)
    assert list(target) == pytest.approx(list(five.target))
    assert list(shifted) == pytest.approx(list(five.shifted))
    rings = [line.get_xdata()[0] for line in figure.axes[1].lines if line.get_markerfacecolor() == "none"]
    assert rings == pytest.approx([live.target.mean(), live.shifted.mean()])
    best = five.target.idxmax()
    assert f"5 labels per class, with intervals: {best} is highest on the target with {five.target.max():.0f} %" in said


def test_two_measures_against_each_other(ax, shipped):
    five = shipped[shipped.per_class == 5]
    said = pictures.draw_against(ax, five, "drift", "shifted")
    place, one = CARRIED.index("LP-FT"), five[five.strategy == "LP-FT"]
    small, large = ax.lines[2 * place : 2 * place + 2]
    assert list(small.get_xdata()) == list(one.drift)
    assert large.get_ydata()[0] == pytest.approx(one.shifted.mean())
    assert large.get_label() == "LP-FT"
    assert "%" in ax.get_xlabel() and "%" in ax.get_ylabel()  # noqa: PT018
    assert f"LP-FT {one.drift.mean():.0f} and {one.shifted.mean():.0f}" in said
