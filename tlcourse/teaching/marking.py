"""Marking one answer: it runs in a process of its own, fenced in, and the course's own check asks it there.

A judge does this, another process: a check that chokes on a stranger's values takes no other marks along.
"""

import functools
import linecache
import os
import re
import site
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from tlcourse.exercises.answers import error_verdict
from tlcourse.exercises.card import Outcome, Verdict, verdict
from tlcourse.exercises.exercise import Exercise
from tlcourse.exercises.kinds import Challenge, Function
from tlcourse.exercises.quiz import Quiz
from tlcourse.exercises.runner.process import TRAINING, Limits, Reply, Sandbox
from tlcourse.exercises.runner.worker import ANSWER_FILE
from tlcourse.lessons.registry import exercises_of, find
from tlcourse.teaching import bubblewrap, cell_code
from tlcourse.teaching.cell_code import LONGEST_CELL, NotPythonError, as_python
from tlcourse.teaching.reading import Cell, SubmissionError, find_answer, notebook_number, read_cells
from tlcourse.teaching.stand_ins import stand_ins

OTHER_CELLS = "<other cells>"
ALL_CALLS = 3  # all calls of an answer together may take this many times as long as one
LONGEST_TEXT = 3_000  # letters of what a report shows at one place
NEEDED = ("PATH", "LANG", "LD_LIBRARY_PATH")  # of a teacher's environment; no keys, no names
PRIVATE = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "TLCOURSE_CACHE", "MPLCONFIGDIR", "XDG_CACHE_HOME")
QUIET = {"MPLBACKEND": "agg", "JOBLIB_MULTIPROCESSING": "0", "PYTHONDONTWRITEBYTECODE": "1", "LOGNAME": "student"}
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
MISSING = "NO ANSWER CELL"
Plain = dict[str, Any]


class SubmittedAnswer:
    """An answer from a file: it lives in the process in which its cell was run, and only values come out."""

    def __init__(self, box: Sandbox, limits: Limits) -> None:
        self._box, self._limits = box, limits
        self._left = ALL_CALLS * limits.seconds
        self._ran: list[Mapping[str, str]] = []

    def value(self) -> Reply:
        return self._ask("get")

    def call(self, arguments: tuple, finisher: str | None = None, more: tuple = ()) -> Reply:
        return self._ask("call", arguments=arguments, finisher=finisher, more=more)

    def prepare(self, setup: str) -> list[str]:
        """Give the names that a notebook has, before a cell is run, and return them."""
        self._setup = setup
        given = self._box.ask("prepare", 60.0, setup=setup)
        if given.error:
            raise RuntimeError(f"the names that notebooks have cannot be made: {given.error['message']}")
        return given.value

    def run(self, source: str, name: str, file: str = ANSWER_FILE) -> Reply:
        """Run a cell, and take what it calls `name` as the answer."""
        lines = [line + "\n" for line in source.split("\n")]
        linecache.cache[file] = (len(source), None, lines, file)  # for the lines of errors
        self._ran.append({"source": source, "name": name, "file": file})
        return self._ask("run", **self._ran[-1])

    def anew(self) -> None:
        """Run the cells again in a clean process."""
        self._box.renew()
        self.prepare(self._setup)
        for cell in self._ran:
            self._ask("run", **cell)

    def _ask(self, task: str, **arguments: object) -> Reply:
        if self._left <= 0:
            message = f"all its calls together took more than {ALL_CALLS * self._limits.seconds:g} seconds"
            return Reply(error={"type": "TimeLimit", "message": message, "frames": []})
        begin = time.monotonic()
        reply = self._box.ask(task, **arguments)
        self._left -= time.monotonic() - begin
        if reply.error is None:
            return reply
        # a forged reply could name any file of this machine, and the report would show its lines
        frames = [frame for frame in reply.error["frames"] if frame[0] in (ANSWER_FILE, OTHER_CELLS)]
        return replace(reply, error={**reply.error, "frames": frames})


def read(path: str) -> Plain:
    """Say which notebook a file is: its `number`, or a `complaint`."""
    try:
        return {"number": notebook_number(read_cells(Path(path)), Path(path)), "complaint": ""}
    except SubmissionError as error:
        return {"number": "", "complaint": clean(str(error))}


def mark(path: str, name: str, seed: int, trusted: bool = False, numbers: Sequence[str] = ()) -> Plain:
    """Mark one answer of one notebook; `seed` draws what the check tries, who is `trusted` has no fence around.

    `numbers` are those of all notebooks of this student; their answers run in copies of one process.
    """
    item, box = find(name), _box(tuple(numbers) or (name[:2],), trusted)
    cells = read_cells(Path(path))
    found = find_answer(cells, item)
    begin = time.perf_counter()
    notes = [found.note] if found.cell and found.note else []
    if found.cell is None:
        given = verdict(Outcome.NOT_ATTEMPTED, f"{found.note}. Nothing could be marked here.")
        given = replace(given, title=MISSING)
    else:
        given = _judge(item, found.cell, [c.source for c in cells if _may_help(c, found.cell)], seed, box, notes)
    source = found.cell.source if found.cell else ""
    return _plain(given, notes, source, time.perf_counter() - begin)


def check_reference(name: str, seed: int, trusted: bool = False) -> Plain:
    """Mark the course's own answer, to see whether the draw of this seed is a fair one."""
    item, numbers = find(name), (name[:2],)
    found = _judge(item, Cell("code", (), item.reference), [], seed, _box(numbers, trusted), [])
    finish(numbers, trusted)
    return _plain(found, [], "", 0.0)


