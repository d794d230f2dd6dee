"""Results as files: one dataclass instance a row, comma-separated values, whole or absent."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from tlcourse.storage import write_atomically

Row = TypeVar("Row")
LESSONS = Path(__file__).parent.parent / "lessons"


def save_rows(path: Path | str, rows: Sequence[Any]) -> Path:
    """Write results as a table of comma-separated values, atomically; floats keep three decimals.

    Args:
        path: the file.
        rows: instances of one dataclass whose fields are texts, whole numbers and floats.

    Returns:
        The path.

    Raises:
        StorageError: the file could not be written; an older one is untouched.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, [field.name for field in fields(rows[0])], lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({n: f"{v:.3f}" if isinstance(v, float) else v for n, v in asdict(row).items()})
    return write_atomically(path, text.getvalue().encode())


def read_rows(path: Path | str, kind: type[Row]) -> list[Row]:
    """Read results that `save_rows` wrote.

    Args:
        path: the file.
        kind: the dataclass of a row.

    Returns:
        One instance a row.
    """
    types = {field.name: field.type for field in fields(kind)}
    with open(path, encoding="utf-8", newline="") as file:
        return [kind(**{name: types[name](value) for name, value in row.items()}) for row in csv.DictReader(file)]


def shipped_table(name: str) -> Path:
    """Return the file of a table that came with the course; it lies in the folder of the lesson that made it.

    Raises:
        ValueError: there is no such table.
    """
    tables = {path.stem: path for path in sorted(LESSONS.glob("*/results/*.csv"))}
    if name not in tables:
        raise ValueError(f"there is no table {name!r}. Expected one of: {', '.join(tables)}.")
    return tables[name]
