"""The dial: it shows what was measured, follows every control, and swallows nothing."""

import ipywidgets
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.lessons.nb00_start_here import dial as dialling
from tlcourse.lessons.nb00_start_here import lab as start_here
from tlcourse.lessons.nb00_start_here.dial import SHIFTS, SHOWN, read_dial
from tlcourse.notebook.figures import COLOURS
from tlcourse.training.trials import LABELS_PER_CLASS, STARTS


@pytest.fixture(scope="module")
def rows():
    return read_dial()


@pytest.fixture(scope="module")
def summary(rows):
    return dialling.dial_summary(rows)


@pytest.fixture(scope="module")
def lab(rows):
    return start_here.DialLab(rows)


def reading(rows, summary, source="letters", per_class=5, shift=0.3, shown="fine-tuned"):
    return start_here.compute_reading(rows, summary, source, per_class, shift, shown)


def test_the_grid_is_whole(rows):
    ways = {(row.source, row.start) for row in rows}
    assert ways == {("none", "scratch")} | {(s, w) for s in dialling.SOURCES for w in STARTS[1:]}
    seeds = {row.seed for row in rows}
    assert len(seeds) >= 3
    assert len(rows) == len(ways) * len(seeds) * len(LABELS_PER_CLASS) * len(SHIFTS)
    assert all(len(row.answers) == SHOWN and row.answers.isdigit() for row in rows)


def test_a_reading_is_what_was_measured(rows, summary):
    seen = reading(rows, summary)
    mine = [r for r in rows if (r.source, r.start, r.per_class, r.shift) == ("letters", "fine-tuned", 5, 0.3)]
    assert seen.accuracy("fine-tuned").mean == pytest.approx(sum(r.accuracy for r in mine) / len(mine))
    assert "".join(map(str, seen.answers.tolist())) == next(r.answers for r in mine if r.seed == 0)
    assert seen.starts() == list(STARTS)
    assert reading(rows, summary, source="digits").accuracy("scratch") == seen.accuracy("scratch")


def test_without_a_source_only_scratch_is_left(rows, summary):
    seen = reading(rows, summary, source="none", shown="linear probe")
    assert seen.starts() == ["scratch"]
    assert seen.shown == "scratch"
    assert "nothing to transfer" in start_here.describe_reading(seen)


def test_the_sentence_says_what_transfer_adds_or_takes(rows, summary):
    few = start_here.describe_reading(reading(rows, summary, per_class=5, shift=0.0))
    assert "adds" in few
    assert "5 labels per class, shift 0.0: scratch" in few
    assert "1 label per class" in start_here.describe_reading(reading(rows, summary, per_class=1))


def test_answers_are_marked_right_or_wrong(ax, rows, summary):
    seen = reading(rows, summary)
    start_here.draw_answers(ax, seen)
    labels = load("handwritten-photo", split="test", count=SHOWN, shift=0.3).labels.tolist()
    pairs = zip(seen.answers.tolist(), labels, strict=True)
    assert [text.get_text() for text in ax.texts] == [f"{a} ✓" if a == b else f"{a} ✗ is {b}" for a, b in pairs]


@pytest.mark.parametrize(("draw", "here"), [(start_here.draw_over_shift, 0.3), (start_here.draw_over_labels, 5)])
def test_curves_show_the_measured_means_and_where_one_stands(ax, rows, summary, draw, here):
    seen = reading(rows, summary)
    draw(ax, seen)
    by_colour = {line.get_color(): line for line in ax.lines}
    for start in STARTS:
        line = by_colour[COLOURS[start]]
        at = list(line.get_xdata()).index(here)
        assert line.get_ydata()[at] == pytest.approx(seen.accuracy(start).mean)
    assert any(list(line.get_xdata()) == [here, here] for line in ax.lines)


def test_every_control_at_both_ends_and_in_the_middle_changes_what_is_seen(lab):
    for control, values in (
        (lab.dial, (0.0, 0.5, 1.0)),
        (lab.labels, (1, 10, 50)),
        (lab.source, ("letters", "digits", "none")),
    ):
        before, seen = control.value, set()
        for value in values:
            control.value = value
            assert "alt=" in lab.picture.value
            seen.add((lab.text.value, lab.picture.value))
        assert len(seen) == 3, control.description
        control.value = before
    pictures = set()
    for name in STARTS:
        lab.names.value = name
        pictures.add(lab.picture.value)
    assert len(pictures) == 3


def test_what_makes_no_sense_is_switched_off(lab):
    lab.source.value = "none"
    assert lab.names.disabled
    lab.source.value = "letters"
    assert not lab.names.disabled


def test_an_error_in_the_lab_is_not_swallowed(rows, monkeypatch):
    lab = start_here.DialLab(rows)
    monkeypatch.setattr(start_here, "draw_over_shift", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lab.dial.value = 0.3
    assert "division by zero" in lab.text.value


def test_the_lab_is_one_widget_whose_controls_have_names():
    widget = start_here.dial()
    assert isinstance(widget, ipywidgets.Widget)
    controls = [*widget.children[0].children, *widget.children[1:3]]
    assert all(control.description for control in controls)


@pytest.mark.parametrize(("start", "source"), [("scratch", "none"), ("linear probe", "digits")])
def test_turning_the_dial_asks_one_network_at_every_shift(start, source):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    rows = dialling.turn_dial(source, start, 1, 0, shifts=(0.0, 1.0))
    assert [row.shift for row in rows] == [0.0, 1.0]
    if start == "linear probe":  # of the other, a single run says little
        assert rows[0].accuracy > rows[1].accuracy
    assert torch.equal(torch.get_rng_state(), before)
