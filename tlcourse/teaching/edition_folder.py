"""The folder that editions are written to: it holds nothing else, and nothing in it that somebody changed is lost."""

import json
from collections.abc import Mapping
from pathlib import Path

from tlcourse.storage import sha256, write_atomically

LIST = "editions.json"  # what was written, with hashes; it lies beside the editions and goes to nobody
PASSING = (".ipynb_checkpoints", ".DS_Store", "Thumbs.db")  # made by programs that look into a folder


def check_folder(folder: Path, notebooks: Path) -> None:
    """Raise ValueError for a folder with other files, or with an edition that was changed, or among the notebooks."""
    here, originals = folder.resolve(), notebooks.resolve()
    places = [here, here / "student", here / "instructor"]
    if originals in (*places, *here.parents) or any(place in originals.parents for place in places[1:]):
        raise ValueError(
            f"{folder} is no place for editions of the notebooks in {notebooks}: they would be mixed with them, or "
            "written over them. Choose a folder of its own."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file. Expected a folder, or a name that is still free.")
    written = _listed(folder)
    foreign = [name for name in _files(folder) if name != LIST and written.get(name) != _hash(folder / name)]
    if foreign:
        raise ValueError(
            f"{folder} holds {len(foreign)} files that are not of an edition or were changed since it was written, "
            f"such as {foreign[0]}. Nothing was written. Choose an empty folder, or move these files away."
        )


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files by relative path into a folder that `check_folder` found good, in place of an earlier edition."""
    for name in _listed(folder).keys() - contents.keys():
        (folder / name).unlink(missing_ok=True)
    for name, data in contents.items():
        write_atomically(folder / name, data)
    hashes = {name: sha256(data) for name, data in sorted(contents.items())}
    write_atomically(folder / LIST, (json.dumps(hashes, indent=1) + "\n").encode())


def _listed(folder: Path) -> Mapping[str, str]:
    try:
        listed = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ValueError(f"{folder / LIST} is not the list of an edition ({error}). Choose an empty folder.") from error
    if not isinstance(listed, dict) or any(".." in Path(name).parts or Path(name).is_absolute() for name in listed):
        raise ValueError(f"{folder / LIST} is not the list of an edition. Choose an empty folder.")
    return listed


def _files(folder: Path) -> list[str]:
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    names = [path.relative_to(folder) for path in paths]
    return sorted(name.as_posix() for name in names if not set(name.parts) & set(PASSING))


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()) if path.is_file() else ""
