"""The kinds of exercises: give a value, foresee one, write a function, mend one, build something that scores."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tlcourse.exercises.answers import Answer, error_verdict, printed
from tlcourse.exercises.card import Outcome, Verdict, verdict
from tlcourse.exercises.compare import same, show_value, size
from tlcourse.exercises.exercise import Exercise, Mistake, made_by, wrong
from tlcourse.exercises.half_right import near_miss, right_parts
from tlcourse.exercises.leaderboard import leaderboard
from tlcourse.exercises.runner.process import Reply


@dataclass(frozen=True, kw_only=True)
class Value(Exercise):
    """Set a value; any iterable may stand for a list, and of a wrong one the card says which parts are right.

    `tolerance` is relative to the larger of 1 and the right number: the prompt has to say how exact an answer must be,
    and 0.01 accepts 57 for 57.4. `unit` stands behind the number. `reads` turns other ways to write an answer, such as
    a dict in any order, into the one that is compared.
    """

    tolerance: float = 1e-4
    unit: str = ""
    reads: Callable[[Any], Any] = lambda value: value

    def _judge(self, answer: Answer, seed: int) -> Verdict:
        reply = answer.value()
        if reply.error:
            return error_verdict(reply)
        given = self.reads(reply.value)
        if self._right(given):
            return verdict(Outcome.CORRECT, "that is it.")
        mistake = self._known_mistake(lambda known: self._is(known, given))
        details = [("you gave", f"{show_value(reply.value)} {self.unit}".strip())]
        form = self.starter.partition("#")[2].strip()
        details += [("wanted is", form)] if form and mistake is None else []
        parts = right_parts(given, self._expected(), self.tolerance)
        details += [("right so far", parts)] if parts else []
        unknown = "part of it is right." if parts else "this is not it."
        message = near_miss(given, self._expected(), self.tolerance)
        return wrong(self, mistake, message or f"{unknown} Read the question once more, or ask for a hint.", details)

    def _right(self, value: object) -> bool:
        return same(value, self._expected(), self.tolerance)

    def _expected(self) -> Any:  # noqa: ANN401
        return self.made_by(self.reference)

    def _is(self, known: Mistake, value: object) -> bool:
        if known.matches is not None:
            return bool(known.matches(value))
        return same(value, self.made_by(known.answer), self.tolerance)


@dataclass(frozen=True, kw_only=True)
class Foresee(Value):
    """Say what code will give before running it; the code itself is the judge.

    The `snippet` stands in the prompt too and sets `result`; `why` says why it gives what it gives.
    """

    snippet: str
    why: str

    def _judge(self, answer: Answer, seed: int) -> Verdict:
        found = super()._judge(answer, seed)
        return verdict(Outcome.CORRECT, self.why) if found.outcome is Outcome.CORRECT else found

    def _expected(self) -> Any:  # noqa: ANN401
        return made_by(self.snippet, self.setup, "result")


@dataclass(frozen=True)
class Case:
    """One input that a function is tried on; `note` says what is special about it, such as "one image only"."""

    arguments: tuple
    note: str = ""

    def shown(self, function: str) -> str:
        inside = ", ".join(show_value(argument) for argument in self.arguments)
        return f"{function}({inside})" + (f"    ({self.note})" if self.note else "")

    def size(self) -> int:
        return size(self.arguments)


@dataclass(frozen=True, kw_only=True)
class Function(Exercise):
    """Write a function; it is tried on random inputs and on the edges, each time on copies.

    `cases` takes a seed and returns inputs; `agrees` compares (got, expected) in place of `same`, where more than one
    result is right; `look_at` is said when something unknown is wrong. A generator arrives as a list, and a set is
    expected where the reference returns one: then any order will do.
    """

    cases: Callable[[int], Sequence[Case]]
    tolerance: float = 1e-4
    agrees: Callable[[Any, Any], bool] | None = None
    look_at: str = "the smallest input that fails; work it out by hand"

    def _judge(self, answer: Answer, seed: int) -> Verdict:
        cases = sorted(self.cases(seed), key=Case.size)
        right = self._results(self.made_by(self.reference), cases)
        replies: list[Reply] = []
        for case in cases:
            replies.append(answer.call(case.arguments))
            if replies[-1].error:
                found = error_verdict(replies[-1])
                details = (("for", case.shown(self.answer)), *found.details)
                return verdict(Outcome.ERROR, found.message, details)
        got = [reply.value["result"] for reply in replies]
        failing = [i for i in range(len(cases)) if not self._agree(got[i], right[i])]
        if not failing:
            return verdict(Outcome.CORRECT, f"right on all {len(cases)} inputs.")
        mistake, first = self._recognise(cases, got), failing[0]
        details = [
            ("for", cases[first].shown(self.answer)),
            ("you gave", show_value(got[first])),
            ("expected", show_value(right[first])),
        ]
        parts = "" if self.agrees else right_parts(got[first], right[first], self.tolerance)
        details += [("right in it", parts)] if parts else []
        details += [] if mistake else [("look at", self.look_at)]
        message = self._in_words(got, right, failing)
        return wrong(self, mistake, message, [*details, *printed(replies[first])])

    def _in_words(self, got: Sequence, right: Sequence, failing: Sequence[int]) -> str:
        """Say of an unknown mistake what all the failing inputs have in common."""
        if all(value is None for value in got):
            return "it returns None: is the `return` missing?"
        if got[failing[0]] is None:
            return "for this input it returns None, and for others a value: which way does it take through your code?"
        near = {"" if self.agrees else near_miss(got[i], right[i], self.tolerance) for i in failing}
        if len(near) == 1 and "" not in near:
            return near.pop()
        done = len(got) - len(failing)
        return f"not yet: right on {done} of {len(got)} inputs." if done else "not yet."

    def _results(self, function: Callable, cases: Sequence[Case]) -> list[object]:
        return [function(*copy.deepcopy(case.arguments)) for case in cases]

    def _recognise(self, cases: Sequence[Case], got: Sequence[object]) -> Mistake | None:
        def gives_the_same(known: Mistake) -> bool:
            try:
                theirs = self._results(self.made_by(known.answer), cases)
            except Exception:  # a mistake that does not get through all inputs is not this one
                return False
            return all(self._agree(mine, other) for mine, other in zip(got, theirs, strict=True))

        return self._known_mistake(gives_the_same)

    def _agree(self, got: object, right: object) -> bool:
        return self.agrees(got, right) if self.agrees else same(got, right, self.tolerance)


@dataclass(frozen=True, kw_only=True)
class Mend(Function):
    """Find and mend the fault in a function that runs and is wrong; the starter holds the fault."""

    level: str = "Mend"


@dataclass(frozen=True, kw_only=True)
class Challenge(Exercise):
    """Build something that reaches a score on inputs that the notebook does not hold.

    `inputs` maps a seed to arguments; `score` and `explain` map what came back and the seed to a number, higher is
    better, and to details for the card. `finisher` names what the sandbox asks about a result that cannot leave it,
    such as `"network_report"`, and `more` maps a seed to what that needs.

    `permuted` maps a seed to the same arguments with their labels permuted, so that they say nothing. An answer that
    reached the goal runs once more on these: one that learns from what it is given falls to chance, one that scores
    above `by_chance` learned elsewhere, and is not right. None where no labels are given.
    """

    inputs: Callable[[int], tuple]
    score: Callable[[Any, int], float]
    goal: float
    unit: str = "%"
    permuted: Callable[[int], tuple] | None = None
    by_chance: float = 30.0
    finisher: str | None = None
    more: Callable[[int], tuple] = lambda seed: ()
    explain: Callable[[Any, int], Sequence[tuple[str, str]]] = lambda report, seed: ()
    level: str = "Challenge"

    def _judge(self, answer: Answer, seed: int) -> Verdict:
        reply = answer.call(self.inputs(seed), self.finisher, self.more(seed))
        if reply.error:
            return error_verdict(reply)
        report, made_of = reply.value["result"], ()
        try:
            score, made_of = float(self.score(report, seed)), self.explain(report, seed)
        except Exception as error:  # the score reads what a stranger's code returned
            score = None
            unreadable = f"{show_value(report)} cannot be scored ({error}). Read again what it has to return."
        mistake = self._known_mistake(lambda known: known.matches is not None and bool(known.matches(report, score)))
        reached = [] if score is None else [("reached", f"{score:.1f} {self.unit}")]
        reached += [("goal", f"{self.goal:g} {self.unit}"), *made_of]
        if score is None or mistake:
            return wrong(self, mistake, "" if mistake else unreadable, [*reached, *printed(reply)])
        if score >= self.goal and self.permuted:
            again = self._without_labels(answer, seed)
            reached.append(("with permuted labels", f"{again:.1f} {self.unit}"))
            if again > self.by_chance:
                details = [*reached, *printed(reply)]
                return verdict(Outcome.WRONG, LEARNED_ELSEWHERE, details, mistake="learned elsewhere")
        details = [*reached, *leaderboard(self.id, score, self.unit), *printed(reply)]
        if score < self.goal:
            return verdict(Outcome.WRONG, "it works, but the goal is further up.", details, score=score)
        return verdict(Outcome.CORRECT, "goal reached. How far up can you go?", details, score=score)

    def _without_labels(self, answer: Answer, seed: int) -> float:
        """Return the score with permuted labels, 0 where the answer finds nothing in them and stumbles."""
        answer.anew()
        reply = answer.call(self.permuted(seed), self.finisher, self.more(seed))
        try:
            return float(self.score(reply.value["result"], seed)) if reply.error is None else 0.0
        except Exception:  # the score reads what a stranger's code returned
            return 0.0


LEARNED_ELSEWHERE = (
    "the score is high, but it does not come from the labels that the function was given. That was noticed so: the "
    "check called it once more with the same labels permuted, which say nothing. An answer that learns from them falls "
    "to chance, and yours does not. So it knows the answers from elsewhere: from other images with labels, a file, or "
    "a variable of the notebook. Let it learn from its arguments alone."
)
