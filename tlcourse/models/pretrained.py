"""The pretrained networks that come with the course, and the manifest that says what each of them is."""

import functools
import json
from pathlib import Path
from typing import Any

from torch import nn

from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import NarrowResNet, TinyResNet
from tlcourse.storage import read_tensors
from tlcourse.transfer.weights import load_weights

NETWORKS: dict[str, type[nn.Module]] = {"small_cnn": SmallCNN, "tiny_resnet": TinyResNet}
STUDENTS: dict[str, type[nn.Module]] = {"narrow_resnet": NarrowResNet}  # for distillation; no pretrained weights
FOLDER = Path(__file__).parent / "weights"


@functools.cache
def manifest() -> dict[str, dict[str, Any]]:
    """Return what is known of each pretrained network: files, hashes, source, classes, recipe, accuracy, licences."""
    return json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def build(network: str, classes: int = 10) -> nn.Module:
    """Make a `"tiny_resnet"`, a `"small_cnn"` or a `"narrow_resnet"` with fresh random weights."""
    known = NETWORKS | STUDENTS
    if network not in known:
        raise ValueError(f"there is no network {network!r}. Expected one of: {', '.join(map(repr, known))}.")
    return known[network](classes)


def pretrained(network: str = "tiny_resnet", source: str = "letters") -> nn.Module:
    """Return a network that was trained on printed characters over photographs, with its head, in training mode.

    `network` is as for `build`; `source` is `"letters"` (35 classes) or `"digits"` (10 classes). StorageError when the
    file is missing, incomplete or was changed.
    """
    entry = manifest().get(f"{network}-{source}")
    if entry is None:
        raise ValueError(
            f"there is no network {network!r} pretrained on {source!r}. Expected network-source to be one of: "
            f'{", ".join(manifest())}, as in pretrained("tiny_resnet", "letters").'
        )
    model = build(network, len(entry["classes"]))
    file = f"{network}-{source}.safetensors"
    load_weights(model, read_tensors(FOLDER / file, entry["files"][file]))
    return model
