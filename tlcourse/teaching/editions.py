"""Two editions of the notebooks: one to hand out, and one to teach from."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from tqdm import tqdm

from tlcourse.lessons.registry import MODULES, items_of
from tlcourse.teaching.edition_folder import check_folder, write_folder
from tlcourse.teaching.edition_links import tidy_links
from tlcourse.teaching.instructor_edition import instructor_notebook, seconds_of_checks
from tlcourse.teaching.student_edition import student_notebook

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"  # beside the package, in a checkout of the course


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `tlcourse editions` understands."""
    out = "an empty folder; it gets `student` and `instructor`"
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=out)
    parser.add_argument("--notebooks", type=Path, default=NOTEBOOKS, metavar="DIR", help="the course's notebooks")
    timing = "do not measure how long the checks take"
    parser.add_argument("--no-timing", dest="timing", action="store_false", help=timing)


def run(options: argparse.Namespace) -> int:
    """Write both editions and say where they are."""
    contents = write_editions(options.out, options.notebooks, timing=options.timing)
    for edition in ("student", "instructor"):
        names = [name for name in contents if name.startswith(f"{edition}/") and name.endswith(".ipynb")]
        print(f"{options.out / edition}: {len(names)} notebooks")
    return 0


def write_editions(out: Path, notebooks: Path = NOTEBOOKS, *, timing: bool = True) -> Mapping[str, bytes]:
    """Write the student's edition into `out/student` and the instructor's into `out/instructor`.

    Without `timing` of the checks, the same notebooks give the same bytes. Returns what was written by path in `out`;
    raises ValueError when the notebooks are not the course's own or the folder holds other files.
    """
    check_folder(out, notebooks)
    sources = read_sources(notebooks)
    everything = [item for path in sources for item in items_of(path.stem[:2])]
    seconds = seconds_of_checks(tqdm(everything, "timing the checks", disable=None)) if timing else {}
    contents: dict[str, bytes] = {}
    for path, notebook in sources.items():
        number = path.stem[:2]
        student = student_notebook(notebook, number)
        instructor = instructor_notebook(notebook, number, seconds)
        for edition, new in (("student", student), ("instructor", instructor)):
            files = tidy_links(new, notebooks, [source.name for source in sources])
            contents |= {f"{edition}/{name}": (notebooks / name).read_bytes() for name in files}
            contents[f"{edition}/{path.name}"] = (nbformat.writes(new) + "\n").encode()
    write_folder(out, contents)
    return contents


def read_sources(folder: Path) -> dict[Path, NotebookNode]:
    """Read the notebooks in order; raises ValueError for a missing one, no notebook, or an instructor's edition."""
    sources = {path: _read(path) for number in MODULES for path in _paths(folder, number)}
    solved = [path for path, notebook in sources.items() if "tlcourse" in notebook.metadata]
    if solved:
        raise ValueError(f"{solved[0]} is of an instructor's edition. Expected the course's own notebooks.")
    return sources


def _paths(folder: Path, number: str) -> Iterable[Path]:
    paths = sorted(folder.glob(f"{number}_*.ipynb"))
    if len(paths) != 1:
        found = "nothing" if not paths else ", ".join(path.name for path in paths)
        wanted = f"{folder} should hold one notebook {number}_….ipynb, but {found} was found"
        raise ValueError(f"{wanted}. Name the folder of the course's notebooks with --notebooks.")
    return paths


def _read(path: Path) -> NotebookNode:
    try:
        return nbformat.read(path, as_version=4)
    except ValueError as error:
        raise ValueError(f"{path} is no notebook ({str(error)[:200]}). Get the file again.") from error
