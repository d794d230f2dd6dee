"""The pictures of notebook 01 show the numbers they are given, and say so; nothing is told by colour alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from tlcourse.data.cleaning import Finding
from tlcourse.data.defects import Planted
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.lessons.nb01_preprocessing import experiment, figures
from tlcourse.lessons.nb01_preprocessing.inspection import Inspected
from tlcourse.notebook.figures import COLOURS, RIGHT, WRONG
from tlcourse.notebook.results import results


def dots_in(ax):
    """Means of all dots, from top to bottom, and their colours, by the name in the legend."""
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    dots = {name: handle.lines[0] for name, handle in handles.items() if hasattr(handle, "lines")}
    return {
        name: (np.asarray(line.get_xdata(), float).round(1).tolist(), line.get_color()) for name, line in dots.items()
    }


def test_prices_show_every_convention_and_starts_in_their_colours():
    rows = results("normalisation_price")
    figure, said = figures.draw_prices(rows)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list(experiment.conventions())
    drawn = {name: dots for ax in figure.axes for name, dots in dots_in(ax).items()}
    assert len(drawn) == 5
    for start in ("linear probe", "fine-tuned"):
        assert drawn[start][1] == COLOURS[start]
    assert not {COLOURS["scratch"], COLOURS["linear probe"]} & {
        dots_in(figure.axes[0])[n][1] for n in dots_in(figure.axes[0])
    }
    short = rows[(rows["what"] == "fine-tuned") & (rows["updates"] == 100)]
    expected = short.groupby("convention", sort=False)["accuracy"].mean()
    assert drawn["fine-tuned"][0] == pytest.approx(expected.tolist(), abs=0.11)
    assert f"fine-tuned {expected.iloc[0]:.1f}" in said


def test_worth_is_compared_with_none_at_every_budget():
    worth = results("augmentation_worth")
    live = worth[(worth["seed"] == 0) & (worth["updates"] == 100) & worth["augmentation"].isin(["none", "flip"])]
    figure, said = figures.draw_worth(worth, live)
    for ax, (updates, gains) in zip(figure.axes, experiment.gains(worth).groupby("updates"), strict=True):
        assert ax.get_title().startswith(f"{updates} updates of 50 images")
        expected = gains[gains["start"] == "scratch"].groupby("augmentation", sort=False)["gain"].mean()
        xs = [np.asarray(line.get_xdata(), float) for line in ax.lines if line.get_color() == COLOURS["scratch"]]
        assert any(x.tolist() == pytest.approx(expected.tolist()) for x in xs)
    assert "300 updates: Mean points" in said
    legends = [{text.get_text() for text in ax.get_legend().get_texts()} for ax in figure.axes]
    assert ["run here, one seed" in names for names in legends] == [True, False], "a ring only where one is drawn"


def test_suspects_stand_over_both_classes_with_a_sign():
    images = ImageSet(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 2]), tuple("012"))
    findings = (Finding("wrong label", 2, "", 1), Finding("wrong label", 0, "", 0.5))
    found = Inspected(findings, 3, images, torch.eye(3)[[1, 1, 0]])
    figure, said = figures.draw_suspects(found, Planted({}, {}, {}, (), {0: 2}))
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts[:2]] == ["✗ 2, or 0?", "✓ 0, or 1?"]
    assert [text.get_color() for text in ax.texts[:2]] == [WRONG, RIGHT]
    assert "1 of the ten surest" in said


def test_copies_across_are_drawn_above_their_partners():
    train, test = (load("handwritten-photo", split=split, count=120) for split in ("train", "test"))
    figure, said = figures.draw_copies_across(train, test)
    captions = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert len(captions) == 10
    assert set(captions) <= {"✓ planted", "✗ false alarm"}
    assert f"{captions.count('✓ planted')} were planted" in said
    assert "exact copies: precision 100%, recall 100%" in figure.axes[0].get_title()


def test_sizes_show_the_window_and_the_squashed_whole():
    photo = Image.fromarray(np.arange(60 * 40 * 3, dtype=np.uint8).reshape(40, 60, 3))
    figure, _ = figures.draw_sizes(photo, photo, (10, 0, 50, 40))
    shown = [ax.images[0].get_array().shape[:2] for ax in figure.axes]
    assert shown == [(40, 60), (40, 40), (40, 40)]
