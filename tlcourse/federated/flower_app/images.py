"""Where a client's images are: a folder of photographs on its own disk, or sheets of the course's handwriting."""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.functional import pil_to_tensor

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load

SIDE = 32  # pixels, as the networks of the course see


def images_of(node: Mapping[str, object], classes: tuple[str, ...]) -> ImageSet:
    """Return the images that a node's config names: `images="/path"`, or `sheets="3 7"` to try it out.

    ValueError without either, for both, or for sheets that there are not.
    """
    if ("images" in node) == ("sheets" in node):
        raise ValueError(
            f'the node config has {sorted(node)}. Expected either images="/path/to/folder", with a folder for each '
            'class, or sheets="3 7", sheets of the course\'s handwriting.'
        )
    return from_folder(Path(str(node["images"])), classes) if "images" in node else from_sheets(str(node["sheets"]))


def from_sheets(numbers: str) -> ImageSet:
    """Return the digits of some sheets of handwriting over photographs; ValueError for sheets that there are not."""
    data = load("handwritten-photo")
    sheets, wanted = data.attributes["sheet"], torch.tensor([int(number) for number in numbers.split()])
    if not len(wanted) or not torch.isin(wanted, sheets).all():
        raise ValueError(f"got the sheets {numbers!r}. Expected some of {sheets.unique().tolist()}.")
    return data.subset(torch.isin(sheets, wanted))


def from_folder(folder: Path, classes: tuple[str, ...]) -> ImageSet:
    """Read photographs from one folder a class, upright, squeezed to 32x32 pixels; a client may lack a class.

    The classes are those of the run, so that a class has the same number at every client. ValueError for a folder that
    is no class, or where there is no photograph.
    """
    there = {path.name for path in folder.iterdir() if path.is_dir()}
    if unknown := sorted(there - set(classes)):
        raise ValueError(f"{folder} has the folder {unknown[0]!r}. Expected only the classes of the run: {classes}.")
    paths = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).glob("*"))
        if path.suffix.lower() in IMG_EXTENSIONS
    ]
    if not paths:
        raise ValueError(f"{folder} has no photograph. Expected some in a folder for each class: {classes}.")
    labels = torch.tensor([label for _, label in paths])
    return ImageSet(torch.stack([_pixels(path) for path, _ in paths]), labels, classes, name=folder.name)


def _pixels(path: Path) -> torch.Tensor:
    """Read one photograph, uint8 `[3, 32, 32]`."""
    with Image.open(path) as image:
        return pil_to_tensor(ImageOps.exif_transpose(image).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
