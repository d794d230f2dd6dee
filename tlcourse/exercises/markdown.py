"""Exercises and quizzes are Markdown files, so that what a learner reads is written and read as text.

`exercises.md` holds one heading an exercise, `# 00.q1: its title`, below it a list of keys (`- level: Read`), and then
`## Prompt`, `## Setup`, `## Starter`, `## Reference`, `## Alternative` (code between fences), `## Hints` (a numbered
list), and one `## Mistake: its name` each, with the answer as people write it and then what they are told. A function
may have `## Look at`, what is to be foreseen has `## Why`, and its code is the block in the prompt. A `# Setup` before
the first exercise counts for all that have none of their own.

`quiz.md` holds `# 00.quiz`, one `## q1` a question, and an item `- [ ] option` each, `- [x]` for the right one, with
the reason indented below it. Every paragraph is one line, as it stands in the notebook.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlcourse.exercises.exercise import Exercise, Mistake
from tlcourse.exercises.kinds import Challenge, Foresee, Function, Mend, Value
from tlcourse.exercises.quiz import Option, Question, Quiz
from tlcourse.exercises.runner.process import Limits

KINDS = {kind.__name__: kind for kind in (Value, Foresee, Function, Mend, Challenge)}
BLOCK = re.compile(r"^```python\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
Part = tuple[str, str]  # a heading and the text below it


class ExerciseTextError(ValueError):
    """A text is not written as exercises are; the message names the file, the exercise and the heading."""


def read_exercises(checks: str | Path, **code: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the exercises and the quiz of a lesson, which lie beside its `checks.py` (its `__file__`).

    `code` holds what a text cannot, by the name of the exercise: `q2={"cases": ..., "mistakes": {name: matcher}}`.
    Raises ExerciseTextError.
    """
    folder = Path(checks).parent
    exercises = exercises_in(folder / "exercises.md", code)
    lost = code.keys() - {_short(exercise.id) for exercise in exercises}
    if lost:
        raise ExerciseTextError(f"{folder / 'exercises.md'} has no exercise {min(lost)}, for which there is code.")
    return *exercises, quiz_in(folder / "quiz.md")


def exercises_in(path: Path, code: Mapping[str, Mapping[str, Any]]) -> list[Exercise]:
    """Return the exercises of a file; raises ExerciseTextError."""
    parts = _parts(path.read_text(encoding="utf-8"), "# ")
    setup = next((_code(text, f"{path}, Setup") for heading, text in parts if heading == "Setup"), "")
    return [_exercise(part, path, setup, code) for part in parts if part[0] not in ("", "Setup")]


def quiz_in(path: Path) -> Quiz:
    """Return the quiz of a file; raises ExerciseTextError."""
    (_, (name, text)) = _parts(path.read_text(encoding="utf-8"), "# ")
    questions = [_question(text, f"{path}, {heading}") for heading, text in _parts(text, "## ") if heading]
    return Quiz(name, tuple(questions))


