"""The candidates of notebook 05: small networks from many sources, where each came from, and how all were made."""

import functools
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tlcourse.data.backgrounds import SOURCE_PHOTO, cut_patches, patch_boxes
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.pretrained import manifest, pretrained
from tlcourse.models.variants import TinyResNetVariant
from tlcourse.repro import generator, seeded
from tlcourse.storage import read_bytes, read_tensors, save_tensors, sha256, write_atomically
from tlcourse.training.pretrain import LICENCES, RECIPE, teach
from tlcourse.transfer.weights import load_weights

FOLDER = Path(__file__).parent / "weights"
SEED, HELD_OUT = 0, 5_000
SHORT = replace(RECIPE, epochs=3, steps=40)  # 120 updates of 128 images
RANDOM = "random weights"
QUARTERS = ("upright", "a quarter turned", "upside down", "three quarters turned")


@dataclass(frozen=True)
class Source:
    """What a candidate was pretrained on, and its size."""

    world: str = "printed-photo"  # or "textures": patches of the photograph, and how far each is turned
    labels: str = "letters"
    shift: float = 0.0
    images: int = 10_000
    width: float = 1  # of every layer, as a share of TinyResNet's
    shipped: bool = False  # one of the course's own two, pretrained 47 times as long on 60,000 images

    def said(self) -> str:
        """Say what the source is."""
        if self.world == "textures":
            return f"patches of {SOURCE_PHOTO}: how far is each turned?"
        moved = f", shift {self.shift:g}" if self.shift else ""
        return f"{self.world} {self.labels}{moved}"

    def load(self, split: str = "train", count: int | None = None) -> ImageSet:
        """Return images of the source: those it was trained on or, as `"test"`, held-out ones."""
        count = count or (self.images if split == "train" else HELD_OUT)
        if self.world == "textures":
            return turned_patches(split, count)
        return load(self.world, self.labels, split, count=count, shift=self.shift, seed=SEED)


CANDIDATES: dict[str, Source | None] = {
    RANDOM: None,
    "textures": Source("textures", "turns"),
    "plain letters": Source("printed"),
    "plain digits": Source("printed", "digits"),
    "letters": Source(),
    "digits": Source(labels="digits"),
    "letters, shift 0.5": Source(shift=0.5),
    "digits, shift 0.5": Source(labels="digits", shift=0.5),
    "letters, shift 1": Source(shift=1.0),
    "digits, shift 1": Source(labels="digits", shift=1.0),
    "letters, 300 images": Source(images=300),
    "digits, 300 images": Source(labels="digits", images=300),
    "letters, long": Source(images=60_000, shipped=True),
    "digits, long": Source(labels="digits", images=60_000, shipped=True),
    "letters, wide": Source(width=1.5),
    "digits, narrow": Source(labels="digits", width=0.5),
}
CLOSE = [name for name, source in CANDIDATES.items() if not (source and source.shipped)]  # without the two long ones
TRAINED = [name for name, source in CANDIDATES.items() if source and not source.shipped]


def turned_patches(split: str, count: int) -> ImageSet:
    """Cut patches from the photograph behind the source, and turn each by no, one, two or three quarters: the label.

    Nothing is written on them. Gidaris et al. learn features from such labels: "Unsupervised representation learning by
    predicting image rotations", 2018, ICLR.
    """
    draws = generator("turned patches", split, SEED)
    patches = cut_patches(SOURCE_PHOTO, patch_boxes(SOURCE_PHOTO, count, split, draws)).round().to(torch.uint8)
    turns = torch.randint(4, (count,), generator=draws)
    for quarters in range(1, 4):
        patches[turns == quarters] = patches[turns == quarters].rot90(quarters, (2, 3))
    return ImageSet(patches, turns, QUARTERS, name=f"patches of {SOURCE_PHOTO}, {split}")


@functools.cache
def zoo() -> dict[str, dict[str, Any]]:
    """Return what is known of each trained candidate: file, hash, source, budget, source accuracy, seconds."""
    return json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def candidate(name: str) -> nn.Module:
    """Return a candidate with the head of its source, in training mode; random weights get a head for ten classes.

    Raises ValueError when there is no such candidate, StorageError when its file is missing or was changed.
    """
    if name not in CANDIDATES:
        raise ValueError(f"there is no candidate {name!r}. Expected one of: {', '.join(map(repr, CANDIDATES))}.")
    source = CANDIDATES[name]
    if source is None:
        return fresh(Source(), 10)
    if source.shipped:
        return pretrained("tiny_resnet", source.labels)
    entry = zoo()[name]
    model = fresh(source, entry["classes"])
    load_weights(model, read_tensors(FOLDER / entry["file"], entry["sha256"]))  # half precision, copied into full
    return model


def fresh(source: Source, classes: int) -> nn.Module:
    """Make the network of a source with random weights, always the same."""
    with seeded("zoo", SEED):
        return TinyResNetVariant(classes, width=source.width)


def source_accuracy(name: str) -> float:
    """Return a candidate's accuracy on held-out images of its source in percent; nan where it has none."""
    source = CANDIDATES[name]
    if source is None:
        return float("nan")
    entry = manifest()[f"tiny_resnet-{source.labels}"] if source.shipped else zoo()[name]
    return entry["source_accuracy"]


def size_of(name: str) -> int:
    """Return how many weights a candidate's backbone has; heads are replaced."""
    return sum(p.numel() for key, p in candidate(name).named_parameters() if not key.startswith("head."))


def make(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Train a candidate, write it in half precision, and return its entry in the manifest."""
    source, began = CANDIDATES[name], time.perf_counter()
    data = source.load()
    model = fresh(source, len(data.classes))
    teach(model, data, SHORT, SEED, progress=False)
    seconds = time.perf_counter() - began
    half = {key: t.half() if t.is_floating_point() else t for key, t in model.state_dict().items()}
    file = save_tensors(folder / f"{name.replace(',', '').replace(' ', '-')}.safetensors", half)
    load_weights(model, half)
    return {
        "file": file.name,
        "sha256": sha256(read_bytes(file)),
        "source": asdict(source),
        "classes": len(data.classes),
        "budget": SHORT.budget,
        "source_accuracy": round(accuracy(model, source.load("test")), 2),
        "seconds": round(seconds, 1),
        "licence": LICENCES,
    }


def main() -> None:
    """Train all candidates again, and put them into the package: `python -m tlcourse.lessons zoo`."""
    entries = {}
    for name in TRAINED:
        entries[name] = make(name)
        print(f"{name}: {entries[name]['source_accuracy']} % in {entries[name]['seconds']} s", flush=True)
        text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
        write_atomically(FOLDER / "manifest.json", text.encode())
