import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("agg")

import pandas as pd

from tlcourse.lessons.nb02_weight_transfer import figures as pictures
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import BASE, WAYS
from tlcourse.transfer.weights import MoveReport


def test_the_layer_curve_has_a_line_a_way_and_rings_for_live_runs(ax):
    rows = [(BASE, 0, seed, 90.0 + seed) for seed in range(3)]
    rows += [
        (way, depth, seed, 90.0 + seed - depth * i)
        for i, way in enumerate(WAYS)
        for depth in (1, 4)
        for seed in range(3)
    ]
    layers = pd.DataFrame(rows, columns=["way", "depth", "seed", "accuracy"])
    live = layers[(layers["seed"] == 0) & (layers["way"] == "other, frozen")]
    text = pictures.draw_layer_transfer(ax, layers, live)
    assert {"base network B", *WAYS} <= set(ax.get_legend_handles_labels()[1])
    drawn = {container.get_label(): container.lines[0] for container in ax.containers}
    assert drawn["other, frozen"].get_ydata().tolist() == [91 - 2, 91 - 8]
    assert np.round(drawn["other, frozen"].get_xdata().astype(float)).tolist() == [1, 4]
    assert any(list(line.get_ydata()) == [88, 82] for line in ax.lines)
    assert "own, frozen: +0.0, +0.0" in text
    assert "other, frozen: -2.0, -8.0" in text


def test_ways_differ_in_more_than_colour():
    looks = {(style["marker"], style["linestyle"]) for style in pictures.WAY_STYLES.values()}
    assert len(looks) == len(pictures.WAY_STYLES) == len(WAYS)


def test_filters_become_pictures_around_grey():
    weight = torch.tensor([[-2.0, 0.0, 1.0]]).reshape(1, 3, 1, 1)
    assert pictures.filters_as_images(weight).flatten().tolist() == [0, 128, 191]
    assert pictures.filters_as_images(torch.zeros(2, 1, 3, 3)).unique().tolist() == [128]
    assert pictures.filters_as_images(torch.ones(2, 1, 3, 3)).shape == (2, 3, 3, 3)


@pytest.mark.parametrize("shape", [(4, 2, 3, 3), (4, 3)])
def test_only_first_convolutions_are_pictures(shape):
    with pytest.raises(ValueError, match="only a first convolution"):
        pictures.filters_as_images(torch.zeros(shape))


def test_filters_stand_in_named_rows(ax):
    pictures.draw_filters(ax, {"before": torch.randn(4, 3, 3, 3), "after": torch.randn(4, 1, 3, 3)})
    assert len(ax.images) == 8
    assert [text.get_text() for text in ax.texts] == ["before", "after"]


def test_a_block_is_framed_where_it_was_copied(ax):
    weight = torch.zeros(4, 6, 3, 3)
    weight[0, 1] = 2.0
    pictures.draw_block(ax, weight, (2, 3))
    assert ax.images[0].get_array()[0, 1] == pytest.approx(6.0)  # the root of 9 times 2 squared
    assert ax.lines[0].get_xdata().max() == 2.5
    assert ax.lines[0].get_ydata().max() == 1.5
    assert ax.get_xlabel() == "input channel"


def test_what_moved_is_counted_by_stage_and_kind(ax):
    report = MoveReport({"stem.1.running_mean": 1.0, "head.weight": 1.0}, ("stem.0.weight", "head.bias"))
    assert pictures.moved_grid(report) == {
        ("stem", "statistics"): (1, 1),
        ("head", "weights"): (1, 2),
        ("stem", "weights"): (0, 1),
    }
    text = pictures.draw_moved(ax, {"a": report}, ["stem", "head"])
    assert [t.get_text() for t in ax.texts] == ["still", "1 of 2\nmoved", "1 of 1\nmoved", "none"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a: weights", "a: statistics"]
    assert "a: 1 weights and 1 statistics moved" in text