def _parts(text: str, mark: str) -> list[Part]:
    """Divide a text at its headings of one level; a comment in fenced code is none."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if line.startswith(mark) and not fenced:
            parts.append((line.removeprefix(mark), []))
        else:
            parts[-1][1].append(line)
    return [(heading.strip(), "\n".join(lines).strip()) for heading, lines in parts]


def _exercise(part: Part, path: Path, setup: str, code: Mapping[str, Mapping[str, Any]]) -> Exercise:
    name, _, title = part[0].partition(": ")
    where = f"{path}, {name}"
    (_, listed), *sections = _parts(part[1], "## ")
    keys = _keys(listed, where)
    kind = keys.pop("kind", None)
    if not re.fullmatch(r"\d\d\.q\d", name) or kind not in KINDS:
        expected = f"a heading such as `# 00.q1: title`, and a kind of {list(KINDS)}"
        raise ExerciseTextError(f"{where}: kind {kind!r} came. Expected {expected}.")
    given = dict(code.get(_short(name), {}))
    matchers = given.pop("mistakes", {})
    fields = {"id": name, "title": title, "setup": setup} | keys | _sections(sections, where, matchers)
    if kind == "Foresee":
        fields["snippet"] = next(iter(BLOCK.findall(fields["prompt"])), "")
    try:
        return KINDS[kind](**fields, **given)
    except TypeError as error:  # a field that is missing, twice there, or not of this kind
        raise ExerciseTextError(f"{where}: {error}. Add it, or take it out.") from error


def _keys(listed: str, where: str) -> dict[str, Any]:
    keys = {}
    for line in listed.splitlines():
        key, colon, value = line.removeprefix("- ").partition(": ")
        if not colon or key not in READ:
            raise ExerciseTextError(f"{where}: the line {line!r} came. Expected `- key: value`, a key of {list(READ)}.")
        try:
            keys[key] = READ[key](value)
        except (ValueError, AttributeError) as error:
            raise ExerciseTextError(f"{where}: {value!r} is no value for {key} ({error}).") from error
    return keys


def _limits(text: str) -> Limits:
    seconds, memory = re.fullmatch(r"(\d+) s, (\d+) GiB", text).groups()
    return Limits(float(seconds), int(memory) * 2**30)


READ: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("kind", "level", "answer", "unit"), str),
    **dict.fromkeys(("objective", "minutes", "points"), int),
    **dict.fromkeys(("tolerance", "goal"), float),
    "limits": _limits,
}


def _sections(sections: Iterable[Part], where: str, matchers: Mapping[str, Callable]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    mistakes = []
    for heading, text in sections:
        here = f"{where}, {heading}"
        if heading.startswith("Mistake: "):
            mistakes.append(_mistake(heading.removeprefix("Mistake: "), text, here, matchers))
        elif heading in SECTIONS and SECTIONS[heading][0] not in fields:
            field, read = SECTIONS[heading]
            fields[field] = read(text, here)
        else:
            raise ExerciseTextError(f"{here}: this heading is unknown or there twice. Expected {list(SECTIONS)}.")
    lost = matchers.keys() - {mistake.name for mistake in mistakes}
    if lost:
        raise ExerciseTextError(f"{where}: there is no `## Mistake: {min(lost)}`, for which there is code.")
    return fields | {"mistakes": tuple(mistakes)}


def _mistake(name: str, text: str, where: str, matchers: Mapping[str, Callable]) -> Mistake:
    block = BLOCK.match(text)
    message = text[block.end() :].strip() if block else ""
    if not message:
        raise ExerciseTextError(f"{where}: expected one block of Python between ```python and ```, then a message.")
    return Mistake(name, block[1], message, matchers.get(name))


def _code(text: str, where: str) -> str:
    block = BLOCK.fullmatch(text)
    if not block:
        raise ExerciseTextError(f"{where}: expected one block of Python between ```python and ```, and nothing else.")
    return block[1]


def _prose(text: str, where: str) -> str:
    if not text:
        raise ExerciseTextError(f"{where}: nothing came. Expected a text.")
    return text


def _hints(text: str, where: str) -> tuple[str, ...]:
    hints = re.split(r"^\d+\. ", text, flags=re.MULTILINE)
    if len(hints) < 2 or hints[0]:
        raise ExerciseTextError(f"{where}: expected a numbered list, `1. ` and so on.")
    return tuple(hint.strip() for hint in hints[1:])


SECTIONS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "Prompt": ("prompt", _prose),
    "Setup": ("setup", _code),
    "Starter": ("starter", _code),
    "Reference": ("reference", _code),
    "Alternative": ("alternative", _code),
    "Hints": ("hints", _hints),
    "Look at": ("look_at", _prose),
    "Why": ("why", _prose),
}


def _question(text: str, where: str) -> Question:
    asked, *rest = re.split(r"^- \[([ x])\] ", text, flags=re.MULTILINE)
    options: Sequence[Option] = [_option(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
    if not asked.strip() or sum(option.right for option in options) != 1:
        raise ExerciseTextError(f"{where}: expected a question, and options `- [ ]` of which one is `- [x]`.")
    if not all(option.because for option in options):
        raise ExerciseTextError(f"{where}: expected the reason below every option, indented.")
    return Question(asked.strip(), tuple(options))


def _option(sign: str, text: str) -> Option:
    said, _, because = text.partition("\n")
    return Option(said, because.strip(), sign == "x")


def _short(name: str) -> str:
    return name.partition(".")[2]
