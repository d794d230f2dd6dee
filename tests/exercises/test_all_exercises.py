"""Every exercise: the starter is no attempt, right answers are right however they are written, mistakes are named."""

import copy
import re

import pytest

from tlcourse.exercises import progress
from tlcourse.exercises.card import Outcome
from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.kinds import Challenge, Function
from tlcourse.exercises.runner.finishers import FINISHERS
from tlcourse.exercises.runner.process import Reply
from tlcourse.lessons.registry import MODULES, exercises_of, quiz_of

EXERCISES = [exercise for notebook in MODULES for exercise in exercises_of(notebook)]
QUIZZES = [quiz_of(notebook) for notebook in MODULES]
MISTAKES = [(exercise, mistake) for exercise in EXERCISES for mistake in exercise.mistakes]
LEVELS = ("Read", "Change", "Mend", "Build", "Challenge")

DRAWS = {"07.q2": 1, "03.q2": 3, "11.q2": 3}  # of inputs that take long: they are trainings, or whole networks

every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_PROGRESS", str(tmp_path / "progress.json"))


def made(exercise: Exercise, source: str):
    """What the learner's answer cell makes, in a namespace like the notebook's."""
    names = {"__name__": "__main__"}
    exec(exercise.setup, names)
    exec(source, names)
    return names[exercise.answer]


class Direct:
    """An answer that is called right here: the course's own texts need no process of their own, and there are many."""

    def __init__(self, exercise: Exercise, source: str) -> None:
        self.made = made(exercise, source)

    def value(self) -> Reply:
        return Reply(self.made)

    def call(self, arguments, finisher=None, more=()) -> Reply:
        result = self.made(*copy.deepcopy(arguments))
        return Reply({"result": FINISHERS[finisher](result, *more) if finisher else result})


@every_exercise
def test_the_starter_is_no_attempt_and_leaves_no_trace(exercise):
    found = exercise.check(made(exercise, exercise.starter))
    assert found.outcome is Outcome.NOT_ATTEMPTED
    assert exercise.answer in found.message
    assert progress.read_records() == []


@every_exercise
def test_the_reference_is_right(exercise):
    found = exercise.check(made(exercise, exercise.reference))
    assert found.outcome is Outcome.CORRECT, found
    assert found.share == 1
    assert progress.standing(exercise.id).outcome == "CORRECT"


@every_exercise
def test_another_way_to_write_it_is_right_too(exercise):
    assert exercise.check(made(exercise, exercise.alternative)).outcome is Outcome.CORRECT
    assert exercise.alternative != exercise.reference


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[f"{e.id}-{m.name}" for e, m in MISTAKES])
def test_a_known_mistake_is_named(exercise, mistake):
    found = exercise.judge(Direct(exercise, mistake.answer))
    assert found.outcome is Outcome.WRONG, found
    assert found.mistake == mistake.name
    assert found.message == mistake.message
    assert found.share == 0


@pytest.mark.parametrize(
    "exercise", [e for e in EXERCISES if not isinstance(e, Challenge)], ids=lambda exercise: exercise.id
)
def test_fresh_inputs_judge_the_same(exercise):
    """A grader draws inputs of its own; right stays right, and wrong stays wrong. Its own tests run challenges.

    One draw in ten once took a right answer for a wrong one, where images were equally near.
    """
    reference, alternative = Direct(exercise, exercise.reference), Direct(exercise, exercise.alternative)
    mistakes = [(mistake.name, Direct(exercise, mistake.answer)) for mistake in exercise.mistakes]
    for seed in range(1, 1 + DRAWS.get(exercise.id, 20)):
        assert exercise.judge(reference, seed).outcome is Outcome.CORRECT, seed
        assert exercise.judge(alternative, seed).outcome is Outcome.CORRECT, seed
        for name, answer in mistakes:
            assert exercise.judge(answer, seed).mistake == name, seed


@pytest.mark.parametrize(
    "exercise", [e for e in EXERCISES if isinstance(e, Function)], ids=lambda exercise: exercise.id
)
def test_a_seed_draws_its_own_inputs(exercise):
    first, again, other = ([case.shown(exercise.answer) for case in exercise.cases(seed)] for seed in (0, 0, 1))
    assert first == again
    assert first != other


@every_exercise
def test_what_an_exercise_holds(exercise):
    assert exercise.level in LEVELS
    assert 1 <= exercise.objective <= 5
    assert len(exercise.hints) >= 2
    assert len(exercise.mistakes) >= 3
    assert len({mistake.message for mistake in exercise.mistakes}) == len(exercise.mistakes)
    assert "#" in exercise.reference, "a comment says why"
    solution = {line.strip() for line in exercise.reference.splitlines() if len(line.strip()) > 20}
    told = [
        line
        for line in solution - {text.strip() for text in exercise.starter.splitlines()}
        for hint in exercise.hints
        if line in hint
    ]
    assert not told, "a hint gives the answer away"
    assert max(map(len, exercise.starter.splitlines())) <= 88
    assert not re.search(r"\b(simply|obviously|of course)\b", exercise.prompt + " ".join(exercise.hints))


@pytest.mark.parametrize("notebook", MODULES)
def test_exercises_rise_from_reading_to_building(notebook):
    exercises = exercises_of(notebook)
    assert 3 <= len(exercises) <= 4
    assert [exercise.id for exercise in exercises] == [f"{notebook}.q{i + 1}" for i in range(len(exercises))]
    places = [LEVELS.index(exercise.level) for exercise in exercises]
    assert places[0] == 0
    assert isinstance(exercises[-1], Challenge)
    assert len(set(places)) >= 3
    assert len({exercise.objective for exercise in exercises}) >= 2


@pytest.mark.parametrize("quiz", QUIZZES, ids=lambda quiz: quiz.id)
def test_a_quiz_explains_every_option_and_knows_its_answers(quiz):
    assert 3 <= len(quiz.questions) <= 5
    for question in quiz.questions:
        assert len(question.options) >= 3
        assert len({option.because for option in question.options}) == len(question.options)
    assert len({question.right() for question in quiz.questions}) > 1, "the right letter should not always be the same"
    names = {}
    exec(quiz.reference, names)
    assert quiz.check(names["answers"]).outcome is Outcome.CORRECT
    exec(quiz.starter, names)
    assert quiz.check(names["answers"]).outcome is Outcome.NOT_ATTEMPTED
