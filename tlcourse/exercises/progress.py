"""What the learner has done so far, in one small file on this machine that never goes anywhere by itself."""

import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from tlcourse.storage import StorageError, write_atomically

OFF = "off"
FORMAT = 1
Record = Mapping[str, Any]


class ProgressError(StorageError):
    """The progress file is not what it should be."""


def progress_file() -> Path | None:
    """Return where progress is kept: `TLCOURSE_PROGRESS`, else the system's place for user data, or None when off.

    It is off too while nbgrader runs a notebook: what students handed in is not the teacher's own progress.
    """
    named = os.environ.get("TLCOURSE_PROGRESS")
    if os.environ.get("NBGRADER_EXECUTION"):
        return None
    if named:
        return None if named.lower() == OFF else Path(named)
    return platformdirs.user_data_path("tlcourse", appauthor=False) / "progress.json"


def read_records(path: Path | None = None) -> list[Record]:
    """Read everything that was kept, oldest first; nothing when there is no file yet.

    Each record has `id`, `time` (seconds since 1970), `kind` and `name`. Raises ProgressError for another file.
    """
    path = progress_file() if path is None else Path(path)
    if path is None or not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        records = content["records"]
        if content["format"] != FORMAT or not all(_is_record(record) for record in records):
            raise ValueError("other entries than expected")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProgressError(
            f"{path} is not a progress file of this course ({error}). Expected what `tlcourse progress` keeps. Nothing "
            "was changed. Move the file away to begin a new one; it is yours, and not needed by the course."
        ) from error
    return sorted(records, key=lambda record: (record["time"], record["id"]))


def _is_record(record: object) -> bool:
    kinds = {"id": str, "time": int | float, "kind": str, "name": str}
    return isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in kinds.items())


def keep(kind: str, name: str, **details: object) -> str:
    """Add an `attempt`, `hint`, `solution`, `prediction` or `measured`; return why it could not be kept, else ""."""
    path = progress_file()
    if path is None:
        return ""
    record = {"id": uuid.uuid4().hex, "time": round(time.time(), 3), "kind": kind, "name": name, **details}
    try:
        merge([record], path)
    except (OSError, filelock.Timeout) as error:
        return f"This could not be kept in your progress file: {error}"
    return ""


def merge(records: Iterable[Record], path: Path) -> int:
    """Put records into a file, each once, and return how many were new; raises StorageError, and the file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock", timeout=10):
        there = {record["id"]: record for record in read_records(path)}
        wanted = {record["id"]: record for record in records}
        everything = sorted((wanted | there).values(), key=lambda record: (record["time"], record["id"]))
        text = json.dumps({"format": FORMAT, "records": everything}, ensure_ascii=False, indent=0)
        write_atomically(path, text.encode())
    return len(wanted.keys() - there.keys())


@dataclass(frozen=True)
class Standing:
    """How far the learner is with one exercise.

    `outcome` is the best one, CORRECT before WRONG before ERROR, empty before the first attempt; `share` is the largest
    share of the points, from 0 to 1, `best` the highest score of a challenge.
    """

    attempts: int = 0
    outcome: str = ""
    share: float = 0.0
    best: float | None = None
    hints: int = 0
    solution: bool = False


def standing(name: str, records: Iterable[Record] | None = None) -> Standing:
    """Return how far the learner is with one exercise, such as `"00.q1"`; by default from all that was kept."""
    mine = [record for record in (read_records() if records is None else records) if record["name"] == name]
    tried = [record for record in mine if record["kind"] == "attempt"]
    outcomes = {record.get("outcome") for record in tried}
    return Standing(
        attempts=len(tried),
        outcome=next((o for o in ("CORRECT", "WRONG", "ERROR") if o in outcomes), ""),
        share=max((record.get("share", 0.0) for record in tried), default=0.0),
        best=max((record["score"] for record in tried if record.get("score") is not None), default=None),
        hints=sum(record["kind"] == "hint" for record in mine),
        solution=any(record["kind"] == "solution" for record in mine),
    )
