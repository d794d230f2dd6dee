"""Which subfolders are classes, and which are parts of a data set that somebody has divided already."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tlcourse.photos.findings import FolderError
from tlcourse.photos.read import printable

# A word for a part, such as "train", "training", "testset" or "validation", and what such a name may hold besides.
PART = re.compile(
    r"(train(?:val)?|test|val|dev|eval|holdout|训练|测试|验证)"
    r"(?:ings?|id|idation|uation)?(?:sets?|data|daten|images|imgs|集)?"
)
PICTURES = {"images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "original", "originals"}
MASKS = {"mask", "masks", "annotation", "annotations", "labels", "segmentation", "segmentationclass", "gt"}
WORD = re.compile(r"[^\W\d_]+")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
GENERAL = {"set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos", "pics", "split", "part"}


def check_layout(folder: Path, files: list[str]) -> list[str]:
    """Raise FolderError where the subfolders of a folder are no classes; `files` are names below it.

    Returns a note where every class holds parts of a data set.
    """
    names = {name.split("/", 1)[0] for name in files}
    if masks := _masks(files):
        raise FolderError(
            f"{printable(folder)} holds {masks[0]!r} beside {masks[1]!r}: these look like masks or labels, not like "
            "photographs of a class. Expected one subfolder for every class; move those elsewhere."
        )
    divided, common, likely = parts(names), shared_subfolders(files), likely_folder(files)
    meant = f"Expected one subfolder for every class. Did you mean {printable(folder / (likely or min(names)))}?"
    if divided or common:
        each = f", each with {', '.join(map(repr, common[:3]))}{' and more' * (len(common) > 3)}" if common else ""
        raise FolderError(
            f"{printable(folder)} holds {', '.join(map(repr, divided or sorted(names)[:5]))}{each}: these look like "
            f"parts of a data set, not like classes. {meant} Another part may be given with --test "
            "(finetune, choose); adapt holds some of SOURCE out by itself, and takes another part as TARGET. "
            "If these are the classes after all, say so in a table of labels (--csv FILE, in Python csv=)."
        )
    if likely:
        raise FolderError(f"{printable(folder)} holds one subfolder with files, {min(names)!r}. {meant}")
    inner = parts({name.split("/")[1] for name in files if name.count("/") > 1})
    return [f"{', '.join(map(repr, inner))} inside the classes are read together, and divided anew."] if inner else []


def parts(names: Iterable[str]) -> list[str]:
    """Return those of sibling folders that are parts of one data set: `train` and `test`, `seg_train` and `seg_val`.

    Two or more are needed, alike but for the word that names the part: `train` beside `bus` is a class.
    """
    found = defaultdict(list)
    for name in names:
        words = [word.lower() for word in WORD.findall(HUMP.sub(" ", name))]
        rest = [word for word in words if not PART.fullmatch(word)]
        if len(rest) < len(words):
            found[" ".join(word for word in rest if word not in GENERAL and len(word) > 1)].append(name)
    return sorted(name for alike in found.values() if len(alike) > 1 for name in alike)


def _masks(files: Iterable[str]) -> tuple[str, str] | None:
    """Return a folder of masks and the folder of the pictures beside it, in the first two levels."""
    folders = {"/".join(name.split("/")[:depth]) for name in files for depth in (1, 2) if name.count("/") >= depth}
    for name in sorted(folder for folder in folders if _last(folder) in MASKS):
        above = name.rpartition("/")[0]
        beside = [other for other in folders if _last(other) in PICTURES and other.rpartition("/")[0] == above]
        if beside:
            return name, min(beside)
    return None


def _last(name: str) -> str:
    return name.rpartition("/")[2].lower()


def shared_subfolders(files: Iterable[str]) -> list[str]:
    """Return the subfolders that all folders have in common, where those look like the classes instead.

    Numbered ones, such as `part 1` and `part 2`, and parts of a data set do not.
    """
    below = defaultdict(set)
    for name in files:
        folder, _, rest = name.partition("/")
        below[folder].add(rest.partition("/")[0] if "/" in rest else "")
    common = set.intersection(*below.values()) - {""} if len(below) > 1 else set()
    common -= set(parts(common))
    stems = {" ".join(WORD.findall(name)) for name in common}
    numbered = len(stems) == 1 and stems != {""}
    return sorted(common) if len(common) > 1 and not numbered else []


def likely_folder(files: Iterable[str]) -> str:
    """Return the folder inside, below which the classes seem to begin, or an empty text.

    Single folders are stepped into, and of parts of a data set the first to learn from.
    """
    here = part = ""
    while inside := {name.split("/", 1)[0] for name in files if "/" in name}:
        divided = parts(inside)
        if not divided and len(inside) > 1:
            return here
        step = next((name for name in divided if "train" in name.lower()), min(divided or inside))
        here = f"{here}/{step}".lstrip("/")
        part = here if divided else part
        files = [name.removeprefix(f"{step}/") for name in files if name.startswith(f"{step}/")]
    return part
