"""Opening every file of a folder once, to find out which can be used; no picture stays in memory."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tlcourse.photos.findings import KINDS, FileFinding, FolderReport
from tlcourse.photos.near_duplicates import SIDE, joined, near_pairs, thumbnail
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.read import DEEP, FORMATS, FRACTIONS, PhotoError, decode, printable, quiet, reading_threads
from tlcourse.photos.scan import UNLABELLED, Scan, class_name
from tlcourse.photos.splits import PARTS
from tlcourse.repro import progress_bar

BLANK = 4.0  # highest contrast of a photograph of nothing: standard deviation of its grey values, from 0 to 127.5
ENOUGH = 512  # pixels of the shorter side at which large JPEG files are decoded; all their bytes are read all the same
PORTION = 32  # files that a thread takes at a time
NEAR_UP_TO = 20_000  # pictures among which near duplicates are looked for; every pair is compared


@dataclass(slots=True)
class Look:
    """What is remembered of one file: an error, or what `decode` said, and fingerprint, thumbnail and contrast."""

    error: PhotoError | None = None
    remarks: tuple[str, ...] = ()
    fingerprint: bytes = b""
    thumbnail: bytes = b""
    values: tuple[float, float] | None = None
    contrast: float = 0.0


def inspect(scan: Scan, *, at_least: int = PARTS, progress: bool = True) -> FolderReport:
    """Open every file of a scan and find out which can be used.

    Files that cannot be read are left out. So are copies of a photograph (its first file is kept), a photograph that
    lies in two classes (nobody knows which is right), and classes with fewer than `at_least` photographs: one is needed
    to learn from, one to choose by, one for the test. Near duplicates are kept, and share a group, unless a class would
    then have fewer than `at_least` groups.
    """
    looks = list(_look_at_all(scan, progress))
    findings = [*scan.findings, *_unusable(scan, looks)]
    usable = [i for i, look in enumerate(looks) if look.error is None]
    usable = _without_copies(scan, looks, usable, findings)
    searched = len(usable) <= NEAR_UP_TO
    groups = _tie_near(scan, looks, usable, findings) if searched else usable
    findings += [_blank(scan.path(i), looks[i]) for i in usable if looks[i].contrast <= BLANK]
    files, groups = _choose(scan, usable, groups, at_least, findings)
    used = [looks[i] for i in files.tolist()]
    remarks = Counter(remark for look in used for remark in look.remarks)
    findings.sort(key=lambda finding: list(KINDS).index(finding.kind))
    photos, notes = _photo_set(scan, files, groups, used), (*scan.notes, *_ranges(used))
    labelled = scan.classes != (UNLABELLED,)
    return FolderReport(scan.folder, len(scan), tuple(findings), photos, dict(remarks), notes, searched, labelled)


def _look_at_all(scan: Scan, progress: bool) -> Iterator[Look]:
    """Yield a look at every file, in order; threads work ahead by a few portions, so that little is in memory."""
    portions = [range(start, min(start + PORTION, len(scan))) for start in range(0, len(scan), PORTION)]
    bar = progress_bar(total=len(scan), unit="file", shown=progress)
    pool = ThreadPoolExecutor(reading_threads())
    try:
        with bar, quiet():
            for looks in pool.map(lambda portion: [_look_at(scan.path(i)) for i in portion], portions):
                yield from looks
                bar.update(len(looks))
    finally:
        pool.shutdown(cancel_futures=True)  # where someone interrupts, what waits is not begun


def _look_at(path: Path) -> Look:
    try:
        picture, remarks, values = decode(path, ENOUGH)
    except PhotoError as error:
        return Look(error.with_traceback(None))
    fingerprint = hashlib.blake2b(picture.tobytes(), digest_size=16, key=repr(picture.size).encode()).digest()
    grey = picture.convert("L")
    counts = np.array(grey.histogram())
    levels = np.arange(256)
    mean = (counts * levels).sum() / counts.sum()
    contrast = float(np.sqrt((counts * (levels - mean) ** 2).sum() / counts.sum()))
    return Look(None, remarks, fingerprint, thumbnail(grey).tobytes(), values, contrast)


def _unusable(scan: Scan, looks: list[Look]) -> Iterable[FileFinding]:
    """Turn errors into findings, without the file's name, which a finding carries anyway."""
    for i, look in enumerate(looks):
        if look.error is None:
            continue
        path = scan.path(i)
        yield FileFinding(_kind(look.error, path), path, str(look.error).split(printable(path), 1)[-1].strip(" :"))


