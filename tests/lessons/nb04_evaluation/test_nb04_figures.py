import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import reliability
from tlcourse.evaluation.intervals import Interval
from tlcourse.lessons.nb04_evaluation import figures
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.evaluation_figures import draw_confusion, draw_reliability
from tlcourse.notebook.results import results

CONFUSION = torch.tensor([[5, 2, 0], [0, 7, 0], [3, 0, 4]])


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


def test_reliability_in_words():
    both = {"a": torch.tensor([[3.0, 0.0]]), "b": torch.zeros(1, 2)}
    _, said = figures.reliability_figure(both, torch.tensor([1]))
    assert said.startswith("a: by 95.3 points too sure; calibration error 95.3 points. b: ")
    assert "not sure enough" in figures.reliability_figure(both, torch.tensor([0]))[1]


def test_threshold_curves_are_in_percent():
    positive, sure = torch.tensor([True, False, True, False]), torch.tensor([0.9, 0.8, 0.7, 0.1])
    figure, _ = figures.threshold_figure(positive, {"letters": sure})
    left, right = figure.axes
    assert left.lines[-1].get_ydata().tolist() == [0, 50, 50, 100, 100]
    assert sorted(set(right.lines[-1].get_xdata())) == [0, 50, 100]
    assert right.lines[0].get_ydata()[0] == 50  # guessing: the share of positives


def test_mistakes_are_shown_with_maps_that_are_brightest_where_they_matter_most():
    data, logits = load("handwritten-photo", count=2), torch.zeros(2, 10)
    wrong = (data.labels + 1) % 10
    logits[torch.arange(2), wrong] = 9.0
    figure, said = figures.maps_figure(pretrained("tiny_resnet", "digits"), logits, data, 2)
    captions = [
        f"{answer}, not {label}: 100 %" for answer, label in zip(wrong.tolist(), data.labels.tolist(), strict=True)
    ]
    assert texts(figure.axes[0]) == captions
    assert f"({'; '.join(captions)})" in said
    kinds = ("gradient saliency", "Grad-CAM", "occlusion")
    assert [ax.get_title(loc="left") for ax in figure.axes[1:]] == [f"{kind} (yellow: much)" for kind in kinds]
    spot = torch.zeros(1, 4, 4)
    spot[0, 1, 2] = 0.5
    page = figures.as_pictures(spot).sum(1)[0]
    assert page.argmax() == 6


def test_saving_points_from_few_to_many_labels():
    figure, said = figures.saving_figure(results("labels_curve"), 5, 50)
    arrow = figure.axes[0].texts[0]
    assert (arrow.xyann[0], arrow.xy[0]) == (5, 50)
    assert arrow.xyann[1] == arrow.xy[1]
    assert texts(figure.axes[0])[1] == "10.0 times the labels"
    assert said == "Fine-tuned with 5 labels per class reaches what scratch reaches with about 50."


def test_intervals_stand_below_each_other_and_their_numbers_at_the_side():
    found = {"a": Interval(1, 0, 2), "b": Interval(5, 4, 7)}
    figure, said = figures.interval_figure(found, "points", zero=True)
    (ax,) = figure.axes
    assert said == "95 % intervals of points: a 1.0 [0.0, 2.0], b 5.0 [4.0, 7.0]."
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert texts(ax) == ["1.0 [0.0, 2.0]", "5.0 [4.0, 7.0]"]
    assert all(text.xy[0] > 1 for text in ax.texts)  # beside the axes, so that no line crosses them
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top


def test_lines_with_a_level_to_compare_with():
    rows = [{"kind": kind, "seeds": n, "held": 80.0 + n} for kind in ("bootstrap", "t") for n in (3, 5)]
    figure, said = figures.line_figure(
        rows, "seeds", "held", "kind", title="?", level=(95, "as promised"), limits=(60, 100), ticks=(3, 5)
    )
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_legend().get_texts()] == ["as promised", "bootstrap", "t"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["3", "5"]
    assert ax.get_ylim() == (60, 100)
    assert "bootstrap from 83 at 3 to 85 at 5" in said


def test_paired_seeds_are_sorted_and_marked():
    shown = ([1.0, -5.0, 0.5], [False, True, False], Interval(-1.2, -3.0, 0.6))
    figure, said = figures.seeds_figure(*shown, "?")
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert list(drawn["McNemar: could be chance"]) == [0.5, 1.0]
    assert list(drawn["McNemar: p < 0.05"]) == [-5.0]
    assert "from -5.0 to +1.0 points; 2 are above 0, and 1 would count as clear alone. Mean -1.2 [-3.0, 0.6]" in said
