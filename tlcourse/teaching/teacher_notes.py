"""What a teacher reads below a check: what it is for, how long it takes, and what people get wrong."""

import re
from collections.abc import Sequence

from tlcourse.exercises.exercise import Exercise, Mistake
from tlcourse.exercises.quiz import Question, Quiz

TITLE = "**For the teacher**"


def exercise_note(exercise: Exercise, objective: str, seconds: float | None) -> str:
    """Return, as Markdown, an exercise's objective, level, times and points, a second right answer, and mistakes."""
    facts = [
        f"**Objective {exercise.objective}**: {objective}",
        f"**Level**: {exercise.level}",
        f"**Time for a learner**: about {exercise.minutes} minutes",
        f"**The check takes**: {_duration(seconds)}",
        f"**Points**: {exercise.points}",
    ]
    parts = [f"{TITLE}, exercise {exercise.id}", _listed(facts)]
    parts += ["Another right answer:", fenced(exercise.alternative)]
    parts += ["Common mistakes, and what the card says about each:"]
    parts += [_mistake(number, mistake) for number, mistake in enumerate(exercise.mistakes, 1)]
    return "\n\n".join(parts)


def quiz_note(quiz: Quiz, seconds: float | None) -> str:
    """Return, as Markdown, a quiz's points and time, the right letters, and what each wrong one is told."""
    share = f"in equal shares for {len(quiz.questions)} questions"
    facts = [f"**The check takes**: {_duration(seconds)}", f"**Points**: {quiz.points}, {share}"]
    said = [_question(number, question) for number, question in enumerate(quiz.questions, 1)]
    parts = [f"{TITLE}, {quiz.id}", _listed(facts), "What the card says to each letter:", *said]
    return "\n\n".join(parts)


def fenced(code: str) -> str:
    """Return code as a Markdown block, whatever stands in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}python\n{code.rstrip()}\n{fence}"


def plain(text: str) -> str:
    """Return a card's text as Markdown that shows it letter for letter, code between backticks aside."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else re.sub(r"([\\*<$|~\[\]])", r"\\\1", part) for i, part in enumerate(parts))


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)


def _mistake(number: int, mistake: Mistake) -> str:
    """One mistake as an entry of a numbered list, code and message indented below its name."""
    entry = f"*{plain(mistake.name)}*\n\n{fenced(mistake.answer)}\n\n" + "> " + plain(mistake.message)
    return f"{number}. " + entry.replace("\n", "\n   ").replace("\n   \n", "\n\n")


def _question(number: int, question: Question) -> str:
    lines = [
        f"   * **{letter}** is {'**right**' if option.right else 'wrong'}. {plain(option.because)}"
        for letter, option in question.letters().items()
    ]
    return "\n".join([f"{number}. {question.text}", *lines])


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "not measured"
    return f"{seconds:.1f} s" if seconds >= 0.1 else "less than 0.1 s"