def _kind(error: PhotoError, path: Path) -> str:
    """Return the kind of an error; a file that is named like a picture and is none counts as corrupt."""
    named = Image.registered_extensions().get(path.suffix.lower()) in FORMATS
    return "corrupt file" if error.kind == "not an image" and named else error.kind


def _without_copies(scan: Scan, looks: list[Look], usable: list[int], findings: list[FileFinding]) -> list[int]:
    """Leave out copies and photographs of two classes; return the numbers of the files that stay."""
    same: dict[bytes, list[int]] = {}
    for i in usable:
        same.setdefault(looks[i].fingerprint, []).append(i)
    out = set()
    for members in same.values():
        first = members[0]
        classes = {scan.classes[scan.labels[i]] for i in members}
        for i in members:
            if len(classes) > 1:
                why = f"the same picture lies in {' and in '.join(map(repr, sorted(classes)))}"
                findings.append(FileFinding("two classes", scan.path(i), why, scan.path(members[i == first])))
                out.add(i)
            elif i != first:
                why = f"the same picture as {scan.files[first]}"
                findings.append(FileFinding("copy", scan.path(i), why, scan.path(first)))
                out.add(i)
    return [i for i in usable if i not in out]


def _tie_near(scan: Scan, looks: list[Look], usable: list[int], findings: list[FileFinding]) -> list[int]:
    """Give near duplicates of one class the same group; return the groups."""
    pairs = near_pairs(_thumbnails([looks[i] for i in usable]))
    pairs = [pair for pair in pairs if looks[usable[pair[0]]].contrast > BLANK]
    nearest = {a: (b, distance) for a, b, distance in reversed(pairs)}  # the first of each
    for a, (b, distance) in sorted(nearest.items()):
        why = f"looks like {scan.files[usable[b]]} (thumbnails differ by {distance:.3f})"
        findings.append(FileFinding("near duplicate", scan.path(usable[a]), why, scan.path(usable[b])))
    return joined(len(usable), [(a, b) for a, b, _ in pairs if scan.labels[usable[a]] == scan.labels[usable[b]]])


def _thumbnails(looks: list[Look]) -> np.ndarray:
    return np.frombuffer(b"".join(look.thumbnail for look in looks), np.uint8).reshape(-1, SIDE * SIDE)


def _choose(
    scan: Scan, usable: list[int], groups: list[int], at_least: int, findings: list[FileFinding]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Leave out classes with fewer than `at_least` photographs, and part groups where a class has fewer of them.

    Returns numbers of files and their groups, int64 `[N]`.
    """
    files, group = torch.tensor(usable, dtype=torch.int64), torch.tensor(groups, dtype=torch.int64)
    labels = scan.labels[files]
    enough = torch.zeros(len(scan.classes), dtype=torch.bool)
    for c, name in enumerate(scan.classes):
        members = (labels == c).nonzero()[:, 0]
        enough[c] = len(members) >= at_least
        different = len(group[members].unique())
        if not enough[c]:
            kind, why = "small class" if different else "empty class", f"{at_least} are needed"
            findings.append(FileFinding(kind, scan.folder / name, f"{len(members)} usable photographs; {why}"))
        elif different < at_least:
            why = f"{len(members)} photographs look like {different}; they are divided one by one, so similar ones part"
            findings.append(FileFinding("all alike", scan.folder / name, why))
            group[members] = len(group) + members
    return files[enough[labels]], group[enough[labels]]


def _photo_set(scan: Scan, files: torch.Tensor, groups: torch.Tensor, looks: list[Look]) -> PhotoSet:
    """Number the classes and groups that are left anew."""
    present, labels = scan.labels[files].unique(return_inverse=True)
    return PhotoSet(
        tuple(scan.path(i) for i in files.tolist()),
        labels,
        tuple(scan.classes[c] for c in present),
        groups.unique(return_inverse=True)[1],
        class_name(scan.folder.name),
        torch.from_numpy(_thumbnails(looks).copy()),
    )


def _ranges(looks: list[Look]) -> list[str]:
    """Say which values pictures of more than 8 bits have, and how they were read."""
    notes = []
    for kind, white in ((DEEP, "65,535"), (FRACTIONS, "1")):
        values = [look.values for look in looks if kind in look.remarks]
        if values:
            low, high = min(low for low, _ in values), max(high for _, high in values)
            of = f"{len(values):,} pictures of {kind} have values from {low:,g} to {high:,g}"
            notes.append(f"{of}; 0 was read as black, {white} as white.")
    return notes


def _blank(path: Path, look: Look) -> FileFinding:
    return FileFinding("blank", path, f"hardly anything to see: contrast {look.contrast:.1f} of 127.5")
