import matplotlib as mpl
import numpy as np
import pytest
import torch

mpl.use("agg")

from tlcourse.data.cleaning import Finding
from tlcourse.data.imageset import ImageSet
from tlcourse.lessons import plots
from tlcourse.lessons.nb01_preprocessing import augmentation_worth as augmenting
from tlcourse.lessons.nb01_preprocessing import experiment as preprocessing
from tlcourse.lessons.nb01_preprocessing.experiment import Leak
from tlcourse.lessons.nb01_preprocessing.inspection import Detection
from tlcourse.notebook.rows import read_rows, shipped_table


@pytest.fixture(scope="module")
def worth():
    return read_rows(shipped_table("augmentation_worth"), augmenting.Worth)


def names(ax):
    return [tick.get_text() for tick in ax.get_yticklabels()]


def means(ax):
    """Places of all points with an interval, by the name in the legend."""
    found = {}
    for container in ax.containers:
        x, y = container.lines[0].get_data()
        found.setdefault(container.lines[0].get_color(), {})[round(float(y[0]))] = float(x[0])
    return found


def test_detections_shows_both_numbers_of_every_detector(ax):
    rows = [Detection(kind, seed, 10 * k + seed, 50 + seed) for k, kind in enumerate("abc") for seed in range(3)]
    plots.draw_detections(ax, rows)
    assert names(ax) == ["a", "b", "c"]
    precision, recall = means(ax).values()
    assert precision == {0: 1, 1: 11, 2: 21}
    assert recall == {0: 51, 1: 51, 2: 51}
    assert "%" in ax.get_xlabel()
    assert plots.describe_detections(rows).endswith("a 1 % and 51 %, b 11 % and 51 %, c 21 % and 51 %.")


def test_thresholds_are_drawn_with_the_chosen_one(ax):
    plots.draw_thresholds(ax, [1, 2, 3], [(1, 0), (0.5, 0.5), (0.25, 1)], 2, "distance")
    precision, recall, chosen = (line.get_data() for line in ax.lines)
    assert list(precision[1]) == [100, 50, 25]
    assert list(recall[1]) == [0, 50, 100]
    assert list(chosen[0]) == [2, 2]
    assert ax.get_xlabel() == "distance"
    assert "%" in ax.get_ylabel()


def test_leaks_stand_one_line_a_split(ax):
    rows = [
        Leak(split, "probe", seed, 80 + seed + 10 * (split == "random"), 80 + seed)
        for split in ("random", "by sheet")
        for seed in range(3)
    ]
    plots.draw_leaks(ax, rows)
    assert names(ax) == ["probe\nrandom", "probe\nby sheet"]
    said, true = means(ax).values()
    assert said == {0: 91, 1: 81}
    assert true == {0: 81, 1: 81}
    assert plots.describe_leaks(rows).endswith("probe with random +10 points, probe with by sheet +0 points.")


def test_prices_show_every_convention(ax):
    rows = read_rows(shipped_table("normalisation_price"), preprocessing.Price)
    whats = list(dict.fromkeys(row.what for row in rows))
    plots.draw_prices(ax, rows, whats)
    assert names(ax) == list(preprocessing.conventions())
    drawn = means(ax)
    assert len(drawn) == len(whats) == 4
    for what, points in zip(whats, drawn.values(), strict=True):
        for y, name in enumerate(preprocessing.conventions()):
            scores = [row.accuracy for row in rows if (row.what, row.convention) == (what, name)]
            assert points[y] == pytest.approx(np.mean(scores))
    assert "linear probe: -1..1 (as trained) 78 %" in plots.describe_prices(rows)


def test_worth_is_compared_with_none(ax, worth):
    live = [row for row in worth if row.seed == 0 and row.augmentation in ("none", "flip")]
    plots.draw_worth(ax, worth, live)
    assert "none" not in names(ax)
    assert names(ax) == [name for name in augmenting.NAMES if name != "none"]
    points = means(ax)[plots.COLOURS["fine-tuned"]]
    scores = {name: augmenting.worth_of(worth, name, "fine-tuned") for name in ("crop", "none", "flip")}
    assert points[0] == pytest.approx(np.mean(scores["crop"]) - np.mean(scores["none"]))
    rings = [line for line in ax.lines if line.get_markersize() == 15]
    assert len(rings) == 2
    assert min(ring.get_xdata()[0] for ring in rings) == pytest.approx(scores["flip"][0] - scores["none"][0])
    gain = plots.worth_gain(worth, "flip", "fine-tuned").mean
    assert f"{gain:+.0f}, rotation 180°" in plots.describe_worth(worth)


def test_readings_are_shares_in_percent(ax):
    plots.draw_readings(ax, [0, 90, 180], {"a": [1, 0.5, 0], "b": [0, 0.25, 1]})
    assert [list(line.get_ydata()) for line in ax.lines] == [[100, 50, 0], [0, 25, 100]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert "degrees" in ax.get_xlabel()


def test_suspects_stand_over_both_classes(ax):
    images = ImageSet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2]), ("a", "b", "c"))
    findings = [Finding("wrong label", 2, "", 1), Finding("wrong label", 0, "", 1)]
    plots.draw_suspects(ax, images, findings, torch.tensor([1, 1, 0]), {0: 2})
    assert [text.get_text() for text in ax.texts] == ["c, or a?", "a, or b?"]
    assert [text.get_color() for text in ax.texts] == [plots.WRONG, plots.RIGHT]


def test_pairs_stand_above_each_other(ax):
    above, below = (torch.full((2, 3, 8, 8), value, dtype=torch.uint8) for value in (50, 200))
    plots.draw_pairs(ax, above, below, ["x", "y"])
    page = np.asarray(ax.images[0].get_array())
    assert (page[:8, :8] == 50).all()
    assert (page[10:18, 10:18] == 200).all()
    assert [text.get_text() for text in ax.texts] == ["", "", "x", "y"]
