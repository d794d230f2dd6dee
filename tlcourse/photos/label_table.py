"""Labels from a table: which file is of which class, as spreadsheets and competitions write it."""

import io
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import pandas as pd

from tlcourse.photos.findings import FileFinding, FolderError
from tlcourse.photos.layout import parts
from tlcourse.photos.read import printable
from tlcourse.photos.whole_folder import real_path

FILE_COLUMNS = ("file", "filename", "file_name", "path", "filepath", "image", "image_path", "name", "id", "image_id")
LABEL_COLUMNS = (
    *("label", "labels", "class", "class_name", "classname", "category", "target", "species", "breed"),
    *("dx", "diagnosis", "variety", "y"),
)
ONE, ZERO = ("1", "1.0", "1.", "true"), ("0", "0.0", "0.", "false")
SAVE = "In the spreadsheet, save it as 'CSV UTF-8'."
ASK = "Name the column with --label-column (in Python, label_column=)"


def read_table(
    path: Path, folder: Path, found: Iterable[str], findings: list[FileFinding], label_column: str | None = None
) -> tuple[dict[str, str], list[str]]:
    """Read the class of every file that is there from a table in UTF-8 or UTF-16, with commas, semicolons or tabs.

    Returns the classes by file, and which columns were read. What does not fit is added to `findings`: rows without a
    file, files without a row, paths that lead out of the folder, and files that the table gives two classes. Raises
    FolderError: missing, empty, of another encoding, or where more than one column could hold the classes.
    """
    found = [name for name in found if not _is_file(folder / name, path)]
    names, answers, contradicted = _Names(found), {}, {}
    columns = _columns(_table(path), names, label_column, path)
    for row, text, label in zip(columns.files.index, columns.files, columns.labels, strict=True):
        name, problem = names.find(text)
        if problem or not label:
            kind, why = problem or ("no class", "has an empty class")
            findings.append(FileFinding(kind, folder / text, f"row {row + 1} of {path.name} {why}"))
        elif answers.setdefault(name, label) != label:
            contradicted[name] = f"{path.name} calls it {answers[name]!r} and, in row {row + 1}, {label!r}"
    findings += [FileFinding("two classes", folder / name, why) for name, why in contradicted.items()]
    listed = {folder / name for name in answers} | {finding.path for finding in findings}
    for name in found:
        if name not in answers and folder / name not in listed:
            findings.append(FileFinding("no class", folder / name, f"has no row in {path.name}"))
    divided = parts(sorted(set(answers.values()))) if label_column is None else []
    if divided:
        raise FolderError(f"{columns.note} {', '.join(map(repr, divided))} look like parts of a data set. {ASK}.")
    return {name: label for name, label in answers.items() if name not in contradicted}, [columns.note]


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


class _Columns(NamedTuple):
    files: pd.Series  # by the number of the row, from 0
    labels: pd.Series
    note: str


def _table(path: Path) -> pd.DataFrame:
    """Return the cells as text, without empty rows and columns; rows are numbered from 0 as a spreadsheet does."""
    first, _, rest = _text(path).partition("\n")
    marked = first.strip()[4:5] if first.lower().startswith("sep=") else ""  # as some spreadsheets write it
    text = f"\n{rest}" if marked else f"{first}\n{rest}"
    lines = [line for line in text.split("\n") if line.strip()]
    separator = marked or _separator(lines)
    width = 1 + max((line.count(separator) for line in lines), default=0)
    options = {"names": range(width), "dtype": str, "na_filter": False, "skip_blank_lines": False}
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, **options)
    except (pd.errors.ParserError, ValueError) as error:
        raise FolderError(f"{printable(path)} is not a table: {error}. {SAVE}") from error
    table = table.map(lambda cell: _compose(cell.strip()))
    table = table.loc[(table != "").any(axis=1), (table != "").any(axis=0)]
    if table.shape[1] < 2:
        raise FolderError(
            f"{printable(path)} has {len(table)} rows and no two columns. Expected one row a file: its name, and its "
            "class, separated by a comma, a semicolon or a tab."
        )
    return table


def _separator(lines: list[str]) -> str:
    """Return the sign that is in most lines, and of several the one that is oftener in the first."""
    return max(",;\t", key=lambda sign: (sum(sign in line for line in lines), "".join(lines[:1]).count(sign)))


