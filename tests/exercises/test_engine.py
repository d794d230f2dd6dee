"""The engine behind the exercises, on small exercises made for these tests."""

import math
import re
import threading

import numpy as np
import pytest
import torch

from tlcourse.exercises.card import COLOURS, Card, Outcome, verdict
from tlcourse.exercises.compare import as_table, same, show_value, when_table
from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.half_right import near_miss, right_parts
from tlcourse.exercises.kinds import Case, Challenge, Foresee, Function, Mend, Value
from tlcourse.exercises.progress import read_records
from tlcourse.exercises.quiz import Option, Question, Quiz
from tlcourse.exercises.runner.process import Limits

NAN = float("nan")


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_PROGRESS", str(tmp_path / "progress.json"))


# --- are two values the same? ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "others"),
    [
        (1.0, [1, True, 1 + 5e-5, torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.bfloat16)]),
        (1e6, [1e6 + 50, np.float32(1e6)]),
        (math.inf, [math.inf]),
        (torch.tensor([1, 2]), [[1, 2], (1.0, 2.0), np.array([1, 2]), torch.nn.Parameter(torch.tensor([1.0, 2.0]))]),
        (torch.tensor([1.0, NAN]), [[1, NAN], np.array([1.0, NAN])]),
        ([1, 2], [(1, 2), torch.tensor([1, 2]), {2, 1}, range(1, 3), {"b": 1, "a": 2}, (i for i in (1, 2))]),
        (("a", 1.0), [["a", 1]]),
        ({2, 1}, [[1, 2], {1, 2}, torch.tensor([1, 2]), {2: "b", 1: "a"}.keys(), (2, 1, 1), (i for i in (1, 2))]),
        ({"a": torch.tensor([1])}, [{"a": [1]}]),
        *[("a", ["a"]), (None, [None]), ([], [[], ()]), (["a", "b"], [np.array(["a", "b"])])],
    ],
)
def test_these_are_the_same(expected, others):
    for got in others:
        assert same(got, expected), got


@pytest.mark.parametrize(
    ("expected", "others"),
    [
        (1.0, [1.01, NAN, "1", torch.ones(2), object()]),
        (0, [None, 1e-3]),
        *[(NAN, [1.0]), (math.inf, [-math.inf]), (None, [0]), ("1", [1]), (["a", "b"], ["ab"])],
        (torch.ones(3, 2), [torch.ones(2, 3)]),
        (torch.ones(3), [torch.ones(1, 3), [[1, 2], [3]]]),
        ([1, 2], [[1, 2, 3], {1}, {"a": 1}, (i for i in (2, 1))]),
        ([2, 1], [{1, 2}]),
        ({1, 2}, [[1], [[1], [2]], "12", 12]),
        ({"b": 1}, [{"a": 1}, [1]]),
        ([["a", 1], ["b", 2]], [[1, 2], np.ones(2), torch.ones(2, 2), [["a", 1], 2], None]),
    ],
)
def test_these_are_not(expected, others):
    for got in others:
        assert not same(got, expected), got


@pytest.mark.parametrize(
    ("got", "expected", "near"), [(1000.5, 1000, True), (1002, 1000, False), (0.0005, 0, True), (0.002, 0, False)]
)
def test_tolerance_is_relative_to_large_numbers_and_absolute_for_small_ones(got, expected, near):
    assert same(got, expected, 1e-3) is near


TABLE = [[75, 15], [75, 0], [75, 25]]


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        ([[75, 15], [1, 2], [75, 25]], TABLE, "the 1st and the 3rd of 3"),
        (torch.tensor([[75, 1], [75, 2], [75, 3]]), TABLE, "in every row the 1st of 2"),
        ((0.04, 0.02), (0.04, 0.1), "the 1st of 2"),
        ({"a": 1, "b": 3}, {"a": 1, "b": 2}, "'a' of 2"),
        ([1, 2, 5], [1, 2], "2 of your 3 belong there"),
        ({1, 3}, {1, 2}, "1 of your 2 belong there"),
        (range(10), [*range(9), 0], "9 of 10"),
        *[(5, 4, ""), (None, [1], ""), ([2], [1], ""), ([1], [1], ""), ("ab", [1], "")],
    ],
)
def test_of_half_right_answers_the_right_half_is_told(got, expected, said):
    assert right_parts(got, expected) == said


