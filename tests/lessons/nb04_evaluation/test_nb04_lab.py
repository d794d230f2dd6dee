"""Notebook 04's lab: formulas against slower ones, and what each part says; see also tests/notebook/test_labs.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests import labs
from tlcourse.evaluation.calibration import calibration_error, fit_temperature
from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.evaluation.metrics import confusion_matrix
from tlcourse.lessons.nb04_evaluation import comparing
from tlcourse.lessons.nb04_evaluation import lab_figures as pictures
from tlcourse.lessons.nb04_evaluation.lab import (
    CalibrationLab,
    ComparisonLab,
    MistakesLab,
    evaluation_lab,
)

NAMES = ("letters", "digits")


@pytest.fixture
def validation():
    return labs.validation_logits()[1]


@pytest.fixture
def logits():
    return labs.validation_logits()[0]


@pytest.fixture
def hits():
    return labs.hits()


# what is computed


def test_a_cell_holds_its_images_the_surest_first(logits, validation):
    confidence, answers = logits["scratch"].softmax(1).max(1)
    counts = confusion_matrix(validation.labels, answers, 10)
    for row, column in ((9, 7), (3, 3), (0, 5)):
        behind = comparing.compute_cell(logits["scratch"], validation, row, column)
        assert len(behind) == counts[row, column]
        assert (validation.labels[behind] == row).all()
        assert (answers[behind] == column).all()
        assert confidence[behind].tolist() == sorted(confidence[behind].tolist(), reverse=True)


def test_mistakes_are_ranked_by_how_often_they_happen():
    confusion = torch.tensor([[5, 2, 0], [0, 7, 0], [3, 0, 4]])
    assert comparing.rank_mistakes(confusion) == [(2, 0), (0, 1)]
    assert comparing.rank_mistakes(torch.eye(3, dtype=torch.int64)) == []


def test_a_comparison_agrees_with_the_numbers_behind_it(hits):
    found = comparing.compute_comparison(hits, NAMES, seeds=20, images=300, draw=1)
    difference = 100 * (hits["letters"].double().mean(1) - hits["digits"].double().mean(1))
    assert found.over_seeds.mean == pytest.approx(difference.mean().item())
    assert sorted(found.differences) == pytest.approx(sorted(difference.tolist()))
    per_image = 100 * (hits["letters"].double() - hits["digits"].double()).mean(0)
    expected = t_interval(per_image.tolist())
    assert (found.over_images.low, found.over_images.high) == pytest.approx((expected.low, expected.high))
    assert found.accuracy[1] == pytest.approx(100 * hits["digits"].double().mean().item())
    assert found.verdict == "digits is better"
    other = comparing.compute_comparison(hits, NAMES[::-1], 20, 300, 1)
    assert other.differences == pytest.approx([-d for d in found.differences])


def test_another_draw_is_another_experiment(hits):
    found = [comparing.compute_comparison(hits, NAMES, 2, 50, draw) for draw in range(1, 11)]
    assert any(one.verdict.startswith("open") for one in found)
    assert len({one.over_seeds for one in found}) == 10
    assert comparing.compute_comparison(hits, NAMES, 2, 50, 3) == found[2]
    assert all(len(one.differences) == len(one.clear) == 2 for one in found)


@pytest.mark.parametrize(
    ("seeds", "images", "verdict", "more"),
    [
        (Interval(2, 1, 3), Interval(2, 1, 4), "letters is better", "images"),
        (Interval(-2, -3, -1), Interval(-2, -3, -1.5), "digits is better", "seeds"),
        (Interval(2, -1, 5), Interval(2, 1, 3), "open: other seeds could turn it", "seeds"),
        (Interval(2, 1, 3), Interval(2, -1, 5), "open: other images could turn it", "images"),
        (Interval(2, -1, 5), Interval(2, 0, 4), "open: other seeds and images could turn it", "seeds"),
    ],
)
def test_verdicts(seeds, images, verdict, more):
    found = comparing.Comparison(NAMES, (0.0, 0.0), (), (), seeds, images)
    assert (found.verdict, found.would_help) == (verdict, more)
    assert "the same" in replace(found, names=("letters", "letters")).verdict


def test_many_experiments_agree_with_comparisons_one_by_one(hits):
    """Drawn with replacement in place of without, from two networks that are hard to tell apart with few seeds."""
    found = [comparing.compute_comparison(hits, NAMES, 2, 50, draw).verdict for draw in range(200)]
    shares = comparing.Experiments(hits).verdicts(*NAMES, 50)[2]
    for says, share in zip(("letters is", "open", "digits is"), shares, strict=True):
        assert 100 * np.mean([verdict.startswith(says) for verdict in found]) == pytest.approx(share, abs=9)


def test_more_evidence_decides_more(hits):
    found = comparing.Experiments(hits)
    assert found.seeds == [2, 3, 4, 5, 7, 10, 15, 20]
    assert found.images == [25, 50, 100, 200, 300]  # the last is all there is
    few, many = found.verdicts(*NAMES, 25), found.verdicts(*NAMES, 300)
    assert few[2][1] > few[20][1] > many[20][1]


# mistakes


@pytest.fixture(scope="module")
def mistakes_lab():
    lab = MistakesLab(*labs.validation_logits())
    yield lab
    lab.close()


@pytest.fixture
def mistakes(mistakes_lab):
    with mistakes_lab.at_once():
        mistakes_lab.network, mistakes_lab.true, mistakes_lab.said = "scratch", 3, 3
    return mistakes_lab


def framed(lab):
    return [
        (r, c) for r, row in enumerate(lab.matrix.cells) for c, b in enumerate(row) if b.layout is lab.matrix.framed
    ]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (5, 9), (9, 5)])
def test_mistakes_say_what_is_in_the_cell(mistakes, logits, validation, row, column):
    with mistakes.at_once():
        mistakes.true, mistakes.said = row, column
    count = len(comparing.compute_cell(logits["scratch"], validation, row, column))
    assert f"{count} of {int((validation.labels == row).sum())} images of a {row} " in mistakes.sentence.value
    assert f"were answered {column}" in mistakes.sentence.value


def test_next_mistake_walks_from_the_most_frequent_to_the_rarest_and_begins_again(mistakes, monkeypatch):
    ranked, seen = comparing.rank_mistakes(mistakes.confusions["scratch"]), []
    monkeypatch.setattr(mistakes, "look", lambda **_: 1 / 0)
    monkeypatch.setattr(mistakes, "_draw", lambda: seen.append((mistakes.true, mistakes.said)))
    for _ in range(len(ranked) + 1):
        mistakes.further()
    assert seen == [*ranked, ranked[0]]  # and drawn once each


def test_a_click_on_a_cell_shows_its_images_and_moves_both_lists(mistakes, validation, logits):
    mistakes.matrix.cells[5][9].click()
    assert (mistakes.true, mistakes.said) == (5, 9)
    assert framed(mistakes) == [(5, 9)]
    (images,) = mistakes.look("scratch", 3, 3)[0].axes
    behind = comparing.compute_cell(logits["scratch"], validation, 3, 3)
    assert (images.images[0].get_array()[:32, :32] == validation.images[behind[0]].permute(1, 2, 0).numpy()).all()


def test_the_cells_hold_the_confusion_matrix_and_mistakes_are_shaded_by_how_often(mistakes):
    confusion = mistakes.confusions["scratch"]
    for row, cells in enumerate(mistakes.matrix.cells):
        for column, button in enumerate(cells):
            count = int(confusion[row, column])
            assert button.description == (str(count) if count else "")
            assert (mistakes.matrix.shades.index(button.style) > 0) == (count > 0 and row != column)
    row, column = comparing.rank_mistakes(confusion)[0]
    assert mistakes.matrix.cells[row][column].style is mistakes.matrix.shades[-1]


def test_without_mistakes_there_is_no_next(validation):
    told = {"all right": torch.nn.functional.one_hot(validation.labels, 10).float()}
    assert MistakesLab(told, validation).controls["further"].disabled
    assert CalibrationLab(told, validation).image == 1


def test_an_empty_cell_says_so(ax, validation):
    pictures.draw_behind(ax, validation, torch.zeros(0, dtype=torch.int64), [], right=False)
    assert "no image in this cell" in [text.get_text() for text in ax.texts]


# calibration and comparison


def test_the_temperature_changes_sureness_and_no_answer(logits, validation):
    lab = CalibrationLab(logits, validation)
    assert "wrong: it is a" in lab.sentence.value  # it begins with the surest mistake
    errors = lab.errors("scratch", 10)
    assert errors[1.0] == pytest.approx(calibration_error(logits["scratch"], validation.labels))
    best, said = fit_temperature(logits["scratch"], validation.labels), set()
    for heat in (0.2, 1.0, 5.0):
        lab.temperature = heat
        assert f"calibration error {errors[heat]:.1f} points" in lab.sentence.value
        assert f"temperature {best:.2f}" in lab.sentence.value
        said.add(lab.sentence.value.split("is answered ")[1][0])
    assert len(said) == 1


def test_a_comparison_says_who_wins_and_how_often_that_would_be_seen(hits):
    lab = ComparisonLab(comparing.Experiments(hits))
    lab.seeds, lab.b = 20, "scratch"
    assert "Verdict: letters is better" in lab.sentence.value
    assert "100 would say letters, 0 would say scratch" in lab.sentence.value
    assert "more images would help most" in lab.sentence.value or "more seeds would" in lab.sentence.value
    assert lab.controls["draw"].disabled  # with everything there is one experiment only
    lab.images = 25
    assert not lab.controls["draw"].disabled
    lab.b = "letters"
    assert "A and B are the same" in lab.sentence.value


def test_all_three_are_there(logits, validation, hits):
    tabs = evaluation_lab(logits, validation, hits)
    assert list(tabs.made) == ["mistakes"]  # the others when they are looked at
    assert isinstance(tabs.lab("temperature"), CalibrationLab)
    assert tabs.lab("is A better than B?").networks == list(hits)
    assert tabs.close()
