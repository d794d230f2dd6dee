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


def practice_folder(folder: Path | str, world: str = "handwritten-photo") -> Path:
    """Write a world of the course out as a folder of pictures, and plant trouble in it.

    The trouble: a text file, a file that was cut off, a copy, a picture that lies in two classes, a class of one
    picture; and, which is no trouble to who reads files with care, a picture that lies on its side and says so, a grey
    one, and one with transparency.

    Args:
        folder: the folder to make.
        world: which one; see `load`.

    Returns:
        The folder, with a subfolder for every class.

    Raises:
        StorageError: the folder holds something else, or cannot be written.
    """
    folder = write_image_folder(load(world), folder)
    plant_trouble([sorted(path.iterdir()) for path in sorted(folder.iterdir())])
    return folder


def plant_trouble(classes: list[list[Path]]) -> None:
    """Spoil a folder that was just written.

    Args:
        classes: for each class its PNG files; at least two classes of six.
    """
    first, second = classes[:2]
    folder = first[0].parent
    (folder / "notes.txt").write_text("ask Kim about the blurred ones", encoding="utf-8")
    shutil.copy(first[0], folder / "copy of the first.png")
    shutil.copy(first[1], second[0].parent / "which one is it.png")
    (folder.parent / "unsure").mkdir()
    shutil.copy(second[1], folder.parent / "unsure" / "maybe.png")
    second[1].unlink()
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


def compare_networks(names: Iterable[str]) -> list[list[str]]:
    """Say what is known of networks before any of their weights is there, and how fast they are on this machine.

    Args:
        names: of torchvision's networks, or of the course's.

    Returns:
        One row each: name, millions of weights, megabytes of the file, accuracy on ImageNet as torchvision states it,
        side of the images in pixels, photographs a second.
    """
    rows = []
    for name in names:
        model, preprocessing = photo_network(name, 10, None if name not in NETWORKS else "DEFAULT")
        speed = f"{photos_a_second(model, preprocessing.crop):,.0f}"
        if name in NETWORKS:
            weights = sum(parameter.numel() for parameter in model.parameters())
            rows.append([name, f"{weights / 1e6:.1f}", f"{4 * weights / 1e6:.0f}", "-", str(preprocessing.crop), speed])
            continue
        facts = backbone_facts(name)
        known = [f"{facts.parameters / 1e6:.1f}", f"{facts.megabytes:.0f}", f"{facts.top1:.1f}"]
        rows.append([name, *known, str(facts.preprocessing.crop), speed])
    return rows


@torch.inference_mode()
def photos_a_second(model: nn.Module, side: int, batch: int = 4, repeats: int = 2) -> float:
    """Measure how many photographs a network answers in a second on the processor, once they are prepared.

    Args:
        model: the network; its mode is as before afterwards.
        side: height and width of the images in pixels.
        batch: photographs at a time.
        repeats: how often; the fastest counts.

    Returns:
        Photographs a second.
    """
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