def _may_help(cell: Cell, answer: Cell) -> bool:
    """Say whether an answer may use what a cell defines; a check never runs."""
    check = any(name.endswith("-check") for name in cell.names)
    return cell.kind == "code" and cell is not answer and not check and len(cell.source) <= LONGEST_CELL


def _judge(
    item: Exercise | Quiz, cell: Cell, others: Sequence[str], seed: int, box: Sandbox, notes: list[str]
) -> Verdict:
    if len(cell.source) > LONGEST_CELL:
        return verdict(Outcome.ERROR, f"the cell has {len(cell.source):,} letters; at most {LONGEST_CELL:,} are run.")
    if cell_code.is_empty(cell.source) or cell_code.same_program(cell.source, item.starter):
        return item.not_attempted()
    if cell_code.same_definition(cell.source, item.starter, item.answer):
        return item.not_attempted()
    try:
        code, left_out = as_python(cell.source)
    except NotPythonError as error:
        return verdict(Outcome.ERROR, str(error))
    notes += [left_out] if left_out else []
    box.limits = item.limits
    if box.starts_quickly:
        box.renew()
    answer = SubmittedAnswer(box, item.limits)
    return _run(item, answer, code, others, notes) or _ask(item, answer, seed)


def _run(
    item: Exercise | Quiz, answer: SubmittedAnswer, code: str, others: Sequence[str], notes: list[str]
) -> Verdict | None:
    """Run the cell; return a verdict when there is nothing to check after it."""
    given = answer.prepare(item.setup + stand_ins())
    before, names = cell_code.taken_along(code, [_python(source) for source in others], given)
    if names:
        notes.append(f"taken along from other cells: {', '.join(names[:8])}")
        helped = answer.run(before, item.answer, OTHER_CELLS)
        notes += [f"these raised {helped.error['type']}: {helped.error['message']}"] if helped.error else []
    ran = answer.run(code, item.answer)
    return error_verdict(ran) if ran.error else _look(item, answer, ran.value)


def _look(item: Exercise | Quiz, answer: SubmittedAnswer, ran: object) -> Verdict | None:
    """Look at what a cell made; `ran` comes from behind the fence, so it may be anything."""
    ran = ran if isinstance(ran, dict) else {}
    if not ran.get("there"):
        made = ran.get("made") if isinstance(ran.get("made"), list) else []
        named = ", ".join(f"`{str(name)[:60]}`" for name in made[:5]) or "nothing"
        return verdict(Outcome.ERROR, f"the cell defines {named}, but `{item.answer}` was expected. Was it renamed?")
    function = isinstance(item, Function | Challenge)
    if function and ran.get("callable"):
        return None
    value = answer.value()
    if value.error is None and item.untouched(value.value):
        return item.not_attempted()
    if function:
        return verdict(Outcome.ERROR, f"`{item.answer}` is not a function. Expected one that the check can call.")
    return error_verdict(value) if value.error else None


def _ask(item: Exercise | Quiz, answer: SubmittedAnswer, seed: int) -> Verdict:
    try:
        return item.judge(answer, seed)
    except Exception as error:  # a check meets here whatever a stranger's code returned
        message = f"the check could make nothing of what came back ({type(error).__name__})."
        return verdict(Outcome.ERROR, f"{message} Expected a value of the kind that the exercise names.")


def _python(source: str) -> str:
    try:
        return as_python(source)[0]
    except NotPythonError:
        return ""


@functools.cache
def _box(numbers: tuple[str, ...], trusted: bool) -> Sandbox:
    """The process for the answers of one student: it imports once, and every answer begins in a clean copy of it."""
    torch.set_num_threads(1)  # one core a judge, and the same numbers with any number of judges
    exercises = [exercise for number in numbers for exercise in exercises_of(number)]
    setups = "\n".join(dict.fromkeys(exercise.setup for exercise in exercises))
    trains = any(isinstance(exercise, Challenge) and exercise.finisher for exercise in exercises)
    now = TRAINING * trains + setups
    if not trusted:
        return Sandbox(fence=bubblewrap.fence(), environment=_environment(bubblewrap.FOLDER, NEEDED), now=now)
    folder = tempfile.mkdtemp()
    return Sandbox(environment=_environment(folder, os.environ), folder=folder, now=now)


def _environment(folder: str, kept: Iterable[str]) -> dict[str, str]:
    own = {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONUSERBASE": site.getuserbase()}
    return own | dict.fromkeys(PRIVATE, folder) | QUIET | ONE_CORE


def finish(numbers: Sequence[str], trusted: bool = False) -> None:
    """End the process for a student: nothing of it is left for the next one."""
    _box(tuple(numbers), trusted).close()


def _plain(given: Verdict, notes: Sequence[str], source: str, seconds: float) -> Plain:
    told = {key: value for key, value in asdict(given).items() if key in ("share", "score", "mistake")}
    details = [[clean(name), clean(text)] for name, text in given.details if name != "your runs"]
    return told | {
        "outcome": given.title,
        "message": clean(given.message),
        "details": details,
        "notes": [clean(note) for note in notes],
        "source": clean(source),
        "seconds": seconds,
    }


def clean(text: str) -> str:
    """Return a stranger's text without letters that control a terminal or cannot be written, and not too long."""
    text = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    text = re.sub(r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)
    return text.encode("utf-8", "replace").decode()
