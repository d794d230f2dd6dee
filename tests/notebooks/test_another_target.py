"""Notebooks 00 to 04 run on CIFAR-10 by changing the one line that names their target."""

import itertools
import re
from pathlib import Path

import nbformat
import pytest

from tlcourse.data import cifar10
from tlcourse.training import recipe
from tlcourse.training.loop import fit

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("0[0-4]_*.ipynb"))
# what stays whatever WORLD is
OWN_WORLD = ("written", "new_written", "letters", "new_letters", "old_images", "again", "easy")


def code_of(notebook, end=None):
    """The code of a notebook, up to a heading."""
    cells = nbformat.read(notebook, as_version=4).cells
    before = itertools.takewhile(lambda cell: not end or not cell.source.startswith(end), cells)
    return "\n".join(cell.source for cell in before if cell.cell_type == "code")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_line_of_a_notebook_names_the_target(notebook):
    lines = code_of(notebook).splitlines()
    (naming,) = [line for line in lines if line.startswith("WORLD = ")]
    assert naming.startswith('WORLD = "handwritten-photo"  # or "cifar10"')
    assert sum("WORLD" in line for line in lines) > 1, "the name is not used"
    whole = r"tl\.(load|train_test)\(\"|train_validation_test\(\)|evaluation_sets\(\)"
    loads = [line for line in lines if re.search(whole, line) and 'split="exam"' not in line]  # that one is refused
    assert all(set(re.findall(r"\w+", line.split("=")[0])) <= set(OWN_WORLD) for line in loads), loads


@pytest.mark.usefixtures("fake_cifar10")
def test_notebook_00_runs_on_it_by_changing_one_line(monkeypatch):
    """All that it measures, with short trainings; the lab and the exercises have worlds of their own."""
    monkeypatch.setattr(cifar10, "IN_A_NOTEBOOK", 300)
    monkeypatch.setattr(recipe, "fit", lambda *given, epochs, **options: fit(*given, epochs=1, **options))
    code = code_of(NOTEBOOKS[0], end="## Lab")
    changed = code.replace('WORLD = "handwritten-photo"', 'WORLD = "cifar10"').replace("range(5)", "range(2)")
    names = {}
    exec(changed, names)
    assert names["digits"].name == "cifar10, train"
