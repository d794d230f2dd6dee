"""A folder to practise on, with the trouble that real folders have; and a look at how fast networks are here."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from tlcourse.data.worlds import load
from tlcourse.models.pretrained import NETWORKS
from tlcourse.models.torchvision_backbones import backbone_facts
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.networks import photo_network
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


def compare_networks(names: Iterable[str]) -> list[dict[str, str]]:
    """Say what is known of networks before any of their weights is there, and how fast they are on this machine."""
    rows = []
    for name in names:
        ours = name in NETWORKS
        model, preprocessing = photo_network(name, 10, "DEFAULT" if ours else None)
        facts = None if ours else backbone_facts(name)
        weights = sum(p.numel() for p in model.parameters()) if ours else facts.parameters
        rows.append(
            {
                "network": name,
                "million weights": f"{weights / 1e6:.1f}",
                "MB": f"{4 * weights / 1e6 if ours else facts.megabytes:.0f}",
                "ImageNet %": "-" if ours else f"{facts.top1:.1f}",  # as torchvision states it
                "pixels": str(preprocessing.crop),  # height and width of its images
                "photographs/s": f"{photos_a_second(model, preprocessing.crop):,.0f}",
            }
        )
    return rows


@torch.inference_mode()
def photos_a_second(model: nn.Module, side: int, batch: int = 4, repeats: int = 2) -> float:
    """Measure how many images of `side` x `side` pixels a network answers in a second; the fastest repeat counts."""
    training, x = model.training, torch.zeros(batch, 3, side, side)
    model.eval()
    model(x)  # the first call sets things up
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        model(x)
        times.append(time.perf_counter() - begin)
    model.train(training)
    return batch / min(times)
