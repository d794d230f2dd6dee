"""What can be wrong in a folder of photographs, and the report of it, to be read before anything is trained."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import printable
from tlcourse.storage import StorageError

MOST_CLASSES = 20  # that are shown with their counts
EXAMPLES = 2  # findings of every kind that are shown in full
LEFT_OUT, USED = "left out", "used"
# Every kind of finding, and what happens to the files; where they are used, a look at them is advised.
KINDS = {
    "corrupt file": LEFT_OUT,
    "unreadable": LEFT_OUT,
    "too large": LEFT_OUT,
    "too narrow": LEFT_OUT,
    "out of range": LEFT_OUT,
    "not an image": LEFT_OUT,
    "link": LEFT_OUT,
    "outside the folder": LEFT_OUT,
    "missing file": LEFT_OUT,
    "no class": LEFT_OUT,
    "two classes": LEFT_OUT,
    "copy": LEFT_OUT,
    "small class": LEFT_OUT,
    "empty class": LEFT_OUT,
    "near duplicate": USED,
    "all alike": USED,
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


class FolderError(StorageError):
    """A folder, or its table of labels, cannot be used as a set of photographs."""


@dataclass(frozen=True)
class FolderReport:
    """Findings about a folder, and what will be used of it. Nothing on disk was changed."""

    folder: Path
    checked: int  # files that were opened
    findings: tuple[FileFinding, ...]
    photos: PhotoSet  # what will be used
    remarks: dict[str, int] = field(default_factory=dict)  # how many of those used were grey, turned and the like
    notes: tuple[str, ...] = ()  # what could have been read in another way, and how it was
    near_duplicates: bool = True  # whether they were looked for; among very many pictures only copies are
    labelled: bool = True  # False where no class was read, and none is shown

    @property
    def name(self) -> str:
        """The folder's own name, as text for one line."""
        return printable(self.folder.name)

    def counts(self) -> dict[str, int]:
        """Return how many findings of every kind there are, kinds without any left out."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def which(self, kind: str | None = None) -> list[FileFinding]:
        """Return the findings of one of `KINDS`, or all; raises ValueError where there is no such kind."""
        if kind is not None and kind not in KINDS:
            raise ValueError(f"{kind!r} is not a kind of finding. Expected one of: {', '.join(map(repr, KINDS))}.")
        return [finding for finding in self.findings if kind in (None, finding.kind)]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return every finding as kind, what was done, name below the folder, and why: a table to show or save."""
        return [(f.kind, KINDS[f.kind], self._name(f.path), f.why) for f in self.findings]

    def __str__(self) -> str:
        sizes = self.photos.counts()
        of = f"of {len(sizes)} classes" if self.labelled else "without labels"
        lines = [
            f"{printable(self.folder)}: {self.checked:,} files opened, {len(self.photos):,} photographs {of} will be "
            "used. Nothing on disk was changed.",
            *(f"  {note}" for note in self.notes),
            *(class_lines(sizes) if self.labelled else []),
        ]
        for kind, count in self.counts().items():
            lines.append(f"  {count:6,d}  {kind} ({KINDS[kind]})")
            found = self.which(kind)
            lines += [f"            {self._name(f.path)}: {f.why}" for f in found[:EXAMPLES]]
            lines += [f"            ... and {count - EXAMPLES:,} more"] if count > EXAMPLES else []
        if self.remarks:
            lines.append("Among those used: " + ", ".join(f"{n:,} {what}" for what, n in self.remarks.items()) + ".")
        if not self.near_duplicates:
            lines.append("These are very many pictures: only exact copies were looked for, no near duplicates.")
        if len(sizes) > 1:
            lines.append(_balance(sizes))
        elif self.labelled:
            lines.append("A classifier needs at least two classes with two different pictures each; add some.")
        return "\n".join(lines)

    def _name(self, path: Path) -> str:
        below = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        return printable(below)


def class_lines(sizes: dict[str, int]) -> list[str]:
    """Return one line for each of the first classes, with how many photographs it has."""
    lines = [f"  {size:7,d}  {name}" for name, size in sizes.items()]
    more = [f"  ... and {len(lines) - MOST_CLASSES} more classes"] if len(lines) > MOST_CLASSES else []
    return lines[:MOST_CLASSES] + more


def _balance(sizes: dict[str, int]) -> str:
    """Say how large the classes are, and what helps where one is far larger than another."""
    small, large = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    if sizes[small] == sizes[large]:
        return f"Every class has {sizes[small]:,}."
    text = f"The smallest class is {small!r} with {sizes[small]:,}, the largest {large!r} with {sizes[large]:,}."
    if 2 * sizes[small] >= sizes[large]:
        return text
    return f"{text} In the training every class will count the same."
