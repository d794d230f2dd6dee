"""The pictures of notebook 01 show the numbers they are given, and say so."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

mpl.use("agg")

from tlcourse.data.cleaning import Finding
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons.nb01_preprocessing import experiment, figures
from tlcourse.notebook.figures import COLOURS, RIGHT, WRONG
from tlcourse.notebook.results import results


def names(ax):
    return [tick.get_text() for tick in ax.get_yticklabels()]


def means(ax):
    """Means of all dots, from top to bottom, by the name in the legend."""
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    return {name: [round(float(x), 1) for x in handle.lines[0].get_xdata()] for name, handle in handles.items()}


def test_detections_shows_both_numbers_of_every_detector(ax):
    rows = [
        {"kind": kind, "measure": name, "seed": seed, "percent": base + seed}
        for kind, bases in {"a": (0, 50), "b": (10, 60)}.items()
        for name, base in zip(("precision", "recall"), bases, strict=True)
        for seed in range(3)
    ]
    said = figures.draw_detections(ax, pd.DataFrame(rows))
    assert names(ax) == ["a", "b"]
    assert means(ax) == {"precision": [1, 11], "recall": [51, 61]}
    assert "%" in ax.get_xlabel()
    assert "b: precision 11.0" in said


def test_leaks_stand_one_line_a_split(ax):
    rows = [
        {"method": "probe", "split": split, "asked": asked, "seed": seed, "accuracy": base + seed}
        for split, bases in {"random": (90, 80), "by sheet": (80, 80)}.items()
        for asked, base in zip(figures.ASKED, bases, strict=True)
        for seed in range(3)
    ]
    said = figures.draw_leaks(ax, pd.DataFrame(rows))
    assert names(ax) == ["probe\nrandom", "probe\nby sheet"]
    assert means(ax) == {"cross-validation": [91, 81], "new images": [81, 81]}
    assert "probe, random: cross-validation 91.0 [90.0, 92.0], new images 81.0" in said


def test_prices_show_every_convention(ax):
    rows = results("normalisation_price")
    said = figures.draw_prices(ax, rows)
    assert names(ax) == list(experiment.conventions())
    expected = rows.groupby(["what", "convention"], sort=False)["accuracy"].mean().round(1)
    drawn = means(ax)
    assert list(drawn) == list(rows["what"].unique())
    for what, places in drawn.items():
        assert places == pytest.approx(expected[what].tolist(), abs=0.11)
    assert "linear probe 78." in said


def test_worth_is_compared_with_none(ax):
    worth = results("augmentation_worth")
    live = worth[(worth["seed"] == 0) & worth["augmentation"].isin(["none", "flip"])]
    said = figures.draw_worth(ax, worth, live)
    assert names(ax) == [name for name in experiment.NAMES if name != "none"]
    assert means(ax)["fine-tuned"][0] == pytest.approx(8, abs=1)
    score = live.set_index(["augmentation", "start"])["accuracy"]
    rings = {line.get_markeredgecolor(): line.get_xdata()[0] for line in ax.lines if line.get_markersize() == 15}
    for start in experiment.BEGINNINGS:
        assert rings[COLOURS[start]] == pytest.approx(score["flip", start] - score["none", start])
    assert "crop: scratch" in said


def test_turned_digits_are_drawn_over_the_angle(ax):
    rows = [{"case": case, "angle": angle, "percent": abs(start - angle)} for case, start in (("a", 0), ("b", 90))
            for angle in (0, 90)]  # fmt: skip
    said = figures.draw_turned(ax, pd.DataFrame(rows))
    assert [list(line.get_ydata()) for line in ax.lines] == [[0, 90], [90, 0]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert "degrees" in ax.get_xlabel()
    assert "b from 90 at 0 to 0 at 90" in said


def test_suspects_stand_over_both_classes(ax):
    images = ImageSet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2]), ("a", "b", "c"))
    findings = [Finding("wrong label", 2, "", 1), Finding("wrong label", 0, "", 1)]
    figures.draw_suspects(ax, images, findings, torch.tensor([1, 1, 0]), {0: 2})
    assert [text.get_text() for text in ax.texts] == ["c, or a?", "a, or b?"]
    assert [text.get_color() for text in ax.texts] == [WRONG, RIGHT]


def test_pairs_stand_above_each_other(ax):
    above, below = (torch.full((2, 3, 8, 8), value, dtype=torch.uint8) for value in (50, 200))
    figures.draw_pairs(ax, above, below, ["x", "y"])
    page = np.asarray(ax.images[0].get_array())
    assert (page[:8, :8] == 50).all()
    assert (page[10:18, 10:18] == 200).all()
    assert [text.get_text() for text in ax.texts] == ["", "", "x", "y"]
