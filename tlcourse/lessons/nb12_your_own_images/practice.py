"""A folder to practise on, with the trouble that real folders have; and what is known of backbones."""

import shutil
from collections.abc import Iterable
from math import isnan, nan
from pathlib import Path

from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.models.pretrained import NETWORKS, build
from tlcourse.models.torchvision_backbones import BackboneFacts, backbone_facts
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.networks import COURSE_PREPROCESSING
from tlcourse.photos.read import ORIENTATION

LYING = 6  # EXIF orientation of a picture that has to be turned by 90 degrees


def practice_folder(folder: Path | str, split: str = "train", *, trouble: bool = True) -> Path:
    """Write handwritten digits out as a folder of pictures, one subfolder a class, and plant trouble in it.

    The trouble: a text file, a file that was cut off, a copy, a picture that lies in two classes, a class of one
    picture; and, which is no trouble to who reads files with care, a picture that lies on its side and says so, a grey
    one, and one with transparency. Raises StorageError when the folder holds something else, or cannot be written.
    """
    folder = write_image_folder(load("handwritten-photo", split=split), folder)
    if trouble:
        _plant_trouble(*(sorted(path.iterdir()) for path in sorted(folder.iterdir())[:2]))
    return folder


def _plant_trouble(first: list[Path], second: list[Path]) -> None:
    """Spoil a folder that was just written, by the PNG files of two of its classes."""
    folder = first[0].parent
    (folder / "notes.txt").write_text("ask Kim about the blurred ones", encoding="utf-8")
    shutil.copy(first[0], folder / "copy of the first.png")
    shutil.copy(first[1], second[0].parent / "which one is it.png")
    (folder.parent / "unsure").mkdir()
    shutil.move(second[1], folder.parent / "unsure" / "maybe.png")
    Image.open(first[2]).save(folder / "cut off.jpg", quality=95)
    whole = (folder / "cut off.jpg").read_bytes()
    (folder / "cut off.jpg").write_bytes(whole[: len(whole) // 2])
    _lay_on_its_side(first[3])
    Image.open(first[4]).convert("L").save(first[4])
    with_hole = Image.open(first[5]).convert("RGBA")
    with_hole.putpixel((0, 0), (0, 0, 0, 0))
    with_hole.save(first[5])


def _lay_on_its_side(path: Path) -> None:
    """Store a picture as telephones do: turned, with a note that says how to turn it back."""
    note = Image.Exif()
    note[ORIENTATION] = LYING
    with Image.open(path) as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=note)


def backbone_table(names: Iterable[str], classes: int = 10) -> list[dict[str, str]]:
    """Say what is known of networks before any of their weights is there; a dash where nobody measured it."""
    from torchvision.models import get_model_weights  # takes a second to import

    rows = []
    for name in dict.fromkeys(names):
        if name in NETWORKS:
            weights = sum(p.numel() for p in build(name, classes).parameters())
            known, work, pixels = BackboneFacts(weights, 4 * weights / 1e6, nan), nan, COURSE_PREPROCESSING.crop
        else:
            known, work = backbone_facts(name), get_model_weights(name).DEFAULT.meta["_ops"]
            pixels = Preprocessing.for_weights(name).crop
        rows.append(
            {
                "network": name,
                "million weights": f"{known.parameters / 1e6:.1f}",
                "MB": f"{known.megabytes:.0f}",
                "billion multiply-adds": _known(work, 2),
                "ImageNet %": _known(known.top1, 1),  # as torchvision states it
                "pixels": str(pixels),  # height and width of its images
            }
        )
    return rows


def _known(value: float, digits: int) -> str:
    return "-" if isnan(value) else f"{value:.{digits}f}"
