import pandas as pd
import pytest

from tlcourse.notebook.figures import COLOURS, MARKERS, PALETTE, SHAPES, budget_of, dots, lines, styles_of
from tlcourse.notebook.results import intervals


def line_called(ax, name):
    return next(line for line in ax.lines if line.get_label() == name)


def rings(ax):
    return [line for line in ax.lines if line.get_markerfacecolor() == "none"]


def names_of_rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_lines_go_through_the_means_with_bands_around_them(ax, curve):
    text = lines(ax, curve, "per_class")
    assert line_called(ax, "scratch").get_ydata() == pytest.approx(
        curve[curve.start == "scratch"].groupby("per_class").accuracy.mean()
    )
    assert len(ax.collections) == 3
    assert line_called(ax, "fine-tuned").get_color() == COLOURS["fine-tuned"]
    assert ax.get_xlabel() == "labelled images per class"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "5", "10", "20", "50"]
    first = curve[(curve.start == "scratch") & (curve.per_class == 1)].accuracy.mean()
    assert text.startswith(
        f"Mean accuracy on the test pool (%) against labelled images per class: scratch from {first:.3g} at 1"
    )


def test_lines_of_trials_and_of_their_intervals_are_the_same(ax, curve):
    other = ax.figure.add_subplot()
    assert lines(ax, curve, "per_class") == lines(other, intervals(curve), "per_class")
    for mine, theirs in zip(ax.lines, other.lines, strict=True):
        assert mine.get_xydata().tolist() == theirs.get_xydata().tolist()


def test_lines_of_single_values_have_no_doubt(ax):
    rows = pd.DataFrame({"kind": ["a", "b", "a", "b"], "n": [2, 2, 1, 1], "share": [1.0, 2.0, 3.0, 4.0]})
    assert (
        lines(ax, rows, "n", "share", "kind")
        == "Mean share against n: a from 3 at 1 to 1 at 2; b from 4 at 1 to 2 at 2."
    )
    assert line_called(ax, "b").get_xydata().tolist() == [[1, 4], [2, 2]]


def test_runs_of_this_session_are_rings_at_their_means(ax, curve):
    live = curve[(curve.per_class == 10) & (curve.seed < 3)]
    lines(ax, curve, "per_class", live=live)
    drawn = [ring.get_xydata().tolist() for ring in rings(ax) if len(ring.get_xydata())]
    assert drawn == [[[10, pytest.approx(mean)]] for mean in live.groupby("start", sort=False).accuracy.mean()]
    assert "your runs" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_legend_names_no_rings_where_there_are_none(ax, curve):
    lines(ax, curve, "per_class", live=curve.iloc[:0])
    assert "your runs" not in [text.get_text() for text in ax.get_legend().get_texts()]


def test_dots_have_a_row_each_and_a_colour_for_each_kind(ax, curve):
    few = curve[curve.per_class <= 2]
    text = dots(ax, few, "accuracy", "per_class", "start", order=[5, 2, 1])
    assert names_of_rows(ax) == ["5", "2", "1"]
    assert ax.yaxis_inverted()
    scratch = ax.containers[0][0]
    assert scratch.get_xdata() == pytest.approx(few[few.start == "scratch"].groupby("per_class").accuracy.mean())
    assert [round(y) for y in scratch.get_ydata()] == [2, 1]
    assert f"1: scratch {few[(few.start == 'scratch') & (few.per_class == 1)].accuracy.mean():.1f} [" in text
    assert "; 2: scratch" in text


def test_dots_of_one_kind_say_their_means_and_may_show_every_seed(ax, curve):
    five = curve[curve.per_class == 5]
    text = dots(ax, five, "accuracy", "start", seeds=True, live=five[five.seed == 0])
    mean = five[five.start == "scratch"].accuracy.mean()
    assert f"{mean:.1f}" in [label.get_text() for label in ax.texts]
    assert f"scratch {mean:.1f} [" in text
    assert len(ax.collections[0].get_offsets()) == 30
    assert rings(ax)[0].get_xdata().tolist() == five[five.seed == 0].groupby("start").accuracy.mean().tolist()


def test_a_name_looks_the_same_everywhere_and_no_two_look_alike():
    drawn = styles_of(["tiny", "fine-tuned", "small"], {"small": {"linestyle": "--"}})
    assert list(drawn) == ["tiny", "fine-tuned", "small"]
    assert drawn["fine-tuned"]["color"] == COLOURS["fine-tuned"]
    assert drawn["fine-tuned"]["marker"] == MARKERS["fine-tuned"]
    assert drawn["small"]["linestyle"] == "--"
    assert len({style["color"] for style in drawn.values()}) == len({style["marker"] for style in drawn.values()}) == 3
    assert [style["color"] for style in styles_of("abcdef").values()] == list(PALETTE)
    assert [style["marker"] for style in styles_of("abcdef").values()] == list(SHAPES)


def test_a_caption_names_the_budget():
    short = {"updates": 200, "batch": 50, "lr": 0.005, "augmented": True}
    assert budget_of(pd.DataFrame([short])) == "200 updates of 50 images, rate up to 0.005, augmented"
    both = pd.DataFrame([short, short | {"updates": 600, "augmented": False}])
    assert budget_of(both) == "200 or 600 updates of 50 images, rate up to 0.005, augmented or as they are"
    with pytest.raises(ValueError, match="there is no column augmented"):
        budget_of(both.drop(columns="augmented"))
