"""A quick look into a folder of photographs: names and labels only, no file is opened and nothing is changed."""

import os
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from tlcourse.photos.findings import FileFinding, FolderError, class_lines
from tlcourse.photos.layout import check_layout
from tlcourse.photos.read import printable
from tlcourse.photos.whole_folder import real_path

UNLABELLED = "unlabelled"  # the one class of photographs of which no label is read
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Scan:
    """Files of a folder and the class that each belongs to, by names alone."""

    folder: Path
    files: tuple[str, ...]  # names below the folder, in the order of the classes, then of the alphabet
    labels: torch.Tensor  # int64 [N]
    classes: tuple[str, ...]
    findings: tuple[FileFinding, ...] = ()  # what cannot be used, as far as names show it
    notes: tuple[str, ...] = ()  # what could have been read in another way, and how it was

    def __len__(self) -> int:
        return len(self.files)

    def __str__(self) -> str:
        sizes = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        first = f"{printable(self.folder)}: {len(self):,} files in {len(self.classes)} classes, not opened yet"
        notes = [f"  {note}" for note in self.notes]
        return "\n".join([first, *notes, *class_lines(dict(zip(self.classes, sizes, strict=True)))])

    def path(self, number: int) -> Path:
        """Return the path of a file by its number."""
        return self.folder / self.files[number]

    def ignored(self) -> str:
        """Say of photographs without labels what is not read, without a full stop."""
        folders = sorted({name.split("/", 1)[0] for name in self.files if "/" in name})
        shown = ", ".join(map(repr, folders[:3])) + (" and more" if len(folders) > 3 else "")
        names = f"Its {len(folders)} subfolders ({shown}) are ignored" if folders else "It has no subfolders"
        return f"{printable(self.folder)}: no label is read. {names}"


def scan(folder: Path | str, csv: Path | str | None = None, label_column: str | None = None) -> Scan:
    """List the files of a folder with their classes, without opening them.

    A class is a subfolder, with everything below it, unless the table `csv` says which file is of which class. It has
    one row a file: its name below the folder, and its class, in a column with a usual title such as `label` or
    `species`, in the only other column, or in `label_column`; or one column for every class, with a 1 in one of them.
    It may lie in the folder. Links that lead out of the folder are not followed. Hidden files, and those of systems,
    such as `Thumbs.db`, are passed over. Raises FolderError where no class is found, where folders look like parts of a
    data set, where more than one column could hold the classes, and where one is named without a table.
    """
    folder, found, findings = _listed(folder)
    if csv is None and label_column is not None:
        raise FolderError(
            f"the column {label_column!r} was named, but no table of {printable(folder)} was given (--csv)."
        )
    if csv is None:
        class_of, notes = _by_subfolder(folder, found, findings)
    else:
        from tlcourse.photos.label_table import read_table  # which takes a while to import

        csv = Path(csv) if Path(csv).is_file() else folder / csv
        class_of, notes = read_table(csv, folder, found, findings, label_column)
    if not class_of:
        raise FolderError(_no_classes(folder, found, findings, csv))
    if csv is None:
        notes += check_layout(folder, list(class_of))
    classes = tuple(sorted(set(class_of.values())))
    number = {name: i for i, name in enumerate(classes)}
    files = sorted(class_of, key=lambda name: (class_of[name], name))
    labels = torch.tensor([number[class_of[name]] for name in files], dtype=torch.int64)
    findings += _similar_names(folder, classes) + (_empty_classes(folder, classes) if csv is None else [])
    return Scan(folder, tuple(files), labels, classes, tuple(findings), tuple(notes))


def scan_unlabelled(folder: Path | str, table: Path | None = None) -> Scan:
    """List all files of a folder and its subfolders as of one class, `UNLABELLED`: names of subfolders say nothing.

    A `table` of labels may lie in the folder, and is none of them. Raises FolderError where there is no folder, or no
    file in it.
    """
    folder, found, findings = _listed(folder)
    tables = () if table is None else (real_path(table), real_path(folder / table))
    files = tuple(sorted(name for name in found if not tables or real_path(folder / name) not in tables))
    if not files:
        raise FolderError(f"{printable(folder)} holds no file. Expected photographs; subfolders may be there or not.")
    return Scan(folder, files, torch.zeros(len(files), dtype=torch.int64), (UNLABELLED,), tuple(findings))


def _listed(folder: Path | str) -> tuple[Path, list[str], list[FileFinding]]:
    """Return a folder, the names of its files, and what in it is not followed."""
    folder, findings = Path(folder), []
    if not folder.is_dir():
        raise FolderError(_no_folder(folder))
    return folder, list(_walk(folder, findings)), findings


