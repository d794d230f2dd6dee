"""The judge, without a screen: every control to both ends and the middle."""

import time

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

mpl.use("agg")

from tlcourse.calibration import fit_temperature
from tlcourse.experiments.evaluating import RIVALS, three_piles
from tlcourse.labs import evaluation as lab
from tlcourse.metrics import confusion_matrix
from tlcourse.stats import Interval, t_interval


@pytest.fixture(scope="module")
def validation():
    return three_piles()[1]


@pytest.fixture(scope="module")
def scores(validation):
    draws = torch.Generator().manual_seed(0)
    told = torch.nn.functional.one_hot(validation.labels, 10)
    noise = torch.randn(2, len(validation), 10, generator=draws)
    return {"scratch": 3 * (noise[0] + told), "letters": 2 * (noise[1] + 4 * told)}


@pytest.fixture(scope="module")
def hits():
    draws = torch.Generator().manual_seed(1)
    return {"letters": torch.rand(20, 400, generator=draws) < 0.8, "digits": torch.rand(20, 400, generator=draws) < 0.9}


def test_a_cell_holds_its_images(scores, validation):
    answers = scores["scratch"].argmax(1)
    counts = confusion_matrix(validation.labels, answers, 10)
    for row, column in ((9, 7), (3, 3), (0, 5)):
        behind = lab.compute_cell(answers, validation, row, column)
        assert len(behind) == counts[row, column]
        assert (validation.labels[behind] == row).all()
        assert (answers[behind] == column).all()


@pytest.fixture
def not_drawn(monkeypatch):
    """Leave out the pixels, which take most of the time; other tests look at them."""
    monkeypatch.setattr("tlcourse.labs.lab.as_image", lambda figure, _: plt.close(figure) or "")


@pytest.mark.usefixtures("not_drawn")
def test_mistakes_follow_every_control(scores, validation):
    page = lab.MistakesLab(scores, validation)
    seen = set()
    for name in scores:
        for row in (0, 5, 9):
            for column in (0, 5, 9):
                page.names.value, page.row.value, page.column.value = name, row, column
                count = len(lab.compute_cell(scores[name].argmax(1), validation, row, column))
                assert page.text.value.startswith(f"<p>{name}: {count} images of a {row} were answered {column}")
                seen.add(page.text.value)
    assert len(seen) == 18


def test_pictures_follow_the_controls(scores, validation, hits):
    mistakes, heat, duel = (
        lab.MistakesLab(scores, validation),
        lab.TemperatureLab(scores, validation),
        lab.DuelLab(hits),
    )
    before = [page.picture.value for page in (mistakes, heat, duel)]
    mistakes.row.value, heat.temperature.value, duel.seeds.value = 3, 3.0, 20
    after = [page.picture.value for page in (mistakes, heat, duel)]
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert all('<img alt="' in picture and "base64" in picture for picture in after)


def test_the_cell_that_is_framed_is_the_one_whose_images_are_shown(scores, validation):
    page = lab.MistakesLab(scores, validation)
    page.row.value, page.column.value = 3, 3
    figure, _ = page.look()
    matrix, images = figure.axes
    assert matrix.patches[0].get_xy() == (2.5, 2.5)
    behind = lab.compute_cell(scores["scratch"].argmax(1), validation, 3, 3)
    assert (images.images[0].get_array()[:32, :32] == validation.images[behind[0]].permute(1, 2, 0).numpy()).all()
    plt.close(figure)


@pytest.mark.usefixtures("not_drawn")
def test_temperature_follows_every_control(scores, validation):
    page = lab.TemperatureLab(scores, validation)
    errors = {}
    for name in scores:
        for heat in (page.temperature.min, 2.6, page.temperature.max):
            page.names.value, page.temperature.value = name, heat
            errors[name, heat] = page.compute().error
            assert f"{name}, temperature {heat:.1f}" not in page.text.value  # that is in the picture
            assert f"calibration error {errors[name, heat]:.1f} points" in page.text.value
    assert len(set(errors.values())) == 6
    page.names.value, page.temperature.value = "scratch", 1.0
    before = page.compute().error
    page.temperature.value = round(fit_temperature(scores["scratch"], validation.labels), 1)
    assert page.compute().error < before
    assert page.compute().count.sum() == len(validation)


def test_the_duel_agrees_with_the_numbers_behind_it(hits):
    duel = lab.compute_duel(hits, seeds=20, images=400, draw=1)
    difference = 100 * (hits["letters"].double().mean(1) - hits["digits"].double().mean(1))
    assert duel.over_seeds.mean == pytest.approx(difference.mean().item())
    per_image = 100 * (hits["letters"].double() - hits["digits"].double()).mean(0)
    expected = t_interval(per_image.tolist())
    assert (duel.over_images.low, duel.over_images.high) == pytest.approx((expected.low, expected.high))
    assert duel.accuracy["digits"] == pytest.approx(100 * hits["digits"].double().mean().item())
    assert duel.widths[20] == pytest.approx(duel.over_seeds.high - duel.over_seeds.mean)
    assert duel.verdict == "digits is better"


def test_less_evidence_leaves_it_open(hits):
    duels = [lab.compute_duel(hits, 2, 50, draw) for draw in range(1, 11)]
    assert any(duel.verdict.startswith("cannot tell") for duel in duels)
    assert len({duel.over_seeds for duel in duels}) == 10
    assert lab.compute_duel(hits, 2, 50, 3) == duels[2]
    wide, narrow = lab.compute_duel(hits, 20, 50, 1).over_images, lab.compute_duel(hits, 20, 400, 1).over_images
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("seeds", "images", "verdict"),
    [
        (Interval(2, 1, 3), Interval(2, 1, 3), f"{RIVALS[0]} is better"),
        (Interval(-2, -3, -1), Interval(-2, -3, -1), f"{RIVALS[1]} is better"),
        (Interval(2, -1, 5), Interval(2, 1, 3), "cannot tell: other seeds could turn it"),
        (Interval(2, 1, 3), Interval(2, -1, 5), "cannot tell: other images could turn it"),
        (Interval(2, -1, 5), Interval(2, 0, 4), "cannot tell: other seeds and images could turn it"),
    ],
)
def test_verdicts(seeds, images, verdict):
    assert lab.give_verdict(seeds, images) == verdict


@pytest.mark.usefixtures("not_drawn")
def test_the_duel_follows_every_control(hits):
    page = lab.DuelLab(hits)
    for control, places in ((page.seeds, (2, 11, 20)), (page.images, (50, 225, 400)), (page.draw, (1, 10, 20))):
        seen = set()
        for control.value in places:
            assert f"{page.seeds.value} seeds, {page.images.value} test images" in page.text.value
            seen.add(page.text.value)
        assert len(seen) == 3, control.description


def test_computing_is_quick(hits):
    lab.compute_duel(hits, 5, 200, 1)
    begin = time.process_time()
    lab.compute_duel(hits, 5, 200, 2)
    assert time.process_time() - begin < 0.1


def test_an_error_is_shown_and_raised(hits, monkeypatch):
    page = lab.DuelLab(hits)
    monkeypatch.setattr(lab, "draw_widths", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        page.seeds.value = 7
    assert "division by zero" in page.text.value
    plt.close("all")


def test_the_judge_is_one_widget_with_named_controls(scores, validation, hits):
    widget = lab.judge(scores, validation, hits)
    assert isinstance(widget, ipywidgets.Tab)
    assert widget.titles == ("mistakes", "temperature", "is A better than B?")
    for page in widget.children:
        assert all(control.description for control in page.children[:-2])
