"""Take out of the notebooks what git shall not keep: outputs, but for those that nbval compares, and widget states."""

import sys
from pathlib import Path

import nbformat

from tlcourse.teaching.student_edition import METADATA

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
COMPARED = "NBVAL_CHECK_OUTPUT"


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook as git shall keep it."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        for passing in ("execution", "collapsed", "scrolled", "trusted"):
            cell.metadata.pop(passing, None)
        if cell.cell_type == "code" and COMPARED not in cell.source:
            cell.outputs, cell.execution_count = [], None
    return notebook


def main() -> int:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        before = path.read_text(encoding="utf-8")
        text = nbformat.writes(strip(nbformat.reads(before, as_version=4))) + "\n"
        if text != before:
            path.write_text(text, encoding="utf-8")
            print(f"stripped {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