def _walk(folder: Path, findings: list[FileFinding]) -> Iterator[str]:
    """Yield the names of all regular files below a folder, with `/` between their parts."""
    root = os.path.realpath(folder)
    seen, waiting = {root}, [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            findings.append(FileFinding("unreadable", folder / below, f"the folder cannot be listed: {error.strerror}"))
            continue
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            if is_system_file(entry.name):
                continue
            is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
            if why := _why_not_followed(entry, is_folder, root, seen):
                findings.append(FileFinding("link", folder / name, why))
            elif is_folder:
                waiting.append(name)
            else:
                yield name


def is_system_file(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems leave behind: `.DS_Store`, `Thumbs.db`, `__MACOSX`."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _why_not_followed(entry: os.DirEntry, is_folder: bool, root: str, seen: set[str]) -> str:
    """Say why a link or a special file is left alone; an empty text for a file or folder that belongs here."""
    if is_folder or entry.is_symlink():  # junctions of Windows are folders, and no symbolic links
        real = os.path.realpath(entry.path)
        if not _lies_below(real, root):
            return f"leads out of the folder, to {printable(real)}"
        if is_folder and real in seen:
            return f"leads back to {printable(real)}, which is listed already"
        if is_folder:
            seen.add(real)
    if not is_folder and not os.path.isfile(entry.path) and not entry.is_file(follow_symlinks=False):
        return "leads nowhere" if entry.is_symlink() else "is a device or a pipe, not a file"
    return ""


def _lies_below(path: str, root: str) -> bool:
    try:
        return os.path.commonpath([path, root]) == root
    except ValueError:  # another drive of Windows
        return False


def _by_subfolder(folder: Path, found: list[str], findings: list[FileFinding]) -> tuple[dict[str, str], list[str]]:
    """Return the class of every file in a subfolder, and which folders were taken for one class."""
    class_of = {name: class_name(name.split("/", 1)[0]) for name in found if "/" in name}
    why = "lies beside the folders of the classes, in none"
    findings += [FileFinding("no class", folder / name, why) for name in found if name not in class_of]
    folders = defaultdict(set)
    for name, c in class_of.items():
        folders[c].add(name.split("/", 1)[0])
    if "" in folders:
        raise FolderError(f"{printable(folder)} holds a folder with a blank name, {min(folders[''])!r}. Rename it.")
    merged = [", ".join(map(repr, sorted(folders[c]))) for c in sorted(folders) if len(folders[c]) > 1]
    return class_of, [f"the folders {names} are taken for one class." for names in merged]


def class_name(text: str) -> str:
    """Return the name of a class as it is shown: in composed characters, so that é is one letter everywhere."""
    return unicodedata.normalize("NFC", printable(text)).strip()


def _similar_names(folder: Path, classes: tuple[str, ...]) -> list[FileFinding]:
    """Find classes whose names differ in capitals, spaces or signs only, as two spellings of one would."""
    plain = {name: "".join(filter(str.isalnum, name.casefold())) for name in classes}
    counts = Counter(plain.values())
    return [
        FileFinding("similar names", folder / name, f"is this the same class as {' or '.join(map(repr, others))}?")
        for name in classes
        if len(name) > 1
        and plain[name]
        and counts[plain[name]] > 1
        and (others := [o for o in classes if o != name and plain[o] == plain[name]])
    ]


def _empty_classes(folder: Path, classes: tuple[str, ...]) -> list[FileFinding]:
    with os.scandir(folder) as listing:
        names = sorted(entry.name for entry in listing if entry.is_dir(follow_symlinks=False))
    return [
        FileFinding("empty class", folder / name, "there is no file in this folder")
        for name in names
        if class_name(name) not in classes and not is_system_file(name)
    ]


def _no_folder(folder: Path) -> str:
    name = printable(folder)
    if zipfile.is_zipfile(folder):
        return f"{name} is a zip archive. Unpack it and give its folder (in Python, unpack_zip({name!r}, 'photos'))."
    what = "is a file" if folder.exists() else "does not exist"
    return f"{name} {what}, but a folder was expected that has one subfolder for every class. Check the name."


def _no_classes(folder: Path, found: list[str], findings: list[FileFinding], csv: Path | None) -> str:
    links = [finding for finding in findings if finding.kind == "link"]
    held = f"{len(found):,} files"
    if links:
        first = f"{printable(links[0].path.relative_to(folder))} {links[0].why}"
        held += f" and {len(links):,} links that are not followed, since {first}"
    if csv is not None:
        return (
            f"no row of {printable(csv)} names a file in {printable(folder)}, which holds {held}"
            f"{f', such as {printable(found[0])}' if found else ''}. Expected names below that folder."
        )
    return (
        f"{printable(folder)} holds {held}, but no subfolder with files in it. Expected one subfolder for every "
        "class, such as apples/1.jpg and pears/2.jpg; or give a table of labels (--csv FILE, in Python csv=)."
    )
