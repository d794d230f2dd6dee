import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

mpl.use("agg")

from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import reliability
from tlcourse.evaluation.intervals import Interval
from tlcourse.evaluation.metrics import pr_curve, roc_curve
from tlcourse.evaluation.transfer_measures import LabelCount
from tlcourse.lessons.nb04_evaluation import figures
from tlcourse.notebook.evaluation_figures import draw_confusion, draw_reliability
from tlcourse.notebook.results import results
from tlcourse.training.checkpoint import History

CONFUSION = torch.tensor([[5, 2, 0], [0, 7, 0], [3, 0, 4]])


@pytest.fixture
def two_axes():
    figure, axes = plt.subplots(1, 2)
    yield axes
    plt.close(figure)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_confusion_writes_every_count_but_zero_and_shades_mistakes(ax):
    said = draw_confusion(ax, CONFUSION, "abc")
    assert said == "Confusion matrix of 21 images. Most frequent: c read as a (3 times), a read as b (2 times)."
    assert sorted(texts(ax)) == ["2", "3", "4", "5", "7"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "right class")
    shades = ax.images[0].get_array()
    assert shades.mask.tolist() == [[True, False, True], [True, True, True], [False, True, True]]
    assert "no mistake" in draw_confusion(ax, torch.eye(3, dtype=torch.int64), "abc")


def test_reliability_draws_accuracy_and_the_gap(ax):
    logits = torch.tensor([[3.0, 0.0]] * 12 + [[0.2, 0.0]] * 3)
    labels = torch.tensor([0] * 6 + [1] * 6 + [0] * 3)
    bins = reliability(logits, labels)
    draw_reliability(ax, bins)
    heights = [round(bar.get_height()) for bar in ax.patches]
    assert heights == [100, 45, 50, 45]  # 3 right with 55 %: gap 45; half right with 95 %: gap 45
    assert texts(ax) == ["3", "12"]
    assert ax.patches[0].get_alpha() < ax.patches[2].get_alpha()  # few images are pale
    assert f"{bins.error:.1f}" in ax.get_title()


def test_reliability_in_words(ax):
    hot = reliability(torch.tensor([[3.0, 0.0]]), torch.tensor([1]))
    assert draw_reliability(ax, hot, "a") == "a: by 95.3 points too sure; calibration error 95.3 points."
    shy = reliability(torch.zeros(1, 2), torch.tensor([0]))
    assert "not sure enough" in draw_reliability(ax, shy)


def test_threshold_curves_are_in_percent(two_axes):
    positive, sure = torch.tensor([True, False, True, False]), torch.tensor([0.9, 0.8, 0.7, 0.1])
    left, right = two_axes
    figures.draw_thresholds(two_axes, {"letters": roc_curve(positive, sure)}, {"letters": pr_curve(positive, sure)})
    assert left.lines[-1].get_ydata().tolist() == [0, 50, 50, 100, 100]
    assert right.lines[-1].get_xdata().tolist() == [0, 50, 50, 100, 100]
    assert "%" in left.get_xlabel()
    assert "%" in right.get_ylabel()


def test_maps_are_brightest_where_they_matter_most(two_axes):
    data, logits, maps = load("handwritten-photo", count=2), torch.zeros(2, 10), torch.zeros(2, 32, 32)
    logits[:, 7] = 9.0
    maps[0, 4, 4] = maps[1, 20, 9] = 0.5
    captions = [f"7, not {label}: 100 %" for label in data.labels.tolist()]
    assert f"({'; '.join(captions)})" in figures.draw_maps(two_axes, data, logits, {"kind": maps})
    page = two_axes[1].images[0].get_array().astype(int).sum(2)
    assert page[4, 4] > page[5, 5]
    assert page[20, 34 + 9] > page[4, 34 + 4]
    assert texts(two_axes[0]) == captions
    assert two_axes[1].get_title(loc="left") == "kind"


def test_progress_marks_the_goal(ax):
    histories = {"scratch": History([], [], [], [10.0, 40.0]), "letters": History([], [], [], [60.0, 90.0])}
    said = figures.draw_progress(ax, histories, goal=40.0)
    assert ax.lines[1].get_ydata().tolist() == [60.0, 90.0]
    assert texts(ax) == ["goal: 40 %"]
    assert said.endswith("in the end: scratch 40 %, letters 90 %.")


def test_saving_points_from_few_to_many_labels(ax):
    said = figures.draw_saving(ax, results("labels_curve"), 5, LabelCount(50), 88.0)
    arrow = ax.texts[0]
    assert (arrow.xyann, arrow.xy) == ((5, 88.0), (50, 88.0))
    assert texts(ax)[1] == "10 times the labels"
    assert said == "Fine-tuned with 5 labels per class reaches what scratch reaches with about 50."


def test_intervals_stand_below_each_other(ax):
    found = {"a": Interval(1, 0, 2), "b": Interval(5, 4, 7)}
    said = figures.draw_intervals(ax, found, "points", zero=True)
    assert said == "95 % intervals of points: a 1.0 [0.0, 2.0], b 5.0 [4.0, 7.0]."
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert texts(ax) == ["1.0 [0.0, 2.0]", "5.0 [4.0, 7.0]"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    assert ax.get_xlim()[1] > 7


def test_coverage_and_power_draw_their_lines(two_axes):
    left, right = two_axes
    said = figures.draw_coverage(left, {"bootstrap": {3: 70.0, 5: 83.0}, "t": {3: 95.0, 5: 94.0}})
    assert [line.get_ydata()[-1] for line in left.lines] == [95, 83.0, 94.0]
    assert "bootstrap from 70.0 at 3 to 83.0 at 5; t from" in said
    figures.draw_power(right, {"calm": {2: 10.0, 3: 90.0}})
    assert right.lines[1].get_xdata().tolist() == [2, 3]
    assert right.get_ylabel().endswith("(%)")


def test_paired_seeds_are_sorted_and_marked(ax):
    said = figures.draw_paired_seeds(ax, [1.0, -5.0, 0.5], [False, True, False], Interval(-1.2, -3.0, 0.6))
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(drawn["McNemar: could be chance"]) == [0.5, 1.0]
    assert list(drawn["McNemar: p < 0.05"]) == [-5.0]
    assert "from -5.0 to +1.0 points; 2 are above 0, and 1 would count as clear alone. Mean -1.2 [-3.0, 0.6]" in said


def test_optimism_shows_winners_before_and_after(ax):
    said = figures.draw_optimism(ax, {"real": {50: 5.0, 400: 1.0}}, {50: 0.1, 400: 0.0})
    assert [list(line.get_ydata()) for line in ax.lines[:2]] == [[5.0, 1.0], [0.1, 0.0]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["50", "400"]
    assert "real from 5.0 at 50 to 1.0 at 400; winner on untouched images from 0.1 at 50" in said


def test_networks_can_be_told_apart_without_colour():
    styles = figures.STYLES.values()
    assert len({style["marker"] for style in styles}) == 3
    levels = [np.dot(mpl.colors.to_rgb(style["color"]), (0.2126, 0.7152, 0.0722)) for style in styles]
    assert len(set(levels)) == 3
