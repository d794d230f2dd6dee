"""The lab of notebook 00 shows what was measured; tests/notebook/test_labs.py moves its controls."""

import pytest

from tlcourse.data.worlds import load
from tlcourse.lessons.nb00_start_here import lab as start_here
from tlcourse.lessons.nb00_start_here.experiment import SHOWN
from tlcourse.notebook.figures import COLOURS
from tlcourse.notebook.results import as_texts, paired, results
from tlcourse.training.starts import STARTS


@pytest.fixture(scope="module")
def rows():
    return results("dial")


@pytest.fixture(scope="module")
def measured(rows):
    return start_here.Measured(rows)


def reading(measured, source="letters", per_class=5, shift=0.4, start="fine-tuned"):
    return measured.reading(source, per_class, shift, start)


def test_a_reading_is_what_was_measured(rows, measured):
    seen = reading(measured)
    mine = rows.query("source == 'letters' and start == 'fine-tuned' and per_class == 5 and shift == 0.4")
    assert seen.accuracy("fine-tuned").mean == pytest.approx(mine.accuracy.mean())
    assert "".join(map(str, seen.answers.tolist())) == mine[mine.seed == 0].answers.item()
    assert seen.starts() == list(STARTS)
    assert reading(measured, source="digits").accuracy("scratch") == seen.accuracy("scratch")


def test_without_a_source_only_scratch_is_left(measured):
    seen = reading(measured, source="none", start="linear probe")
    assert seen.starts() == ["scratch"]
    assert seen.start == "scratch"
    assert "nothing to transfer" in start_here.describe_reading(seen)


def test_the_sentence_says_what_transfer_adds_and_where_that_is_open(rows, measured):
    seen = reading(measured, per_class=5, shift=0.0)
    few = start_here.describe_reading(seen)
    assert "5 labels per class, shift 0.0: scratch" in few
    assert "1 label per class" in start_here.describe_reading(reading(measured, per_class=1))
    here = rows.query("per_class == 5 and shift == 0 and source != 'digits'")
    (gain,) = as_texts(paired(here, "accuracy", "start", "fine-tuned", "scratch"))
    assert f"fine-tuned {gain}" in few
    scattered = rows.assign(accuracy=rows.accuracy.where(rows.start == "scratch", 100.0 * (rows.seed == 0)))
    assert "(open)" in start_here.describe_reading(reading(start_here.Measured(scattered)))


def test_the_lab_names_the_budget(measured):
    assert measured.budget == "100 updates of 50 images, rate up to 0.005, augmented"


def test_answers_are_marked_right_or_wrong(ax, measured):
    seen = reading(measured)
    start_here.draw_answers(ax, seen)
    labels = load("handwritten-photo", split="test", count=SHOWN, shift=0.4).labels.tolist()
    pairs = zip(seen.answers.tolist(), labels, strict=True)
    assert [text.get_text() for text in ax.texts] == [f"{a} ✓" if a == b else f"{a} ✗ is {b}" for a, b in pairs]


@pytest.mark.parametrize(("draw", "here"), [(start_here.draw_over_shift, 0.4), (start_here.draw_over_labels, 5)])
def test_curves_show_the_measured_means_and_where_one_stands(ax, measured, draw, here):
    seen = reading(measured)
    draw(ax, seen)
    by_colour = {line.get_color(): line for line in ax.lines}
    for start in STARTS:
        line = by_colour[COLOURS[start]]
        at = list(line.get_xdata()).index(here)
        assert line.get_ydata()[at] == pytest.approx(seen.accuracy(start).mean)
    assert any(list(line.get_xdata()) == [here, here] for line in ax.lines)


def test_without_a_source_there_is_one_start_to_show(measured):
    lab = start_here.ShiftLab(measured)
    lab.source = "none"
    assert lab.controls["start"].disabled
    lab.source = "letters"
    assert not lab.controls["start"].disabled
