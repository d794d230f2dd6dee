"""What was handed in: which files there are, and whose."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ARCHIVE = re.compile(r"\.(zip|rar|7z|tar|tgz|gz|bz2|xz)$", re.IGNORECASE)
SEEMS_ONE = re.compile(rf"ipynb|{ARCHIVE.pattern}", re.IGNORECASE)
SKIPPED = ("__MACOSX", "__pycache__")  # made by programs; so are names that begin with a dot


@dataclass(frozen=True)
class Submission:
    """One notebook that was handed in: the file, its place below the folder of all, and why it cannot be marked."""

    path: Path
    inside: PurePosixPath
    complaint: str = ""


def find_submissions(given: Sequence[Path], written: Collection[Path] = ()) -> list[Submission]:
    """Find the notebooks among files and in folders, sorted by their places; raises ValueError when there is none.

    What lies in a folder and yields no notebook is there with a complaint. `written`, absolute, is passed over: the
    table and the reports.
    """
    for path in given:
        if not path.exists():
            raise ValueError(f"{path} does not exist. Expected a notebook, or a folder with notebooks.")
    base = _base(given)
    files = {file.absolute(): file for path in given for file in _files(path, written)}
    if not any(file.suffix == ".ipynb" for file in files):
        named = ", ".join(map(str, given))
        raise ValueError(f"no notebook was found in {named}. Expected files whose names end in .ipynb.")
    return sorted((_submission(file, base) for file in files), key=lambda submission: submission.inside)


def names_of(submissions: Sequence[Submission], numbers: Sequence[str]) -> list[str]:
    """Say whose each submission is: by its folder where all in it have different `numbers`, else by its file too."""
    several: Counter[tuple[PurePosixPath, str]] = Counter(
        (submission.inside.parent, number) for submission, number in zip(submissions, numbers, strict=True)
    )
    mixed = {folder for (folder, _), count in several.items() if count > 1}
    return [str(_name(submission.inside, submission.inside.parent in mixed)) for submission in submissions]


def _name(inside: PurePosixPath, mixed: bool) -> PurePosixPath:
    alone = inside.parent == PurePosixPath(".")
    return inside.with_name(inside.name.removesuffix(".ipynb")) if alone or mixed else inside.parent


def _base(given: Sequence[Path]) -> Path:
    """The folder that holds all that was given: with one folder, that folder."""
    if len(given) == 1 and given[0].is_dir():
        return given[0].absolute()
    try:
        return Path(os.path.commonpath([path.absolute().parent for path in given]))
    except ValueError:  # on several drives of Windows
        return Path(os.sep)


def _files(given: Path, written: Collection[Path]) -> Iterable[Path]:
    """Find notebooks and what seems to hold some; of what lies directly in a folder, nothing is passed over."""
    if not given.is_dir():
        return [given]
    found = []
    for place, folders, files in os.walk(given):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not _passing(name) and (here / name).absolute() not in written)
        found += [here / name for name in [*files, *folders] if SEEMS_ONE.search(name) and not _passing(name)]
    children = [child for child in given.iterdir() if not _passing(child.name) and child.absolute() not in written]
    return found + [child for child in children if not any(path.is_relative_to(child) for path in found)]


def _passing(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def _submission(file: Path, base: Path) -> Submission:
    inside = PurePosixPath(*file.relative_to(base).parts) if file.is_relative_to(base) else _short(file)
    if file.is_dir():
        what = "with the name of a notebook" if file.suffix == ".ipynb" else "without a notebook"
        return Submission(file, inside, f"this is a folder {what}; it was not marked")
    if file.is_symlink() and not file.resolve().is_relative_to(base.resolve()):
        return Submission(file, inside, "this is a link to a file elsewhere; it was not opened")
    if not file.is_file():
        return Submission(file, inside, "this is no file that can be read; it was not opened")
    if file.suffix != ".ipynb":
        what = "an archive; unpack it" if ARCHIVE.search(file.name) else "no file whose name ends in .ipynb"
        return Submission(file, inside, f"this is {what}; it was not opened")
    return Submission(file, inside)


def _short(file: Path) -> PurePosixPath:
    return PurePosixPath(file.parent.name) / file.name