def _columns(table: pd.DataFrame, names: _Names, wanted: str | None, path: Path) -> _Columns:
    """Find the columns of the files and of the classes, and say which they are."""
    has_header = _is_header(table.iloc[0], names)
    titles = table.iloc[0] if has_header else pd.Series({i: f"column {i + 1}" for i in table.columns})
    body = table.iloc[int(has_header) :]
    if not titles.iloc[-1]:
        row = int((body.iloc[:, -1] != "").idxmax())
        raise FolderError(
            f"{printable(path)} has more cells in row {row + 1} than titles. Put what has a comma in quotes."
        )
    file = _file_column(titles, body, names)
    others = titles[(titles != "") & (titles.index != file)]
    label = _label_column(others, wanted, printable(path))
    note = f"{path.name}: column {titles[file]!r} names the files, "
    if label is not None:
        unread = ", ".join(repr(title) for i, title in others.items() if i != label)
        note += f"{titles[label]!r} their classes" + (f"; not read: {unread}." if unread else ".")
        return _Columns(body[file], body[label], note)
    ask = f"{ASK}: one of {', '.join(map(repr, others))}."
    if not has_header:
        raise FolderError(f"{printable(path)} has several columns beside the files, without titles. {ask}")
    labels = _from_one_hot(body[others.index].set_axis(list(others), axis=1), f"{printable(path)}", ask)
    return _Columns(body[file], labels, f"{note}and each other column is the class of the rows that hold a 1 in it.")


def _is_header(row: pd.Series, names: _Names) -> bool:
    """Whether a row holds titles: by a word that is usual, else because nothing in it looks like a file."""
    if row.isin(list(names.composed)).any():
        return False
    if row.str.lower().isin((*FILE_COLUMNS, *LABEL_COLUMNS)).any():
        return True
    return not any(PurePosixPath(cell).suffix or cell in names.stems for cell in row)


def _file_column(titles: pd.Series, body: pd.DataFrame, names: _Names) -> int:
    """Return the column that names files which are there: one with a usual title, else the one with the most."""

    def fits(column: int) -> tuple[bool, int, int]:
        cells = body[column].str.replace("\\", "/").str.removeprefix("./")
        exact, stems = (int(cells.isin(list(known)).sum()) for known in (names.composed, names.stems))
        return titles[column].lower() in FILE_COLUMNS and exact + stems > 0, exact, stems

    return max(body.columns, key=fits)


def _label_column(titles: pd.Series, wanted: str | None, path: str) -> int | None:
    """Return the column with the classes; None where several might hold them, or each may be one class."""
    if len(titles) == 1 and wanted is None:
        return titles.index[0]
    fitting = titles.index[titles.str.lower().isin(LABEL_COLUMNS if wanted is None else [wanted.strip().lower()])]
    if len(fitting) == 1:
        return fitting[0]
    if wanted is None and not len(fitting):
        return None
    what = "several columns of labels" if wanted is None else f"{len(fitting)} columns {wanted!r}, not one"
    raise FolderError(f"{path} has {what}. {ASK}: one of {', '.join(map(repr, titles))}.")


def _from_one_hot(table: pd.DataFrame, path: str, ask: str) -> pd.Series:
    """Return the title of the column that holds the 1 in every row; raises FolderError where it cannot be known."""
    cells = table.map(str.lower)
    if not cells.isin((*ONE, *ZERO)).all(axis=None) or table.columns.has_duplicates:
        raise FolderError(f"{path} has several columns beside the files: which holds the classes? {ask}")
    ones = cells.isin(ONE)
    several = ones.sum(axis=1) != 1
    if several.any():
        row = several.idxmax()
        raise FolderError(
            f"{path} gives {int(ones.loc[row].sum())} classes in row {row + 1}, but one class a file was expected. "
            f"Leave such rows out; or, where one column holds the classes: {ask}"
        )
    return ones.idxmax(axis=1)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FolderError(
            f"could not read the table {printable(path)}: {error.strerror or error}. Check its name."
        ) from error
    if data.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        raise FolderError(
            f"{printable(path)} is a workbook, not a CSV table. In the spreadsheet, save it as 'CSV UTF-8'."
        )
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise FolderError(
            f"{printable(path)} is not in UTF-8 (byte {error.start} is {data[error.start]:#04x}). {SAVE}"
        ) from error
    if "\0" in text:
        raise FolderError(
            f"{printable(path)} holds zero bytes, as no table does. In the spreadsheet, save it as 'CSV UTF-8'."
        )
    return text


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_file(first: Path, second: Path) -> bool:
    """Whether two paths are one file: the table itself may lie in the folder."""
    return first.name == second.name and real_path(first) == real_path(second)
