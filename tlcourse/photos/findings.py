"""What can be wrong in a folder of photographs, and what is done about it."""

from dataclasses import dataclass
from pathlib import Path

from tlcourse.storage import StorageError

LEFT_OUT, USED = "left out", "used"
# Every kind of finding, and what happens to the files; where they are used, a look at them is advised.
KINDS = {
    "corrupt file": LEFT_OUT,
    "unreadable": LEFT_OUT,
    "too large": LEFT_OUT,
    "not an image": LEFT_OUT,
    "link": LEFT_OUT,
    "outside the folder": LEFT_OUT,
    "missing file": LEFT_OUT,
    "no class": LEFT_OUT,
    "two classes": LEFT_OUT,
    "copy": LEFT_OUT,
    "one-image class": LEFT_OUT,
    "empty class": LEFT_OUT,
    "near duplicate": USED,
    "blank": USED,
    "similar names": USED,
}


@dataclass(frozen=True)
class FileFinding:
    """One thing that was found in a folder."""

    kind: str  # one of KINDS
    path: Path  # the file, or the folder of a class
    why: str
    partner: Path | None = None  # for copies and near duplicates, the file that it is like

    @property
    def used(self) -> bool:
        """Whether the file is used all the same."""
        return KINDS[self.kind] == USED


class FolderError(StorageError):
    """A folder, or its table of labels, cannot be used as a set of photographs."""
