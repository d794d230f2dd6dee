"""The command that marks what a class handed in."""

import argparse
import contextlib
import os
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tlcourse.exercises.card import Outcome
from tlcourse.exercises.kinds import Challenge
from tlcourse.lessons.registry import exercises_of
from tlcourse.storage import check_writable, write_atomically
from tlcourse.teaching import bubblewrap, marking
from tlcourse.teaching.judges import Bench, Judge, JudgeError
from tlcourse.teaching.marking import clean
from tlcourse.teaching.marks import Mark, Row, names_in, write_marks
from tlcourse.teaching.report import report
from tlcourse.teaching.submissions import Submission, find_submissions, names_of
from tlcourse.teaching.unfinished import Unfinished, place

HIGHEST_SEED = 1_000_000
DRAWS = 5  # how often a seed is drawn until the course's own answers reach their goals with it
FENCED = "Answers ran fenced in by bubblewrap: no network, no solutions, and one small folder to write in."
TRUSTED = "Answers ran without a fence (--trusted): as programs of the teacher's, with limits on time and memory alone."
GOES_ON = "What is marked is kept, and the same command goes on from there."
NO_FENCE = """handed-in answers are programs, and here nothing would fence them in: {}. Nothing was marked. Two ways on:
  * in a container, with the command in the README (on Debian and Ubuntu, `apt install bubblewrap` may be all it takes)
  * --trusted, for a class that you trust: its answers run as programs of yours, with limits on time and memory alone"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `tlcourse grade` understands."""
    parser.add_argument(
        "submissions", nargs="+", type=Path, metavar="SUBMISSIONS", help="notebooks, or folders that hold them"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="the table of marks to write")
    parser.add_argument("--reports", type=Path, metavar="DIR", help="the students' pages; by default beside the table")
    parser.add_argument("--seed", type=int, help="repeat the draws of an earlier run")
    parser.add_argument("--jobs", type=int, help="notebooks marked at the same time; by default one a core, at most 4")
    parser.add_argument("--trusted", action="store_true", help="run answers without a fence, as programs of yours")


def run(options: argparse.Namespace) -> int:
    """Mark, write the table and the reports, and say where they are, of what was marked when Ctrl-C stopped it, too.

    Raises OSError when something cannot be written, ValueError for nothing to mark or an option without sense.
    """
    reports = options.reports or options.out.with_name(f"{options.out.stem}-reports")
    written = [path.absolute() for path in (options.out, reports, place(options.out))]
    submissions = find_submissions(options.submissions, written)
    _check(options, submissions, reports)
    sandbox, fence = ("none", TRUSTED) if options.trusted else ("bubblewrap", FENCED)
    unfinished = Unfinished(options.out, sandbox)
    rows: dict[int, Row] = {}
    print(f"{len(submissions)} notebooks" + (f"; {unfinished}" if unfinished.seed is not None else ""), flush=True)
    seed = unfinished.seed if options.seed is None else options.seed
    with contextlib.closing(Bench(options.jobs or min(os.cpu_count() or 1, 4))) as judges:
        try:
            read = _named(judges.share(_read, submissions))
            seed = fair_seed(judges, {row.number for row in read if row.number}, seed, options.trusted)
            print(f"seed {seed}; --seed {seed} draws the same inputs again. {fence}", flush=True)
            unfinished.begin(seed)
            _mark_all(judges, read, rows, unfinished, options.trusted)
        except KeyboardInterrupt:
            if not rows:  # an older table stays
                raise KeyboardInterrupt(GOES_ON) from None
    for row in rows.values():
        page = report(row, seed, time.strftime("%Y-%m-%d %H:%M"), fence)
        write_atomically(reports / _page(row.submission), page.encode("utf-8", "replace"))
    write_marks(options.out, [row for _, row in sorted(rows.items())], sandbox)
    print(f"{options.out}: {len(rows)} of {len(submissions)} notebooks. What students may read is in {reports}.")
    if len(rows) < len(submissions):
        raise KeyboardInterrupt(GOES_ON)
    unfinished.finish()
    return 0


def _check(options: argparse.Namespace, submissions: Sequence[Submission], reports: Path) -> None:
    """Refuse what cannot work now, and not after ten minutes of marking."""
    if options.seed is not None and options.seed < 0:
        raise ValueError(f"--seed {options.seed} came. Expected a whole number from 0 on.")
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs {options.jobs} came. Expected 1 or more.")
    if options.out.is_dir() or options.out.absolute() in [submission.path.absolute() for submission in submissions]:
        raise ValueError(f"--out {options.out} is a folder or a submission. Expected the name of a table to write.")
    if reports.exists() and not reports.is_dir():
        raise ValueError(f"--reports {reports} is a file. Expected a folder, or a name that is still free.")
    if not options.trusted and (reason := bubblewrap.why_not()):
        raise ValueError(NO_FENCE.format(reason))
    check_writable(options.out)


