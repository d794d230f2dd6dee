"""A short quiz at the end of a notebook: every option says why it is right or wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from tlcourse.exercises.answers import KernelAnswer
from tlcourse.exercises.card import Outcome, Verdict, verdict
from tlcourse.exercises.exercise import for_nbgrader, summary
from tlcourse.exercises.progress import keep
from tlcourse.exercises.runner.process import Limits, Reply


@dataclass(frozen=True)
class Option:
    """One way to answer a question, and why it is right, or what is wrong with it."""

    text: str
    because: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question and its options, of which one is right."""

    text: str
    options: Sequence[Option]

    def letters(self) -> dict[str, Option]:
        return dict(zip("abcdef", self.options, strict=False))

    def right(self) -> str:
        return next(letter for letter, option in self.letters().items() if option.right)


@dataclass(frozen=True)
class Quiz:
    """The three to five questions of one notebook, `q1` being the first."""

    id: str
    questions: Sequence[Question]
    answer: str = "answers"
    points: int = 2
    setup: ClassVar[str] = ""
    limits: ClassVar[Limits] = Limits()

    @property
    def starter(self) -> str:
        blanks = ", ".join(f"q{i}=None" for i in range(1, len(self.questions) + 1))
        return f'answers = dict({blanks})  # letters, such as "a"'

    @property
    def reference(self) -> str:
        filled = ", ".join(f'q{i}="{question.right()}"' for i, question in enumerate(self.questions, 1))
        return f"answers = dict({filled})"

    def markdown(self) -> str:
        return "\n\n".join(
            f"{i}. {question.text}\n"
            + "\n".join(f"   * **{letter}** {option.text}" for letter, option in question.letters().items())
            for i, question in enumerate(self.questions, 1)
        )

    def check(self, answers: Mapping[str, str | None] | None = None) -> Verdict:
        """Check letters by question, None for those still open, and explain every one that was given.

        Raises NotSolvedError where nbgrader marks the cell and none is right, or validates it and not all are.
        """
        if self.untouched(answers):
            found = self.not_attempted()
        else:
            found = self.judge(KernelAnswer(answers, self.limits))
            keep("attempt", self.id, **summary(found))
        return for_nbgrader(found, self.points)

    def untouched(self, answers: object) -> bool:
        return answers is None or (isinstance(answers, Mapping) and not any(answers.values()))

    def not_attempted(self) -> Verdict:
        return verdict(Outcome.NOT_ATTEMPTED, "put letters in place of None, run that cell, and check again.")

    def judge(self, answer: KernelAnswer, seed: int = 0) -> Verdict:
        """Judge letters, wherever they come from; there is nothing to draw, so `seed` changes nothing."""
        reply: Reply = answer.value()
        given = reply.value
        if not isinstance(given, Mapping):
            came = type(given).__name__
            return verdict(Outcome.ERROR, f"the answers are a {came}. Expected a dict such as dict(q1='a').")
        lines = [self._line(f"q{i}", question, given.get(f"q{i}")) for i, question in enumerate(self.questions, 1)]
        right = sum(question.right() == _letter(given.get(f"q{i}")) for i, question in enumerate(self.questions, 1))
        everything = right == len(self.questions)
        outcome = Outcome.CORRECT if everything else Outcome.WRONG
        message = f"{right} of {len(self.questions)} right."
        return verdict(outcome, message, lines, share=right / len(self.questions))

    def _line(self, name: str, question: Question, given: object) -> tuple[str, str]:
        option = question.letters().get(_letter(given))
        if given is None:
            return name, "open"
        if option is None:
            return name, f"{given!r} is no option. Expected one of {', '.join(question.letters())}."
        return name, f"{_letter(given)} is {'right' if option.right else 'wrong'}. {option.because}"


def _letter(given: object) -> str:
    return str(given).strip().lower()
