import numpy as np
import pandas as pd
import pytest
import torch

from tlcourse.lessons.nb02_weight_transfer import figures as pictures
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import BASE, LONG, SHORT, WAYS
from tlcourse.transfer.weights import MoveReport


def test_the_layer_curve_has_a_line_a_way_and_the_gap_beside_a_longer_seed_and_a_ring_for_live_runs():
    rows = []
    for recipe, seeds, gap in ((SHORT, range(3), 3.0), (LONG, range(1), 1.0)):
        rows += [(recipe.updates, BASE, 0, seed, 90.0 + seed) for seed in seeds]
        for way in WAYS:
            lost = gap if way.startswith("other") else 0.0
            rows += [
                (recipe.updates, way, depth, seed, 90.0 + seed - lost * depth) for depth in (1, 5) for seed in seeds
            ]
    layers = pd.DataFrame(rows, columns=["updates", "way", "depth", "seed", "accuracy"])
    layers = layers.assign(**SHORT.budget | {"updates": layers["updates"]})
    live = layers[(layers["updates"] == 150) & (layers["seed"] == 0) & (layers["depth"] == 5)]
    figure, text = pictures.figure_of_layers(layers, live)
    left, middle, right = figure.axes
    for ax, how in ((left, "frozen"), (middle, "fine-tuned")):
        shown = {"base network B", *(way for way in WAYS if way.endswith(how))}
        assert set(ax.get_legend_handles_labels()[1]) == shown
    drawn = {container.get_label(): container.lines[0] for ax in figure.axes for container in ax.containers}
    assert drawn["other, frozen"].get_ydata().tolist() == [91 - 3, 91 - 15]
    assert drawn["450 updates, two seeds"].get_ydata().tolist() == [-1, -5]
    assert drawn["150 updates, 3 seeds"].get_ydata().tolist() == [-3, -15]
    assert any(list(line.get_ydata()) == [-15] for line in right.lines), "the ring"
    assert "other, frozen from 88 at 1 to 76 at 5" in text
    assert "1: -3.0 [-3.0, -3.0], 5: -15.0 [-15.0, -15.0], two seeds with 450 updates, 1: -1.0" in text


def test_ways_differ_in_more_than_colour():
    looks = {(style["marker"], style["linestyle"]) for style in pictures.WAY_STYLES.values()}
    assert len(looks) == len(pictures.WAY_STYLES) == len(WAYS)


def test_filters_become_pictures_around_grey():
    weight = torch.tensor([[-2.0, 0.0, 1.0]]).reshape(1, 3, 1, 1)
    assert pictures.filters_as_images(weight).flatten().tolist() == [0, 128, 191]
    assert pictures.filters_as_images(torch.zeros(2, 1, 3, 3)).unique().tolist() == [128]
    assert pictures.filters_as_images(torch.ones(2, 1, 3, 3)).shape == (2, 3, 3, 3)
    for shape in ((4, 2, 3, 3), (4, 3)):
        with pytest.raises(ValueError, match="only a first convolution"):
            pictures.filters_as_images(torch.zeros(shape))


def test_what_moved_is_counted_by_stage_and_kind():
    report = MoveReport({"stem.1.running_mean": 1.0, "head.weight": 1.0}, ("stem.0.weight", "head.bias"))
    assert pictures.moved_grid(report) == {
        ("stem", "statistics"): (1, 1),
        ("head", "weights"): (1, 2),
        ("stem", "weights"): (0, 1),
    }
    figure, text = pictures.figure_of_moves({"a": report}, ["stem", "head"])
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.texts] == ["still", "1 of 2\nmoved", "1 of 1\nmoved", "has none"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a: weights", "a: statistics"]
    assert np.isclose(ax.get_ylim()[0], 2)
    assert "a: 1 weights and 1 statistics moved" in text