def fair_seed(judges: Bench, numbers: Collection[str], seed: int | None = None, trusted: bool = False) -> int:
    """Draw a seed with which the course's own answers reach the goals of the notebooks' challenges.

    A given seed is taken in any case, but told when it is not fair. Raises ValueError when no draw was fair.
    """
    names = [e.id for number in sorted(numbers) for e in exercises_of(number) if isinstance(e, Challenge)]
    for _ in range(DRAWS):
        drawn = secrets.randbelow(HIGHEST_SEED) if seed is None else seed
        found = judges.share(lambda judge, name, drawn=drawn: _reference(judge, name, drawn, trusted), names)
        missed = [name for name, given in zip(names, found, strict=True) if given["outcome"] != Outcome.CORRECT.value]
        if not missed:
            return drawn
        print(f"with the seed {drawn}, the course's own answer to {', '.join(missed)} misses its goal", flush=True)
        if seed is not None:
            return seed
    message = f"{DRAWS} seeds were drawn, and with none do the course's own answers to {', '.join(missed)} pass"
    raise ValueError(f"{message} ({found[0]['message']}). Nothing was marked. Close other programs, or install again.")


def _reference(judge: Judge, name: str, seed: int, trusted: bool) -> Mapping[str, Any]:
    return judge.ask(marking.check_reference, name, seed, trusted, exercise=name)


def _read(judge: Judge, submission: Submission) -> Row:
    """Say what a file is, without running anything of it."""
    if submission.complaint:
        return Row(submission, note=f"{submission.path.name}: {submission.complaint}")
    try:
        read = judge.ask(marking.read, str(submission.path))
    except JudgeError as error:
        return Row(submission, note=f"{submission.path.name}: it could not be read ({error})")
    return Row(submission, read["number"], note=read["complaint"] and f"{submission.path.name}: {read['complaint']}")


def _named(rows: Sequence[Row]) -> list[Row]:
    names = names_of([row.submission for row in rows], [row.number for row in rows])
    return [replace(row, name=clean(name)) for row, name in zip(rows, names, strict=True)]


def _mark_all(judges: Bench, read: Sequence[Row], rows: dict[int, Row], unfinished: Unfinished, trusted: bool) -> None:
    """Mark what can be marked and was not before, and fill `rows` as they are finished."""
    total = sum(len(names_in(row.number)) for row in read)
    with tqdm(total=total, desc="marking", unit="answer", disable=None) as bar:

        def mark_student(judge: Judge, indices: Sequence[int]) -> None:
            numbers = sorted({read[index].number for index in indices} - {""})
            for index in indices:
                row, names = read[index], names_in(read[index].number)
                marks = unfinished.marks(row) if names else []
                if marks is not None:
                    bar.update(len(marks))
                    rows[index] = replace(row, marks=marks)
                    continue
                marks = []
                for name in names:
                    marks.append(_mark(judge, row.submission.path, name, unfinished.seed, trusted, numbers))
                    bar.update()
                rows[index] = replace(row, marks=marks)
                unfinished.keep(rows[index])
            if numbers:
                with contextlib.suppress(JudgeError):  # then the process is gone already
                    judge.ask(marking.finish, numbers, trusted)

        judges.share(mark_student, list(_by_student(read).values()))


def _by_student(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return whose notebooks are which; one who handed in several has one process for all of them."""
    students: dict[str, list[int]] = {}
    for index, name in enumerate(names_of([row.submission for row in rows], [row.number for row in rows])):
        students.setdefault(name, []).append(index)
    return students


def _mark(judge: Judge, path: Path, name: str, seed: int, trusted: bool, numbers: Sequence[str]) -> Mark:
    try:
        return Mark(name, **judge.ask(marking.mark, str(path), name, seed, trusted, numbers, exercise=name))
    except JudgeError as error:
        note = f"marking it failed ({clean(str(error))}); look at it yourself"
        message = "this answer brought the marking down; your teacher will look at it."
        return Mark(name, "NOT MARKED", message, notes=[note])


def _page(submission: Submission) -> Path:
    """The place of a report, in a folder with the same folders as that of the submissions."""
    return Path(submission.inside.with_name(submission.inside.name.removesuffix(".ipynb") + ".html"))
