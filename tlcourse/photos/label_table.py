"""Labels from a table: which file is of which class, as spreadsheets and competitions write it."""

import csv
import io
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from tlcourse.photos.findings import FileFinding, FolderError
from tlcourse.photos.read import printable

FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "image", "image_path", "name", "id", "image_id")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "species", "breed")


def read_table(path: Path, folder: Path, found: Iterable[str], findings: list[FileFinding]) -> dict[str, str]:
    """Read the class of every file that is there from a table in UTF-8 or UTF-16, with commas, semicolons or tabs.

    What does not fit is added to `findings`: rows without a file, files without a row, paths that lead out of the
    folder, and files that the table gives two classes. Raises FolderError: missing, empty, of one column, or of another
    encoding.
    """
    found = list(found)
    names, answers, contradicted = _Names(found), {}, {}
    for number, text, label in _rows(path, names):
        name, problem = names.find(text)
        if problem or not label:
            kind, why = problem or ("no class", "has an empty class")
            findings.append(FileFinding(kind, folder / text, f"row {number} of {path.name} {why}"))
        elif answers.setdefault(name, label) != label:
            contradicted[name] = f"{path.name} calls it {answers[name]!r} and, in row {number}, {label!r}"
    findings += [FileFinding("two classes", folder / name, why) for name, why in contradicted.items()]
    listed = {folder / name for name in answers} | {finding.path for finding in findings} | {path}
    for name in found:
        if name not in answers and folder / name not in listed and not _is_file(folder / name, path):
            findings.append(FileFinding("no class", folder / name, f"has no row in {path.name}"))
    return {name: label for name, label in answers.items() if name not in contradicted}


class _Names:
    """Finds the file that a row means: by its exact name, else by composed characters, else without its ending."""

    def __init__(self, found: Iterable[str]) -> None:
        self.exact = {name: name for name in found}
        self.composed = {_compose(name): name for name in self.exact}
        self.stems: dict[str, list[str]] = {}
        for name in self.exact:
            self.stems.setdefault(_compose(str(PurePosixPath(name).with_suffix(""))), []).append(name)

    def find(self, text: str) -> tuple[str, tuple[str, str] | None]:
        """Return the name of the file, or an empty text and kind and reason of the problem."""
        if text in self.exact:
            return text, None
        path = PurePosixPath(text.replace("\\", "/"))
        if path.is_absolute() or PureWindowsPath(text).drive or ".." in path.parts:
            return "", ("outside the folder", f"names {text!r}, which is not below the folder")
        name = _compose(str(path))
        if name in self.composed:
            return self.composed[name], None
        fitting = self.stems.get(name, [])
        if len(fitting) == 1:
            return fitting[0], None
        why = f"could mean {' or '.join(map(repr, fitting))}" if fitting else f"names {text!r}, which is not there"
        return "", ("missing file", why)


def _rows(path: Path, names: _Names) -> list[tuple[int, str, str]]:
    """Return number, file and class of every row that is not empty, counted as a spreadsheet does."""
    text = _text(path)
    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise FolderError(f"{printable(path)} is not a table: {error}. Save it again as CSV UTF-8.") from error
    rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(table, 1) if any(row)]
    if not rows or max(len(row) for _, row in rows) < 2:
        raise FolderError(
            f"{printable(path)} has {len(rows)} rows and no two columns. Expected one row a file: its name, and its "
            "class, separated by a comma, a semicolon or a tab."
        )
    has_header = _is_header(rows[0][1], names)
    file, label = _columns([cell.lower() for cell in rows[0][1]]) if has_header else (0, 1)
    rows = [(number, row + [""] * (max(file, label) + 1 - len(row))) for number, row in rows[has_header:]]
    return [(number, row[file], _compose(row[label])) for number, row in rows]


def _is_header(row: list[str], names: _Names) -> bool:
    """Whether a row names columns: by a word that does, else because nothing in it looks like a file."""
    known = any(cell.lower() in (*FILE_COLUMNS, *LABEL_COLUMNS) for cell in row)
    return names.find(row[0])[1] is not None and (known or not any(PurePosixPath(cell).suffix for cell in row))


def _columns(header: list[str]) -> tuple[int, int]:
    """Return the numbers of the columns with the file and the class: by their names, else the first two."""
    file = next((i for name in FILE_COLUMNS for i, cell in enumerate(header) if cell == name), None)
    label = next((i for name in LABEL_COLUMNS for i, cell in enumerate(header) if cell == name), None)
    if file is None:
        file = 0 if label != 0 else 1
    return file, (1 if file == 0 else 0) if label is None else label


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FolderError(
            f"could not read the table {printable(path)}: {error.strerror or error}. Check its name."
        ) from error
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise FolderError(
            f"{printable(path)} is not in UTF-8 (byte {error.start} is {data[error.start]:#04x}). In the spreadsheet, "
            "save it as 'CSV UTF-8'."
        ) from error


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_file(first: Path, second: Path) -> bool:
    """Whether two paths are one file: the table itself may lie in the folder."""
    return first.name == second.name and first.resolve() == second.resolve()
