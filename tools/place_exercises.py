"""Put every exercise and quiz into its notebook, word for word as the package has it.

The notebook says where an exercise stands, by the ids of its cells, such as `02-q1-prompt`; the words come from here.
"""

import sys
from pathlib import Path

import nbformat

from tlcourse.lessons.registry import MODULES
from tlcourse.teaching.student_edition import cells_of

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def place(notebook, number):
    """Give the cells of the exercises their words; returns the ids that have no place yet."""
    cells = cells_of(number)
    for i, cell in enumerate(notebook.cells):
        if cell.get("id") in cells:
            notebook.cells[i] = cells.pop(cell.id)
    return list(cells)


def main():
    lost = []
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        number = path.stem[:2]
        if number in MODULES:
            before = path.read_text(encoding="utf-8")
            notebook = nbformat.reads(before, as_version=4)
            lost += [f"{path.name}: no cell {name}" for name in place(notebook, number)]
            text = nbformat.writes(notebook) + "\n"
            if text != before:
                path.write_text(text, encoding="utf-8")
                print(f"placed the exercises of {path.name}")
    print("\n".join(lost), file=sys.stderr)
    return bool(lost)


if __name__ == "__main__":
    sys.exit(main())
