"""An exercise: what is asked, where to start, how to get unstuck, and what all kinds of exercises have in common."""

import copy
import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tlcourse.exercises.answers import Answer, KernelAnswer, same_code
from tlcourse.exercises.card import Card, Outcome, Verdict, verdict
from tlcourse.exercises.progress import keep, standing
from tlcourse.exercises.runner.process import Limits


class NotSolvedError(AssertionError):
    """Raised by a check when nbgrader runs it, since nbgrader gives points for cells that raise nothing."""


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people really give, and what helps them.

    `matches` recognises it, from the value, or from a challenge's report and score; None: `answer` gives the same.
    """

    name: str
    answer: str
    message: str
    matches: Callable[..., bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What is asked, from the first line to the solution; `markdown.py` says what each part is.

    `objective` counts from 1, `answer` is the name that is checked, `setup` makes the names that the notebook has.
    `limits` are for one call of the answer.
    """

    id: str
    title: str
    objective: int
    level: str
    prompt: str
    starter: str
    answer: str
    reference: str
    alternative: str
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    setup: str = ""
    minutes: int = 5
    points: int = 1
    limits: Limits = field(default=Limits())

    def check(self, answer: object = None) -> Verdict:
        """Return NOT ATTEMPTED, WRONG, ERROR or CORRECT for what the answer cell made, None if nothing yet.

        Raises NotSolvedError where nbgrader runs the cell and the answer is not right.
        """
        if self.untouched(answer):
            found = self.not_attempted()
        else:
            found = self.judge(KernelAnswer(answer, self.limits))
            found = _with(found, keep("attempt", self.id, **summary(found)))
        return for_nbgrader(found, self.points)

    def untouched(self, answer: object) -> bool:
        return answer is None or same_code(answer, self.made_by(self.starter))

    def not_attempted(self) -> Verdict:
        message = f"write your answer into `{self.answer}`, run that cell, and check again."
        return verdict(Outcome.NOT_ATTEMPTED, message)

    def judge(self, answer: Answer, seed: int = 0) -> Verdict:
        """Return WRONG, ERROR or CORRECT; `seed` draws the inputs, 0 in a notebook and a fresh one in a grader."""
        begin = time.perf_counter()
        found = self._judge(answer, seed)
        return replace(found, seconds=time.perf_counter() - begin)

    def _judge(self, answer: Answer, seed: int) -> Verdict:
        raise NotImplementedError(f"{type(self).__name__} does not say how it is judged.")

    def markdown(self) -> str:
        """Return what is asked, as it stands in the notebook."""
        title = self.title if self.title.endswith("?") else f"{self.title}."
        return f"**{self.id.partition('.q')[2]}. {self.level}: {title}** {self.prompt}"

    def hint(self) -> Card:
        """Return the next hint; after the last one they begin again."""
        asked = _ASKED[self.id] = _ASKED.get(self.id, 0) + 1
        keep("hint", self.id)
        number = (asked - 1) % len(self.hints)
        after = "" if number + 1 < len(self.hints) else " This was the last one."
        return Card(f"Hint {number + 1} of {len(self.hints)}", self.hints[number] + after)

    def solution(self) -> Card:
        keep("solution", self.id)
        before = "" if standing(self.id).attempts else "You have not tried yet; a wrong try teaches more than this. "
        return Card("Solution", before + "One way to do it; others are as good:", code=self.reference)

    def made_by(self, source: str) -> Any:  # noqa: ANN401 - an answer can be anything
        """Return a copy of what an answer cell makes, run here; for the course's own texts only."""
        return copy.deepcopy(made_by(source, self.setup, self.answer))

    def _known_mistake(self, recognises: Callable[[Mistake], bool]) -> Mistake | None:
        return next((mistake for mistake in self.mistakes if recognises(mistake)), None)


_ASKED: dict[str, int] = {}  # how many hints this kernel has shown, by exercise


@functools.lru_cache(maxsize=256)
def made_by(source: str, setup: str, name: str) -> object:
    """Return what a cell of the course's own calls `name`, run behind the names that `setup` gives."""
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(setup, "<setup>", "exec"), names)  # the course's own code
    exec(compile(source, "<solution>", "exec"), names)
    return names[name]


def wrong(exercise: Exercise, mistake: Mistake | None, message: str, details: list[tuple[str, str]]) -> Verdict:
    """Return WRONG: with a known mistake's own message, or with one that says what was seen."""
    name = mistake.name if mistake else ""
    return verdict(Outcome.WRONG, mistake.message if mistake else message, details, mistake=name)


def summary(found: Verdict) -> Mapping[str, object]:
    """Return what the progress file keeps of a verdict."""
    kept = {"outcome": found.outcome.value, "share": round(found.share, 4), "mistake": found.mistake}
    return kept if found.score is None else kept | {"score": round(float(found.score), 4)}


def for_nbgrader(found: Verdict, points: int) -> Verdict:
    """Return the verdict; where nbgrader runs the cell, in the form that it counts.

    Raises NotSolvedError for no share of the points, and for less than all when a student asks nbgrader (`validate`).
    """
    asked_by = os.environ.get("NBGRADER_EXECUTION")
    if not asked_by:
        return found
    if found.share == 0 or (asked_by == "validate" and found.outcome is not Outcome.CORRECT):
        raise NotSolvedError(repr(found))
    return replace(found, worth=found.share * points)


def _with(found: Verdict, complaint: str) -> Verdict:
    return replace(found, details=(*found.details, ("note", complaint))) if complaint else found
