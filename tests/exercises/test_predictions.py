"""Predictions are kept, compared, and add up to a picture of how well the learner knows what they know."""

import pytest

from tlcourse.evaluation.intervals import Interval
from tlcourse.exercises import Prediction, guess
from tlcourse.exercises.prediction import Guessed, guesses_so_far
from tlcourse.exercises.progress import read_records
from tlcourse.lessons.nb04_evaluation.figures import NONE_YET, draw_guesses
from tlcourse.lessons.progress_report import predictions_sentence


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_PROGRESS", str(tmp_path / "progress.json"))


MEASURED = {"probe": Interval(70.0, 68.0, 72.0)}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "no prediction"),
        (71, "you said 71, which is inside the interval"),
        (60, "you said 60, 10 too low"),
        (90.0, "you said 90, 20 too high"),
        ((65, 75), "you said 65 to 75, which holds it"),
        ((10, 20), "you said 10 to 20, which misses it"),
    ],
)
def test_a_guess_is_compared_in_a_line(value, said):
    line = guess("00.x", {"probe": value}).compare(MEASURED)
    assert line.endswith(said)
    assert "70.0" in line


def test_a_prediction_says_what_it_is():
    assert repr(guess("00.x", {"a": 40, "b": None, "c": (1, 2)})).strip() == "You predict: a 40 %, c 1 to 2 %."
    assert repr(guess("00.x", {"a": None})).startswith("No prediction yet")


def test_no_guess_leaves_no_trace_and_stops_nothing():
    prediction = guess("00.x", {"probe": None})
    assert "No prediction yet" in repr(prediction)
    prediction.compare(MEASURED)
    assert read_records() == []
    assert guesses_so_far() == []


def test_a_guess_is_kept_with_what_was_measured():
    guess("00.x", {"probe": (60, 72), "scratch": None}).compare(MEASURED | {"scratch": Interval(1.0, 0.0, 2.0)})
    (made,) = guesses_so_far()
    assert made == Guessed("00.x", "probe", 60, 72, 70.0, "%")
    assert (made.is_range, made.holds, made.off) == (True, True, -4)


def test_only_the_first_guess_counts():
    for value in (60, 70):
        guess("00.x", {"probe": value}).compare(MEASURED)
    assert [made.low for made in guesses_so_far()] == [60]


def test_a_measurement_before_the_guess_counts_for_nothing():
    guess("00.x", {"probe": 60}).compare(MEASURED)
    early = [{**record, "time": 0.0} for record in read_records() if record["kind"] == "measured"]
    late = [record for record in read_records() if record["kind"] == "prediction"]
    assert guesses_so_far([*early, *late]) == []


@pytest.mark.parametrize("value", ["60", True, (1, 2, 3), (None, 3), [True, 2]])
def test_other_things_are_refused(value):
    with pytest.raises(TypeError, match=r"the guess for 'probe' is .*Expected a number in %, a range such as"):
        Prediction("00.x", {"probe": value})


SHARE = "Expected a share, from 0 to 100"


@pytest.mark.parametrize(
    ("value", "message"),
    [((80, 60), "Expected the lower end first"), (150, SHARE), (-3, SHARE), ((90, 110), SHARE)],
)
def test_other_numbers_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        guess("00.x", {"probe": value})
    assert guess("00.x", {"gain": -3}, "points").guesses == {"gain": -3}


@pytest.mark.parametrize(("value", "unit", "asked"), [(0.5, "%", True), (0.5, "points", False), (50.0, "%", False)])
def test_a_fraction_in_place_of_percent_is_asked_about(value, unit, asked):
    assert ("write 50 for one half" in repr(guess("00.x", {"probe": value}, unit))) is asked


def test_something_that_was_not_measured_is_named():
    with pytest.raises(KeyError, match="was predicted, but only"):
        guess("00.x", {"scratch": 3}).compare(MEASURED)


def test_the_picture_and_its_words(ax):
    assert draw_guesses(ax, []) == ax.texts[0].get_text() == NONE_YET
    guess("00.x", {"a": (60, 80), "b": (1, 2), "c": 75}).compare(dict.fromkeys("abc", MEASURED["probe"]))
    ax.clear()
    guesses = guesses_so_far()
    said = draw_guesses(ax, guesses)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["00 · a, %", "00 · b, %", "00 · c, %"]
    dots = [line for line in ax.lines if line.get_marker() in "oXD"]
    assert [dot.get_xdata()[0] for dot in dots] == [0, -68.5, 5]
    assert [dot.get_marker() for dot in dots] == ["o", "X", "D"]
    assert said.startswith("3 guesses beside what was measured: 1 too high, 2 too low or exact.")
    assert "1 of 2 ranges held" in said
    assert predictions_sentence().endswith("1 of your 2 ranges held the value.")


def test_with_five_ranges_it_says_what_80_percent_would_be():
    ranges = dict.fromkeys("abcd", (60, 80)) | {"e": (1, 2)}
    guess("00.x", ranges).compare(dict.fromkeys("abcde", MEASURED["probe"]))
    assert "4 of your 5 ranges held the value; at 80 % it would be 4." in predictions_sentence()
