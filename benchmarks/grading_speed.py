"""How long a class of thirty takes to mark: one notebook each, and all notebooks each.

    python benchmarks/grading_speed.py [--jobs N] [--students 30]

Close other programs first. A third of the students hand in the course's own answers, a third the second way to write
them, a third answers with a known mistake. The first table says where the time goes for one student, on one core; the
first answer of all has the start of the process in it.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import nbformat

import tlcourse as tl
from tlcourse import cli
from tlcourse.lessons.registry import MODULES, exercises_of, find, quiz_of
from tlcourse.teaching import marking
from tlcourse.teaching.judges import Judge
from tlcourse.teaching.marks import names_in
from tlcourse.teaching.student_edition import cells_of


def answers(number: str, student: int) -> dict[str, str]:
    """What a student writes, by id of the cell."""
    ways = ("reference", "alternative", "mistake")
    way = ways[student % 3]
    written = {quiz_of(number).id: quiz_of(number).reference}
    for exercise in exercises_of(number):
        mistake = exercise.mistakes[student // 3 % len(exercise.mistakes)].answer
        written[exercise.id] = mistake if way == "mistake" else getattr(exercise, way)
    return {f"{name.replace('.', '-')}-answer": source for name, source in written.items()}


def write_notebook(folder: Path, number: str, student: int) -> Path:
    cells = list(cells_of(number).values())
    written = answers(number, student)
    for cell in cells:
        cell.source = written.get(cell.id, cell.source)
    path = folder / f"student{student:02d}" / f"{number}_{MODULES[number]}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def mark(folder: Path, jobs: int) -> float:
    begin = time.perf_counter()
    cli.main(["grade", str(folder), "--out", str(folder / "marks.csv"), "--jobs", str(jobs), "--seed", "1"])
    return time.perf_counter() - begin


def where_the_time_goes(folder: Path) -> None:
    judge = Judge()
    begin = time.perf_counter()
    judge.ask(len, "")
    print(f"  starting one judge                  {time.perf_counter() - begin:6.2f} s")
    numbers = list(MODULES)
    for name in [name for number in numbers for name in names_in(number)]:
        path = write_notebook(folder, name[:2], 0)
        begin = time.perf_counter()
        judge.ask(marking.mark, str(path), name, 1, False, numbers, exercise=name)
        print(f"  {name:8s} {type(find(name)).__name__:26s} {time.perf_counter() - begin:6.2f} s", flush=True)
    judge.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4))
    parser.add_argument("--students", type=int, default=30)
    options = parser.parse_args()
    print(tl.describe_machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        where_the_time_goes(Path(folder))
    for title, numbers in (("one notebook each", None), ("all notebooks each", list(MODULES))):
        with tempfile.TemporaryDirectory() as folder:
            for student in range(options.students):
                for number in numbers or [list(MODULES)[student // 3 % len(MODULES)]]:
                    write_notebook(Path(folder), number, student)
            seconds = mark(Path(folder), options.jobs)
        print(f"{options.students} students, {title}, {options.jobs} at a time: {seconds / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
