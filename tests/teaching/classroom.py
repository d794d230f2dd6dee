"""Notebooks as students hand them in, and whether answers can be fenced in on this machine."""

import csv
import functools
import os

import nbformat
import pytest

from tlcourse.lessons.registry import find
from tlcourse.teaching import bubblewrap
from tlcourse.teaching.marks import names_in
from tlcourse.teaching.student_edition import cells_of

# Where it is "required", as in .ci/run, a missing fence is a failure.
REQUIRED = os.environ.get("TLCOURSE_BUBBLEWRAP") == "required"
why_not = functools.cache(bubblewrap.why_not)


def needs_fence():
    if not REQUIRED and why_not():
        pytest.skip(why_not())


def references(number):
    return {name.partition(".")[2]: find(name).reference for name in names_in(number)}


def notebook(number, answers=None):
    """A notebook with the exercises' own cells, and answers by short name."""
    cells = cells_of(number)
    for name, source in (answers or {}).items():
        cells[f"{number}-{name}-answer"].source = source
    return nbformat.v4.new_notebook(cells=list(cells.values()))


def put(folder, student, written, name="00_start_here.ipynb"):
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written if isinstance(written, str) else nbformat.writes(written), encoding="utf-8")
    return path


def marks_in(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}
