"""Making the pretrained networks again from nothing: `python -m tlcourse.training.pretrain`."""

import argparse
import importlib.metadata
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tlcourse.data.augmentations import Augment
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.models.pretrained import FOLDER, NETWORKS, build, manifest
from tlcourse.repro import seeded
from tlcourse.storage import read_bytes, save_tensors, sha256, write_atomically
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import fit
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import trainable

WORLD, SOURCES = "printed-photo", ("letters", "digits")
NAMES = tuple(f"{network}-{source}" for network in NETWORKS for source in SOURCES)
CLASSIC = "small_cnn-letters"  # this one is also written as pretrained_model.pth
IMAGES, SEED = 60_000, 0  # the seed is that of images, weights and batches
HELD_OUT = 10_000  # images in fonts and over regions that training never saw
TOLERANCE = 0.7  # points of accuracy by which a run on another machine may differ
LICENCES = (
    "Made from fonts that come with matplotlib (DejaVu: Bitstream Vera licence with public-domain changes; "
    "Computer Modern: BaKoMa Fonts Licence) and a photograph that comes with scikit-learn "
    "(china.jpg by danielbuechele, CC BY 2.0). The weights themselves: MIT, as the course."
)


# of SGD with Nesterov momentum 0.9; the highest rate is reached after 20 % of the updates
RECIPE = Recipe(
    epochs=12,
    steps=IMAGES // 128,
    batch=128,
    lr=0.3,
    weight_decay=5e-4,
    augment=Augment(zoom=0.2, shear=0.2, bend=0.06, light=0.5),
)
RECIPES = {"tiny_resnet": RECIPE, "small_cnn": replace(RECIPE, lr=0.1)}


def pretrain(
    name: str, recipe: Recipe, folder: Path, *, images: int = IMAGES, progress: bool = True
) -> tuple[nn.Module, float]:
    """Train a network such as `"tiny_resnet-letters"` on its source, going on where an interrupted run stopped.

    The state is kept after every epoch in the folder, as `NAME.training`. Returns the network and its accuracy on
    held-out source images in percent. Raises StorageError when the folder cannot be written, or holds the state of
    another training.
    """
    network, source = name.split("-")
    data = load(WORLD, source, count=images, seed=SEED)
    with seeded("pretraining", SEED):
        model = build(network, len(data.classes))
    teach(model, data, recipe, SEED, checkpoint=folder / f"{name}.training", progress=progress)
    return model, accuracy(model, load(WORLD, source, "test", count=HELD_OUT, seed=SEED))


def teach(model: nn.Module, data: ImageSet, recipe: Recipe, seed: int, **options: Any) -> History:  # noqa: ANN401
    """Train a network from nothing, in place, by SGD with Nesterov momentum; further options are those of `fit`."""
    optimizer = torch.optim.SGD(
        trainable(model), lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=recipe.updates, pct_start=0.2, cycle_momentum=False
    )
    how = {"epochs": recipe.epochs, "optimizer": optimizer, "schedule": schedule}
    return fit(model, recipe.batches(data, seed), **how, **options)


def describe(name: str, recipe: Recipe, files: list[Path], percent: float) -> dict[str, Any]:
    """Return the manifest's entry, ready for JSON, for a network just written to `files`, the safetensors file first.

    `percent` is its accuracy on held-out source images.
    """
    source = name.split("-")[1]
    return {
        "files": {file.name: sha256(read_bytes(file)) for file in files},
        "network": name.split("-")[0],
        "source": f"{WORLD} {source}",
        "classes": list(load(WORLD, source, count=1).classes),
        "scaling": "bytes 0..255 to floats -1..1",
        "recipe": {"images": IMAGES} | asdict(recipe) | {"optimizer": "SGD, Nesterov momentum 0.9, one-cycle rate"},
        "seed": SEED,
        "source_accuracy": round(percent, 2),
        "held_out_images": HELD_OUT,
        "made_with": {
            package: importlib.metadata.version(package) for package in ("torch", "matplotlib", "scikit-learn")
        },
        "licence": LICENCES,
    }


def judge(entry: dict[str, Any], shipped: dict[str, Any]) -> str:
    """Say in words whether a new network reproduces the shipped one."""
    difference = entry["source_accuracy"] - shipped["source_accuracy"]
    verdict = "reproduced" if abs(difference) <= TOLERANCE else "NOT reproduced"
    same = "the same bits" if entry["files"] == shipped["files"] else "other bits, as expected on another machine"
    return (
        f"{verdict}: {entry['source_accuracy']:.2f} % on held-out source images, "
        f"shipped {shipped['source_accuracy']:.2f} % (tolerance {TOLERANCE} points); {same}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Train the networks, write them, compare them with those that came with the course; 0 when all reproduce them."""
    parser = argparse.ArgumentParser(description="Make the pretrained networks again, from nothing.")
    parser.add_argument(
        "--out", type=Path, default=Path("pretrained"), help="folder to write to (default: %(default)s)"
    )
    parser.add_argument("--only", choices=NAMES, nargs="+", default=NAMES, help="which networks (default: all)")
    parser.add_argument("--ship", action="store_true", help="for maintainers: replace the networks inside the package")
    options = parser.parse_args(arguments)
    entries, failures = dict(manifest()) if (FOLDER / "manifest.json").exists() else {}, 0
    for name in options.only:
        recipe = RECIPES[name.split("-")[0]]
        print(f"{name}: training on {WORLD} {name.split('-')[1]}", flush=True)
        model, percent = pretrain(name, recipe, options.out, images=IMAGES)
        files = write_network(name, model, FOLDER if options.ship else options.out)
        entry = describe(name, recipe, files, percent)
        if options.ship:
            entries[name] = entry
            text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
            write_atomically(FOLDER / "manifest.json", text.encode())
        verdict = f"shipped with {percent:.2f} %" if options.ship else judge(entry, entries[name])
        print(f"{name}: {verdict}", flush=True)
        failures += verdict.startswith("NOT")
    return min(failures, 1)


def write_network(name: str, model: nn.Module, folder: Path) -> list[Path]:
    """Write a network as safetensors, and the classic one as `pretrained_model.pth` too; return the files."""
    files = [save_tensors(folder / f"{name}.safetensors", model.state_dict())]
    if name == CLASSIC:
        files.append(save_tensors(folder / "pretrained_model.pth", model.state_dict()))
    return files


if __name__ == "__main__":
    raise SystemExit(main())
