"""Pictures of notebook 03 show what they are given, with units and in words."""

import pytest
import torch

from tlcourse.lessons.nb03_fine_tuning import figures as pictures
from tlcourse.lessons.nb03_fine_tuning.batchnorm import KEPT, SIZES
from tlcourse.lessons.nb03_fine_tuning.experiment import above_fine_tuned
from tlcourse.lessons.nb03_fine_tuning.strategies import CARRIED
from tlcourse.notebook.results import results
from tlcourse.training.lr_finder import RangeTest


@pytest.fixture(scope="module")
def shipped():
    return results("strategies")


def test_losses_cost_nothing_when_right_and_differ_when_wrong():
    left, right = pictures.losses()[0].axes
    entropy, squared = (line.get_ydata() for line in left.lines)
    assert entropy[-1] < 0.01
    assert entropy[0] == pytest.approx(8, abs=0.01)
    assert squared.max() <= 1
    pull, weak = (line.get_ydata() for line in right.lines)
    assert pull[0] > 0.99
    assert weak[0] < 0.01
    assert pull[40] == pytest.approx(0.5)


def test_paths_are_drawn_step_by_step():
    path = torch.tensor([[3.0, 1.0], [2.0, 0.0], [0.3, 0.4]], dtype=torch.float64)
    figure, said = pictures.valley(torch.ones(2), {"a": path})
    assert figure.axes[0].lines[0].get_xdata().tolist() == [3.0, 2.0, 0.3]
    assert said == "Paths of 2 steps towards the lowest point: a ends 0.50 away from it."


def test_schedules_are_drawn_update_by_update():
    (ax,) = pictures.schedules(20)[0].axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn["constant"] == [1.0] * 20
    assert max(drawn["one cycle"]) == 1
    assert ax.get_xlabel() == "update"


def test_the_range_test_shows_its_lowest_point():
    figure, said = pictures.range_test(RangeTest((0.001, 0.01, 0.1), (2.0, 1.0, 5.0), (2.0, 1.0, 5.0)))
    assert "from 2.00 to 1.00 at a rate of 0.01, and ends at 5.00" in said
    assert figure.axes[0].lines[2].get_xdata()[0] == 0.01


def test_the_network_is_drawn_as_it_thaws():
    figure, said = pictures.unfreezing((0, 1))
    meaning = "all but the head is carried over; what is grey is frozen, the rest learns"
    assert [ax.get_title() for ax in figure.axes] == [f"epoch {epoch}: {meaning}" for epoch in (0, 1)]
    frozen, thawing = said.split("Epoch 1: ")
    assert "block4 frozen" in frozen
    assert "block4 frozen" not in thawing
    assert "block3 frozen" in thawing


def test_groups_are_compared_with_the_largest_seed_by_seed():
    rows = results("batchnorm")
    figure, said = pictures.batchnorm(rows, rows[rows.seed < 2])
    (ax,) = figure.axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [*(f"groups of {size}" for size in SIZES[:-1]), KEPT]
    kept, largest = (rows[rows.statistics == name].accuracy.mean() for name in (KEPT, f"groups of {SIZES[-1]}"))
    assert f"{KEPT} {kept - largest:.1f}" in said
    assert "your runs" in ax.get_legend_handles_labels()[1]


def test_every_strategy_is_shown_beside_fine_tuning_with_rings_for_those_of_this_session(shipped):
    live = shipped[shipped.strategy.isin(["fine-tuned", "LP-FT"]) & (shipped.per_class == 5)]
    figure, said = pictures.strategies(shipped, live)
    assert [ax.get_title() for ax in figure.axes] == ["1 label per class", "5 labels per class", "20 labels per class"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [name for name in CARRIED if name != "fine-tuned"]
    points = (
        above_fine_tuned(shipped[shipped.per_class == 5]).groupby(["measure", "strategy"], sort=False).points.mean()
    )
    for box, measure in zip(figure.axes[1].containers, ("target", "shifted"), strict=True):
        assert list(box[0].get_xdata()) == pytest.approx([points[measure, name] for name in names])
    rings = [
        line.get_xdata()[0] for line in figure.axes[1].lines if line.get_marker() == "o" and len(line.get_xdata()) == 1
    ]
    assert rings == pytest.approx([points["target", "LP-FT"], points["shifted", "LP-FT"]])
    assert "your runs" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"LP-FT: target {points['target', 'LP-FT']:.1f}" in said


def test_the_new_task_against_the_old(shipped):
    five = shipped[shipped.per_class == 5]
    figure, said = pictures.forgetting(five)
    place, one = CARRIED.index("LP-FT"), five[five.strategy == "LP-FT"]
    small, large = figure.axes[0].lines[2 * place : 2 * place + 2]
    assert list(small.get_xdata()) == list(one.source)
    assert large.get_ydata()[0] == pytest.approx(one.target.mean())
    probe = figure.axes[0].lines[2 * CARRIED.index("linear probe") + 1]
    frozen = figure.axes[0].lines[2 * CARRIED.index("frozen backbone, AdamW") + 1]
    assert probe.get_xdata() == pytest.approx(frozen.get_xdata(), abs=1)
    assert probe.get_markersize() > frozen.get_markersize(), "the probe would lie hidden below it"
    assert probe.get_markerfacecolor() == "none"
    assert f"LP-FT {one.source.mean():.0f} and {one.target.mean():.0f}" in said
