"""Exercises are written as Markdown: what is read is what stands there, and what is wrong is named with its place."""

import pytest

from tlcourse.exercises.kinds import Case, Foresee, Function
from tlcourse.exercises.markdown import ExerciseTextError, read_exercises
from tlcourse.exercises.runner.process import Limits


def code(text):
    return f"```python\n{text}\n```"


def section(heading, *parts):
    return "\n\n".join([heading, *parts])


SECOND = "- kind: Function\n- level: Build\n- objective: 2\n- minutes: 7\n- answer: double\n- limits: 90 s, 2 GiB"
EXERCISES = section(
    section("# Setup", code("import torch")),
    section("# 99.q1: say it before", "- kind: Foresee\n- level: Read\n- objective: 1\n- answer: x"),
    section("## Prompt", "What is `result`?", code("# a comment is no heading\nresult = 4")),
    section("## Starter", code("x = None  # a number")),
    section("## Reference", code("x = 4")),
    section("## Alternative", code("x = 2 + 2")),
    section("## Hints", "1. Look at\n   the last line.\n2. It is 4."),
    section("## Why", "It stands there."),
    section("## Mistake: one too many: 5", code("x = 5"), "Count *again*."),
    section("# 99.q2: double it", SECOND),
    section("## Prompt", "Double it."),
    section("## Setup", code("import math")),
    section("## Starter", code("def double(x):\n\n    ...")),
    section("## Reference", code("double = lambda x: 2 * x")),
    section("## Alternative", code("double = lambda x: x + x")),
    section("## Hints", "1. Twice."),
)
QUIZ = """\
# 99.quiz

## q1

Which?

- [ ] This
  It is not.
- [x] That: the other
  It is.
"""
CASES = {"cases": lambda seed: [Case((1,))]}


@pytest.fixture
def read(tmp_path):
    def reading(exercises=EXERCISES, quiz=QUIZ, **code):
        (tmp_path / "exercises.md").write_text(exercises, encoding="utf-8")
        (tmp_path / "quiz.md").write_text(quiz, encoding="utf-8")
        return read_exercises(tmp_path / "checks.py", **({"q2": CASES} | code))

    return reading


def test_an_exercise_is_what_stands_there(read):
    five = lambda value: value == 5  # noqa: E731
    first, second, quiz = read(q1={"mistakes": {"one too many: 5": five}})
    assert type(first) is Foresee
    assert (first.id, first.title, first.level, first.objective) == ("99.q1", "say it before", "Read", 1)
    assert first.setup == "import torch"
    assert first.snippet == "# a comment is no heading\nresult = 4"
    assert first.prompt == f"What is `result`?\n\n```python\n{first.snippet}\n```"
    assert first.hints == ("Look at\n   the last line.", "It is 4.")
    assert first.why == "It stands there."
    (mistake,) = first.mistakes
    assert (mistake.name, mistake.answer, mistake.message) == ("one too many: 5", "x = 5", "Count *again*.")
    assert mistake.matches is five
    assert type(second) is Function
    assert (second.setup, second.minutes, second.limits) == ("import math", 7, Limits(90, 2**31))
    assert second.starter == "def double(x):\n\n    ..."
    assert second.cases is CASES["cases"]
    assert (quiz.id, quiz.questions[0].text, quiz.questions[0].right()) == ("99.quiz", "Which?", "b")
    assert [(o.text, o.because) for o in quiz.questions[0].options] == [
        ("This", "It is not."),
        ("That: the other", "It is."),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: Function", "kind: Sonnet", r"99\.q2: kind 'Sonnet' came"),
        ("# 99.q2: ", "# q2: ", "Expected a heading such as"),
        ("- minutes: 7", "- minutes: few", "'few' is no value for minutes"),
        ("- minutes: 7", "- colour: red", "the line '- colour: red' came"),
        ("90 s, 2 GiB", "an hour", "'an hour' is no value for limits"),
        (
            "## Alternative\n\n```python\ndouble",
            "## Alternatives\n\n```python\ndouble",
            r"q2, Alternatives: .* unknown",
        ),
        ("## Prompt\n\nDouble it.\n\n", "", "missing 1 required keyword-only argument: 'prompt'"),
        ("Double it.", "", r"99\.q2, Prompt: nothing came"),
        (
            "double = lambda x: 2 * x\n```",
            "double = lambda x: 2 * x\n```\nmore",
            r"99\.q2, Reference: expected one block",
        ),
        ("1. Twice.", "Twice.", r"99\.q2, Hints: expected a numbered list"),
        ("Count *again*.", "", r"99\.q1, Mistake: one too many: 5: expected one block"),
        ("- objective: 2", "- objective: 2\n- goal: 3", "unexpected keyword argument 'goal'"),
    ],
)
def test_what_is_wrong_is_named_with_file_exercise_and_heading(read, old, new, message):
    assert old in EXERCISES
    with pytest.raises(ExerciseTextError, match=rf"exercises\.md.*{message}"):
        read(EXERCISES.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("[x]", "[ ]", "of which one is"), ("  It is not.\n", "", "expected the reason below every option")],
)
def test_a_quiz_that_cannot_be_answered_is_refused(read, old, new, message):
    with pytest.raises(ExerciseTextError, match=rf"quiz\.md, q1: .*{message}"):
        read(quiz=QUIZ.replace(old, new))


def test_code_for_what_does_not_exist_is_refused(read):
    with pytest.raises(ExerciseTextError, match="has no exercise q3"):
        read(q3={})
    with pytest.raises(ExerciseTextError, match="no `## Mistake: other`"):
        read(q1={"mistakes": {"other": None}})
