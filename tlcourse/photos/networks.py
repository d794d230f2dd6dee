"""A network for photographs by its name, an ImageNet backbone or one of the course, and the preprocessing it needs."""

import difflib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.models.backbone_weights import ENDINGS, file_names, licence, load_found, published_as
from tlcourse.models.pretrained import NETWORKS, STUDENTS, build, pretrained
from tlcourse.models.torchvision_backbones import TorchvisionBackbone, backbone, backbone_names
from tlcourse.repro import seeded
from tlcourse.storage import StorageError, read_tensors
from tlcourse.transfer.heads import reset_classifier

OWN = (*reversed(NETWORKS), *STUDENTS)
# 32 x 32 pixels, and 0..255 becomes -1..1: what the course's own networks were trained on
COURSE_PREPROCESSING = Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class PhotoNetwork(NamedTuple):
    """A network, and what its photographs must go through."""

    model: nn.Module
    preprocessing: Preprocessing


def photo_network_names() -> list[str]:
    """Return all names that `photo_network` knows: the course's own first, then torchvision's."""
    return [*OWN, *backbone_names()]


def photo_network(
    name: str,
    classes: int,
    weights: str | Path | None = "DEFAULT",
    *,
    seed: int = 0,
    side: int | None = None,
    progress: bool = True,
) -> PhotoNetwork:
    """Make a network for photographs on the CPU, with a fresh head, and the preprocessing that it needs.

    `weights` is `"DEFAULT"` (for the course's networks those trained on letters), another name of torchvision's
    weights, the path of a file, or None for random ones. A `side` other than the one the weights were trained on is
    faster where it is smaller. Raises ValueError where there is no such network, a file does not fit, or the network
    does not take images of that size, and StorageError where a file is missing, damaged or could not be downloaded.
    """
    with seeded("photo network", name, seed):
        if check_network(name) in OWN:
            model, preprocessing = _course_network(name, classes, weights), COURSE_PREPROCESSING
        else:
            model = backbone(name, classes, weights, progress=progress)
            preprocessing = model.preprocessing
    if side is not None:
        preprocessing = resized(model, preprocessing, side)
    return PhotoNetwork(model.to(memory_format=torch.channels_last), preprocessing)


def check_network(name: str) -> str:
    """Return the name; raises ValueError with those that come nearest where no network is called so."""
    names = photo_network_names()
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, 3, 0.5) or ["tiny_resnet", "mobilenet_v2", "resnet18"]
        raise ValueError(
            f"there is no network {name!r}. Did you mean {' or '.join(map(repr, near))}? All {len(names)} names: "
            "from tlcourse.photos.networks import photo_network_names."
        )
    return name


def weights_in(folder: Path | str | None, name: str) -> Path | str:
    """Return the file of a folder that is named after a network, such as `resnet18.pth` or as torchvision names it.

    Where there are several, the first of those names is taken. `"DEFAULT"` without a folder, and for the course's own
    networks where they have no file there. Raises StorageError where there is none, with the names that were looked
    for.
    """
    if folder is None:
        return "DEFAULT"
    own = check_network(name) in OWN
    names = [name + ending for ending in ENDINGS] if own else file_names(name)
    found = [Path(folder) / file for file in names if (Path(folder) / file).is_file()]
    if not found and not own:
        raise StorageError(
            f"{folder} holds no weights for {name}. Expected a file with one of these names: {', '.join(names)}."
        )
    return found[0] if found else "DEFAULT"


def about_weights(name: str, weights: str | Path) -> tuple[str, str]:
    """Return where weights come from and what is known of their licence, in words."""
    if weights == "DEFAULT" and name in NETWORKS:
        return "came with the course", "MIT"
    if name in OWN:
        return Path(weights).name, "unknown"
    member = "default" if weights == "DEFAULT" else published_as(name, Path(weights))
    return f"torchvision's {member}" if member else Path(weights).name, licence(name, weights)


def resized(model: nn.Module, preprocessing: Preprocessing, side: int) -> Preprocessing:
    """Return a preprocessing for images of `side` x `side` pixels; the share that is cropped away stays.

    Raises ValueError where the network does not take images of that size.
    """
    if isinstance(model, TorchvisionBackbone):
        model.check_images(torch.empty(0, 3, side, side))
    elif side < 32 or (type(model) is NETWORKS["small_cnn"] and side != 32):
        raise ValueError(f"{type(model).__name__} was to see {side} x {side} pixels. Expected 32 x 32.")
    new = replace(preprocessing, resize=max(side, round(side * preprocessing.resize / preprocessing.crop)), crop=side)
    if isinstance(model, TorchvisionBackbone):
        model.preprocessing = new
    return new


def _course_network(name: str, classes: int, weights: str | Path | None) -> nn.Module:
    if weights is None:
        return build(name, classes)
    if weights == "DEFAULT":
        model = pretrained(name, "letters")
        reset_classifier(model, classes)
        return model
    model = build(name, classes)
    load_found(model, read_tensors(weights), str(weights), keep_head=False)
    return model