PICTURE = torch.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        (PICTURE.permute(1, 2, 0), PICTURE, "the dimensions stand in another order"),
        (np.eye(3).cumsum(0), np.eye(3).cumsum(1), "the dimensions stand in another order"),
        (57, 0.57, "percent in place of a share?"),
        ([0.5, 0.1], [50, 10], "a share in place of percent?"),
        (-3, 3, "their sign is not"),
        ([2, 3, 1], [3, 1, 2], "stand in another order"),
    ],
)
def test_the_one_thing_that_is_wrong_with_numbers_is_told(got, expected, said):
    assert said in near_miss(got, expected)
    assert near_miss(got, np.asarray(expected) + 1) == near_miss("text", expected) == ""


def test_a_value_is_shown_short():
    assert show_value(torch.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert show_value(np.array([True])) == "array([ True])"
    assert show_value(torch.zeros(100, 3)).startswith("tensor [100, 3] float32: ")
    assert len(show_value(torch.rand(100, 100))) < 200
    assert len(show_value(["word"] * 1000)) <= 300
    assert show_value({"a": 1.0}) == "{'a': 1}"
    assert show_value(1 / 3) == "0.333333"


# --- cards -----------------------------------------------------------------------------------------------


def test_a_card_says_the_same_as_text_and_as_html():
    card = verdict(Outcome.WRONG, "look <here>", [("you gave", "a\nb"), ("for", "f(<x>)")])
    assert repr(card) == "WRONG: look <here>\n  you gave  a\n            b\n  for       f(<x>)"
    page = card._repr_html_()
    assert "look &lt;here&gt;" in page
    assert "<x>" not in page
    assert COLOURS["WRONG"] in page
    assert Card("Hint", "try", code="x < 1").__repr__() == "Hint: try\nx < 1"


def test_texts_of_a_card_are_rendered_and_values_are_not():
    text, value = "is `a * b * c` the *same*?", "'`x` is *same*'"
    page = Card("WRONG", text, [("look at", text), ("q1", text), ("you gave", value)])._repr_html_()
    assert page.count("is <code>a * b * c</code> the <em>same</em>?") == 3
    assert "`x` is *same*" in page
    assert "f(*args, **more), 2 * 3 * 4" in Card("ERROR", "f(*args, **more), 2 * 3 * 4")._repr_html_()


# --- functions -------------------------------------------------------------------------------------------

COMMON = {
    "title": "t",
    "objective": 1,
    "level": "Build",
    "prompt": "p",
    "hints": ("one", "two"),
    "limits": Limits(seconds=2.0, memory=2**29),
}


def double_cases(seed):
    draw = torch.Generator().manual_seed(seed)
    random = [Case((torch.randint(0, 9, (n,), generator=draw),)) for n in (5, 3)]
    return [*random, Case((torch.tensor([-1]),), note="below zero")]


double = Function(
    id="99.q1",
    **COMMON,
    starter='def double(x):\n    """Twice x."""\n    ...\n',
    answer="double",
    reference="def double(x):\n    return 2 * x  # why\n",
    alternative="double = lambda x: x + x",
    cases=double_cases,
    mistakes=(
        Mistake("squares", "def double(x):\n    return x * x\n", "that is a square"),
        Mistake("drops the sign", "def double(x):\n    return 2 * x.abs()\n", "what about numbers below zero?"),
    ),
)


def test_right_answers_are_right_however_they_are_written():
    for answer in (lambda x: x * 2, lambda x: [2 * int(v) for v in x], torch.tensor(2).mul, lambda x: x.numpy() * 2.0):
        assert double.check(answer).outcome is Outcome.CORRECT, answer


def test_the_starter_is_recognised_however_it_is_laid_out():
    for starter in (double.starter, "# mine\n\n" + double.starter, 'def double(x):\n  """Twice x."""\n'):
        assert double.check(double.made_by(starter)).outcome is Outcome.NOT_ATTEMPTED
    assert double.check(None).outcome is Outcome.NOT_ATTEMPTED
    assert double.check(lambda x: None).outcome is Outcome.WRONG


def test_the_smallest_failing_input_is_shown():
    found = double.check(lambda x: x * 3)
    assert found.outcome is Outcome.WRONG
    assert found.message == "not yet."
    assert dict(found.details)["for"] == "double(tensor([-1]))    (below zero)"
    assert dict(found.details)["you gave"] == "tensor([-3])"
    assert dict(found.details)["expected"] == "tensor([-2])"
    only_long = double.check(lambda x: 2 * x if len(x) < 5 else x)
    assert only_long.message == "not yet: right on 2 of 3 inputs."
    assert len(dict(only_long.details)["for"].split(",")) == 5
    assert double.check(lambda x: 200 * x).message.endswith("percent in place of a share?")
    only_first = double.check(lambda x: torch.cat([2 * x[:1], x[1:] - 1]))
    assert dict(only_first.details)["right in it"] == "the 1st of 3"


def test_known_mistakes_are_told_apart_by_what_they_do():
    assert double.check(lambda x: x**2).mistake == "squares"
    assert double.check(lambda x: abs(x) + abs(x)).message == "what about numbers below zero?"
    assert double.check(lambda x: x * 0).mistake == ""
    assert "is the `return` missing?" in double.check(lambda x: None).message
    assert "for others a value" in double.check(lambda x: 2 * x if len(x) > 1 else None).message


def test_an_error_is_the_learner_s_own_line():
    def double_it(x):
        return x.twice()

    found = double.check(double_it)
    assert found.outcome is Outcome.ERROR
    assert "has no attribute 'twice'" in found.message
    where = dict(found.details)["where"]
    assert "in double_it: return x.twice()" in where
    assert where.count("\n") == 0
    assert double.check(lambda x, y: x).outcome is Outcome.ERROR
    assert repr(double.check(3)).startswith("ERROR: TypeError: your answer is of type int. Expected a function.")


def test_the_line_of_an_endless_loop_is_named():
    def double_it(x):
        while len(x):
            pass

    hasty = Function(**{**vars(double), "limits": Limits(seconds=1.0, memory=2**29)})
    found = hasty.check(double_it)
    assert found.outcome is Outcome.ERROR
    assert "it was stopped after 1 seconds. Is there a loop that never stops? If not, this computer" in found.message
    assert re.search(r"line \d+ in double_it: (while len\(x\):|pass)$", dict(found.details)["where"])


def test_what_it_prints_is_shown_once():
    def chatty(x):
        print("looking at", len(x))
        return x

    assert dict(double.check(chatty).details)["printed"] == "looking at 1"


def test_a_change_in_place_spoils_no_check():
    def in_place(x):
        x *= 2
        return x

    assert double.check(in_place).outcome is Outcome.CORRECT


def test_nothing_the_answer_does_reaches_the_check():
    def vandal(x):
        torch.Tensor.__mul__ = lambda a, b: a
        torch.equal = lambda a, b: True
        return x

    assert double.check(vandal).outcome is Outcome.WRONG
    assert torch.equal(torch.ones(1) * 2, torch.tensor([2.0]))


def test_what_cannot_leave_the_notebook_is_named():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return 2 * x

    assert repr(double.check(locked)).startswith("ERROR: TypeError: it uses something that cannot be copied")
    assert repr(double.check(lambda x: torch.nn.Linear(1, 1))).startswith(
        "ERROR: your code gives what the check cannot read: a Linear came. Expected a number"
    )


def test_names_that_are_also_modules_of_pytorch_do_not_disturb():
    def double_it(x):
        return torch.mul(x, 2) if hasattr(x, "numpy") else (x.classes, x.ops)

    assert double.check(double_it).outcome is Outcome.CORRECT


def test_globals_and_helpers_of_the_notebook_come_along():
    names = {"__name__": "__main__", "factor": 2}
    exec("def help(x):\n    return factor * x\ndef double(x):\n    return help(x)\n", names)
    assert double.check(names["double"]).outcome is Outcome.CORRECT


def test_mending_starts_from_a_fault_that_runs():
    mend = Mend(**{**vars(double), "level": "Mend", "starter": "def double(x):\n    return x + 1\n"})
    assert mend.check(mend.made_by(mend.starter)).outcome is Outcome.NOT_ATTEMPTED
    assert mend.check(lambda x: 1 + x).outcome is Outcome.WRONG


# --- values, foreseeing -------------------------------------------------------------------------


def value(**more):
    wanted = COMMON | dict(  # noqa: C408
        id="99.q2",
        starter="x = None",
        answer="x",
        reference="x = 4.0  # why",
        alternative="x = 2 + 2",
        mistakes=(Mistake("forgot", "x = 3", "one more"), Mistake("wild", "x = 99", "too far", lambda v: v > 50)),
    )
    return Value(**(wanted | more))


def test_a_value_is_compared_and_mistakes_by_value_or_by_rule():
    exercise = value(unit="points")
    assert exercise.check(4).outcome is Outcome.CORRECT
    assert exercise.check(torch.tensor(4.0)).outcome is Outcome.CORRECT
    assert exercise.check(3).message == "one more"
    assert exercise.check(60).message == "too far"
    unknown = exercise.check(5)
    assert unknown.mistake == ""
    assert dict(unknown.details)["you gave"] == "5 points"
    assert "wanted is" not in dict(unknown.details)
    hinted = value(starter="x = None  # a number, such as 3").check(5)
    assert dict(hinted.details)["wanted is"] == "a number, such as 3"


def test_a_value_may_be_rounded_as_its_tolerance_says_and_half_right():
    rounded = value(reference="x = 57.42", tolerance=0.01, unit="%", mistakes=())
    assert [rounded.check(given).outcome.name for given in (57, 57.9, 58.1)] == ["CORRECT", "CORRECT", "WRONG"]
    assert "percent" in rounded.check(0.5742).message
    pair = value(reference="x = (4, 2)", mistakes=()).check((4, 3))
    assert pair.message.startswith("part of it is right")
    assert dict(pair.details)["right so far"] == "the 1st of 2"


def test_what_gives_its_values_once_can_be_checked_twice():
    once = (i for i in (4, 2))
    exercise = value(reference="x = (4, 2)", mistakes=())
    assert [exercise.check(once).outcome for _ in range(2)] == [Outcome.CORRECT] * 2


def test_the_code_itself_judges_what_was_foreseen():
    exercise = Foresee(**vars(value()), snippet="result = sum(range(3)) + 1", why="0 + 1 + 2 + 1")
    assert exercise.check(4).message == "0 + 1 + 2 + 1"
    assert exercise.check(3).message == "one more"


# --- challenges ------------------------------------------------------------------------------------------

guess = Challenge(
    id="99.q4",
    **{**COMMON, "level": "Challenge"},
    starter="def guess(n):\n    ...\n",
    answer="guess",
    reference="def guess(n):\n    return 50.0  # why\n",
    alternative="guess = lambda n: 51.0",
    inputs=lambda seed: (seed,),
    score=lambda report, seed: report + seed,
    goal=50,
    mistakes=(Mistake("text", 'guess = lambda n: "x"', "no text", lambda report, score: score is None),),
)


def test_a_challenge_needs_the_goal_and_keeps_the_learner_s_runs():
    assert guess.check(lambda n: 40.0).outcome is Outcome.WRONG
    assert guess.check(lambda n: 60.0).outcome is Outcome.CORRECT
    found = guess.check(lambda n: 50.0)
    assert found.outcome is Outcome.CORRECT
    lines = dict(found.details)["your runs"].splitlines()
    assert [line.split()[1] for line in lines] == ["60.0", "50.0", "40.0"]
    assert lines[1].endswith("this run")
    assert [record["score"] for record in read_records()] == [40.0, 60.0, 50.0]


def test_a_run_below_the_best_five_is_still_named():
    for score in (61, 62, 63, 64, 65):
        guess.check(lambda n, score=score: float(score))
    lines = dict(guess.check(lambda n: 55.0).details)["your runs"].splitlines()
    assert len(lines) == 6
    assert lines[-1] == "6. 55.0 %  this run"


def test_what_cannot_be_scored_is_a_mistake_or_is_named():
    assert guess.check(lambda n: "x").message == "no text"
    plain = Challenge(**{**vars(guess), "mistakes": ()})
    found = plain.check(lambda n: "x")
    assert found.outcome is Outcome.WRONG
    assert "'x' cannot be scored" in found.message
    assert found.score is None


LEARN = Challenge(
    **{
        **vars(guess),
        "inputs": lambda seed: ([60.0, 0.0],),
        "permuted": lambda seed: ([0.0, 60.0],),
        "score": lambda report, seed: report,
    }
)


def test_an_answer_that_does_not_need_its_labels_learned_elsewhere():
    assert LEARN.check(lambda given: given[0]).outcome is Outcome.CORRECT
    stumbles = LEARN.check(lambda given: given[0] if given[0] else given[5])
    assert dict(stumbles.details)["with permuted labels"] == "0.0 %"
    assert stumbles.outcome is Outcome.CORRECT
    kept = {}
    assert LEARN.check(lambda given: kept.setdefault("x", given[0])).outcome is Outcome.CORRECT, "each run begins anew"
    found = LEARN.check(lambda given: 70.0)
    assert found.outcome is Outcome.WRONG
    assert "the same labels permuted" in found.message
    assert dict(found.details)["with permuted labels"] == "70.0 %"
    assert "your runs" not in dict(found.details)
    assert found.score is None


# --- hints, solutions, quizzes, nbgrader -----------------------------------------------------------------


def test_hints_come_one_by_one_and_begin_again():
    fresh = Function(**{**vars(double), "id": "99.hints"})
    assert [fresh.hint().message for _ in range(3)] == ["one", "two This was the last one.", "one"]
    assert [record["kind"] for record in read_records()] == ["hint"] * 3


def test_a_solution_is_kept_as_looked_at():
    card = double.solution()
    assert "You have not tried yet" in card.message
    assert card.code == double.reference
    double.check(lambda x: x)
    assert "You have not tried" not in double.solution().message


QUIZ = Quiz(
    "99.quiz",
    (
        Question("One?", (Option("no", "wrong because"), Option("yes", "right because", right=True))),
        Question("Two?", (Option("yes", "this it is", right=True), Option("no", "not this"))),
    ),
)


def test_a_quiz_explains_and_counts():
    assert QUIZ.starter.startswith("answers = dict(q1=None, q2=None)")
    found = QUIZ.check({"q1": "B", "q2": None})
    assert found.share == 0.5
    assert found.details == (("q1", "b is right. right because"), ("q2", "open"))
    assert QUIZ.check({"q1": "b", "q2": "a"}).outcome is Outcome.CORRECT
    assert "'x' is no option. Expected one of a, b." in dict(QUIZ.check({"q1": "x"}).details)["q1"]
    assert QUIZ.check("ba").outcome is Outcome.ERROR
    assert "1. One?\n   * **a** no\n   * **b** yes" in QUIZ.markdown()


def test_an_answer_is_read_as_a_table_of_its_shape():
    for given in ([[1, 2], [3, 4]], ((1, 2), (3, 4)), {"a": [1, 2], "b": [3, 4]}, torch.tensor([[1, 2], [3, 4]])):
        table = as_table(given, (2, 2))
        assert table.dtype == np.float64
        assert table.tolist() == [[1, 2], [3, 4]]
    for other in ([1, 2, 3, 4], [[1, 2]], [["a", "b"], ["c", "d"]], None):
        assert as_table(other, (2, 2)) is None


def test_what_holds_of_a_table_is_asked_of_nothing_else():
    ascends = when_table((2,), lambda numbers: numbers[0] < numbers[1])
    assert ascends([1, 2])
    assert not ascends([2, 1])
    assert not ascends("12")
