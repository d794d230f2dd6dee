"""What was marked until now, on disk after every notebook, so that a grader that was stopped goes on where it was."""

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tlcourse.storage import sha256, write_atomically
from tlcourse.teaching.marks import Mark, Row


class Unfinished:
    """The marks that an interrupted run left beside its table; `seed` is None where there are none that count here.

    Those from another `sandbox` are not taken. Raises ValueError for a file of another kind.
    """

    def __init__(self, table: Path, sandbox: str) -> None:
        self.path, self._sandbox, self._one = place(table), sandbox, threading.Lock()
        self.seed, self._marked = self._read()

    def __str__(self) -> str:
        return f"an earlier run left the marks of {len(self._marked)} with the seed {self.seed}"

    def _read(self) -> tuple[int | None, dict[str, Any]]:
        if not self.path.exists():
            return None, {}
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            same = kept["sandbox"] == self._sandbox
            return (int(kept["seed"]), dict(kept["marked"])) if same else (None, {})
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{self.path} does not hold the marks of an unfinished run. Move it away.") from error

    def begin(self, seed: int) -> None:
        """Take up a run with a seed: what was marked with another one does not count."""
        self._marked = self._marked if seed == self.seed else {}
        self.seed = seed

    def marks(self, row: Row) -> Sequence[Mark] | None:
        """Return the marks of a notebook that is as it was when it got them, else None."""
        found = self._marked.get(str(row.submission.inside), {})
        same = found.get("sha256") == sha256(row.submission.path.read_bytes())
        return [Mark(**mark) for mark in found["marks"]] if same else None

    def keep(self, row: Row) -> None:
        marks = {"sha256": sha256(row.submission.path.read_bytes()), "marks": [asdict(mark) for mark in row.marks]}
        with self._one:
            self._marked[str(row.submission.inside)] = marks
            kept = {"sandbox": self._sandbox, "seed": self.seed, "marked": self._marked}
            write_atomically(self.path, json.dumps(kept).encode())

    def finish(self) -> None:
        self.path.unlink(missing_ok=True)


def place(table: Path) -> Path:
    """Return where the marks of an unfinished run lie."""
    return table.with_name(f"{table.name}.unfinished")
