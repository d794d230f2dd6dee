"""Writing an image set out as a folder of pictures, one subfolder for every class."""

import re
from pathlib import Path

from PIL import Image

from tlcourse.data.imageset import ImageSet
from tlcourse.photos.archives import safe_parts
from tlcourse.photos.whole_folder import new_folder
from tlcourse.storage import StorageError


def write_image_folder(data: ImageSet, folder: Path | str) -> Path:
    """Write every image as a PNG file into the subfolder of its class, completely or not at all.

    A folder that holds files of exactly these names already is used as it is. Raises StorageError where it holds
    something else, or cannot be written.
    """
    folder = Path(folder)
    names = _file_names(data)
    if folder.exists() and any(folder.iterdir()):
        if {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} != set(names):
            raise StorageError(
                f"{folder} is there already and does not hold these {len(data):,} images. Nothing was changed. Choose "
                "a folder that does not exist, or empty this one."
            )
        return folder
    try:
        with new_folder(folder) as temporary:
            for name, image in zip(names, data.images.cpu(), strict=True):
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(temporary / name)
    except OSError as error:
        raise StorageError(
            f"could not write {len(data):,} images to {folder}: {error.strerror or error}. Nothing was left there. "
            "Free some space, or choose a folder that you can write to."
        ) from error
    return folder


def folder_names(classes: tuple[str, ...]) -> list[str]:
    """Return a folder's name for every class that every system can hold and tell apart; the class's own where possible.

    Signs that Windows forbids are replaced by `_`; of names that differ only in capitals, as `A` and `a`, the later get
    a number: `a (2)`.
    """
    names: dict[str, str] = {}  # by what Windows and macOS tell apart
    for c in classes:
        plain = safe_parts(re.sub(r"[/\\:]", "_", c).strip(" .") or "_")[0]
        count, name = 1, plain
        while name.casefold() in names:
            count += 1
            name = f"{plain} ({count})"
        names[name.casefold()] = name
    return list(names.values())


def _file_names(data: ImageSet) -> list[str]:
    folders, digits = folder_names(data.classes), len(str(len(data)))
    return [f"{folders[label]}/{i:0{digits}d}.png" for i, label in enumerate(data.labels.tolist())]
